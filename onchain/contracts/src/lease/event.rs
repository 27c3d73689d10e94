//! Reading from the chain what happened to a lease: what the transaction that spent it says, not what anybody claims.

use nunet_ledger::{OutPoint, PosixMs, Purpose, SlotConfig, received::ReceivedTx};

use super::{Lease, LeaseAction, rent::Shares};
use crate::{
    data::{self, DataError},
    fault::Fault,
    ntx::Ntx,
    protocol::Protocol,
};

/// What happened to a lease, and where it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseEvent {
    /// The lessor took rent.
    Claimed {
        /// How much.
        paid: Ntx,
        /// The lease after it.
        next: Lease,
    },
    /// The lessee added rent.
    ToppedUp {
        /// How much.
        added: Ntx,
        /// The lease after it.
        next: Lease,
    },
    /// The end moved earlier.
    Shortened {
        /// The lease after it.
        next: Lease,
    },
    /// The committee charged the lessor.
    Faulted {
        /// What for.
        fault: Fault,
        /// How many members' signatures the transaction carries.
        signatures: usize,
        /// The lease after it.
        next: Lease,
    },
    /// It is closed.
    Closed(Shares),
    /// Both agreed on something else.
    Agreed,
}

const WHAT: &str = "transaction of a lease";

/// Reads what the transaction with this CBOR did to `lease`.
///
/// # Errors
/// When it does not spend the lease, or what follows it cannot be read.
pub fn read_lease_event(
    protocol: &Protocol,
    slots: &SlotConfig,
    cbor: &[u8],
    lease: &Lease,
) -> Result<LeaseEvent, DataError> {
    let unclear = |problem: String| DataError::new(WHAT, problem);
    let tx = ReceivedTx::decode(cbor).map_err(|error| unclear(format!("malformed: {error}")))?;
    let position = tx.body.inputs.iter().position(|input| *input == lease.outpoint);
    // A transaction whose scripts fail consumes its collateral, not its inputs.
    let index = position.filter(|_| tx.valid).and_then(|index| u32::try_from(index).ok());
    let index = index.ok_or_else(|| unclear(format!("{} does not spend {}", tx.id, lease.outpoint)))?;
    let redeemer = tx.witnesses.redeemers.get(&(Purpose::Spend, index));
    let redeemer = redeemer.ok_or_else(|| unclear(format!("{} has no redeemer for the lease", tx.id)))?;
    let action = LeaseAction::from_data(&data::from_cbor(WHAT, redeemer.data)?)?;

    let next = || -> Result<Lease, DataError> {
        let output = tx.body.outputs.first().ok_or_else(|| unclear(format!("{} has no outputs", tx.id)))?;
        Lease::read(protocol, OutPoint { tx: tx.id, index: 0 }, output.output.clone())
    };
    let difference = |more: Ntx, less: Ntx| {
        let difference = more.0.checked_sub(less.0);
        difference.map(Ntx).ok_or_else(|| unclear("the lease's NTX moved the wrong way".into()))
    };
    Ok(match action {
        LeaseAction::Claim => {
            let next = next()?;
            LeaseEvent::Claimed { paid: difference(lease.state.held(), next.state.held())?, next }
        }
        LeaseAction::TopUp => {
            let next = next()?;
            LeaseEvent::ToppedUp { added: difference(next.state.held(), lease.state.held())?, next }
        }
        LeaseAction::Shorten { .. } => LeaseEvent::Shortened { next: next()? },
        LeaseAction::Fault { signatures, from, to, credit, .. } => LeaseEvent::Faulted {
            fault: Fault { agreement: lease.datum().agreement, from, to, credit },
            signatures: signatures.iter().flatten().count(),
            next: next()?,
        },
        LeaseAction::Close => {
            let lower = tx.body.valid_from.ok_or_else(|| unclear("a closing without a lower bound".into()))?;
            let lower: PosixMs = slots.begin(lower);
            LeaseEvent::Closed(lease.state.shares(lower))
        }
        LeaseAction::Agree => LeaseEvent::Agreed,
    })
}
