//! The rules of the Conway era: whether a transaction is valid on a state, and what it changes.
//!
//! [`LedgerState::validate`] runs the rules in order and stops at the first that is broken. Each family of rules is a
//! file; each rule a small function that names its predicate as the ledger does. The specification they follow is the
//! [Conway formal ledger specification](https://intersectmbo.github.io/formal-ledger-specifications/) with the
//! Shelley, Mary, Alonzo and Babbage documents under it; where those leave freedom, the node's implementation decides.
//!
//! Votes, proposals, and certificates of representatives and the committee are refused by name as unsupported.

mod auxiliary;
mod certs;
mod changes;
mod collateral;
mod epoch;
mod error;
mod inputs;
mod outputs;
mod phase_two;
pub(crate) mod scripts;
mod state;
mod value;
mod witnesses;

pub use error::LedgerError;
pub use state::{Account, Effects, LedgerState, Pool, Undo};

pub use crate::certificate::DRep;
use crate::{
    received::ReceivedTx,
    units::{OutPoint, Slot},
};
use changes::Changes;
use scripts::ScriptView;

/// The first major protocol version after the bootstrap of governance: delegations of votes count from it on.
const AFTER_BOOTSTRAP: u16 = 10;

/// A transaction under the rules.
struct Case<'a> {
    state: &'a LedgerState,
    tx: &'a ReceivedTx<'a>,
    slot: Slot,
}

impl Case<'_> {
    /// Whether representatives do not count yet.
    fn bootstrapping(&self) -> bool {
        self.state.params.protocol_version.major < AFTER_BOOTSTRAP
    }
}

/// Which rules a transaction still has to pass.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rules {
    /// All of them.
    All,
    /// Those whose verdict depends on the state or the slot.
    OfTheMoment,
}

impl LedgerState {
    /// Whether a transaction is valid in that slot, its scripts included, and what it then changes.
    pub fn validate(&self, tx: &[u8], slot: Slot) -> Result<Effects, LedgerError> {
        self.judge(tx, slot, Rules::All)
    }

    /// Validates a transaction that was valid on another state of this ledger already, with the same parameters (the
    /// specification's `reapplyTx`): signatures and scripts, whose verdict depends on nothing but the transaction and the
    /// outputs that it names, are not tried again.
    pub fn revalidate(&self, tx: &[u8], slot: Slot) -> Result<Effects, LedgerError> {
        self.judge(tx, slot, Rules::OfTheMoment)
    }

    fn judge(&self, tx: &[u8], slot: Slot, rules: Rules) -> Result<Effects, LedgerError> {
        let received = ReceivedTx::decode(tx).map_err(LedgerError::DecodingFailure)?;
        let case = Case { state: self, tx: &received, slot };
        inputs::check(&case)?;
        let view = ScriptView::of(&received, &self.utxo);
        let changes = if received.valid {
            scripts::check_reference_size(&case, &view)?;
            certs::check(&case)?
        } else {
            Changes::of(self)
        };
        if rules == Rules::All {
            scripts::check(&case, &view)?;
            witnesses::check(&case)?;
            auxiliary::check(&case)?;
            scripts::check_integrity(&case, &view)?;
        }
        value::check(&case, &view)?;
        if rules == Rules::All {
            collateral::check(&case)?;
            outputs::check(&case)?;
            phase_two::check(&case, tx, &view)?;
        }
        Ok(self.effects(&received, changes))
    }

    fn effects(&self, tx: &ReceivedTx<'_>, changes: Changes<'_>) -> Effects {
        let units = tx
            .witnesses
            .redeemers
            .iter()
            .map(|((purpose, index), redeemer)| (*purpose, *index, redeemer.units))
            .collect();
        let outpoint = |index: usize| OutPoint { tx: tx.id, index: u16::try_from(index).unwrap_or(u16::MAX) };
        let (consumed, produced, fee) = if tx.valid {
            let outputs = tx.body.outputs.iter().enumerate();
            let produced = outputs.map(|(index, sized)| (outpoint(index), sized.output.clone())).collect();
            (tx.body.inputs.iter().copied().collect(), produced, tx.body.fee)
        } else {
            let back = tx.body.collateral_return.iter().map(|sized| sized.output.clone());
            let produced = back.map(|output| (outpoint(tx.body.outputs.len()), output)).collect();
            (tx.body.collateral.iter().copied().collect(), produced, collateral::taken(self, tx))
        };
        let accounts = changes.accounts.into_iter().collect();
        let pools = changes.pools.into_iter().collect();
        Effects { id: tx.id, valid: tx.valid, consumed, produced, accounts, pools, fee, size: tx.size, units }
    }
}
