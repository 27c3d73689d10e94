//! Reading from the chain how an escrow ended: what the transaction that spent it says, not what anybody claims.

use std::collections::BTreeMap;

use nunet_ledger::{Credential, Datum, OutPoint, Purpose, TxOut, received::ReceivedTx};
use pallas_primitives::PlutusData;

use crate::{
    data::{self, DataError},
    job::{JobAction, SettleItem},
    ntx::Ntx,
    protocol::Protocol,
};

/// How an escrow ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closing {
    /// By a verdict.
    Settled {
        /// What the provider got of the price.
        paid: Ntx,
        /// What the provider lost of the bond.
        slashed: Ntx,
        /// The evidence root that was signed.
        evidence: [u8; 32],
        /// How many members' signatures the transaction carries.
        signatures: usize,
    },
    /// By the requester, in full.
    Accepted,
    /// By requester and provider together.
    Agreed,
    /// By the provider, before the deadline.
    Redeemed {
        /// What the requester's voucher allowed; 0 when the provider declined the job.
        amount: Ntx,
    },
    /// By the deadline.
    Refunded,
}

const WHAT: &str = "closing transaction";

/// Reads how `escrow` was closed by the transaction with this CBOR, which consumed the outputs `spent`.
///
/// Strangers may close an escrow together with others of theirs, whose datums can be anything: of those nothing is read
/// but what the validator itself went by.
///
/// # Errors
/// When the transaction does not spend the escrow, or not through the job logic, or `spent` lacks one of the escrows that
/// it closed.
pub fn read_closing(
    protocol: &Protocol,
    cbor: &[u8],
    spent: &BTreeMap<OutPoint, TxOut>,
    escrow: OutPoint,
) -> Result<Closing, DataError> {
    let tx = ReceivedTx::decode(cbor).map_err(|error| DataError::new(WHAT, format!("malformed: {error}")))?;
    // A transaction whose scripts fail consumes its collateral, not its inputs.
    if !tx.valid || !tx.body.inputs.contains(&escrow) {
        return Err(DataError::new(WHAT, format!("{} does not spend {escrow}", tx.id)));
    }
    let action = logic_action(protocol, &tx)?;
    let closed = escrows_among(&tx, spent)?;
    let place = closed.iter().position(|(outpoint, _)| *outpoint == escrow);
    let place = place.ok_or_else(|| DataError::new(WHAT, format!("{escrow} is no escrow")))?;
    match action {
        JobAction::Accept { .. } => Ok(Closing::Accepted),
        JobAction::Refund { .. } => Ok(Closing::Refunded),
        JobAction::Agree => Ok(Closing::Agreed),
        JobAction::Redeem { vouchers } => {
            let voucher = vouchers.get(place).ok_or_else(|| DataError::new(WHAT, "it has too few vouchers"))?;
            Ok(Closing::Redeemed { amount: voucher.amount })
        }
        JobAction::Settle { signatures, evidence, payees, items, .. } => {
            let escrows = closed.iter().map(|(_, output)| Amounts::read(output)).collect::<Result<Vec<_>, _>>()?;
            let (paid, slashed) = settled(protocol, &tx, &escrows, place, payees, &items)?;
            let signatures = signatures.iter().flatten().count();
            Ok(Closing::Settled { paid, slashed, evidence, signatures })
        }
    }
}

/// The escrows among the inputs, in the ledger's order: every input that a script guards is one to the logic.
fn escrows_among<'a>(
    tx: &ReceivedTx<'_>,
    spent: &'a BTreeMap<OutPoint, TxOut>,
) -> Result<Vec<(OutPoint, &'a TxOut)>, DataError> {
    let mut escrows = Vec::new();
    for outpoint in &tx.body.inputs {
        let output = spent.get(outpoint);
        let output = output.ok_or_else(|| DataError::new(WHAT, format!("what it spent at {outpoint} is not given")))?;
        if matches!(output.address.payment(), Some(Credential::Script(_))) {
            escrows.push((*outpoint, output));
        }
    }
    Ok(escrows)
}

/// The redeemer of the logic's withdrawal.
fn logic_action(protocol: &Protocol, tx: &ReceivedTx<'_>) -> Result<JobAction, DataError> {
    let missing = || DataError::new(WHAT, "it does not withdraw through the job logic");
    let index = tx.body.withdrawals.keys().position(|account| *account == protocol.logic_account());
    let index = index.and_then(|index| u32::try_from(index).ok()).ok_or_else(missing)?;
    let redeemer = tx.witnesses.redeemers.get(&(Purpose::Withdraw, index)).ok_or_else(missing)?;
    JobAction::from_data(&data::from_cbor(WHAT, redeemer.data)?)
}

/// What a settlement reads of an escrow to find the requester's output.
struct Amounts {
    price: u64,
    fee: u64,
    deposit: u64,
}

impl Amounts {
    fn read(output: &TxOut) -> Result<Self, DataError> {
        let unclear = || DataError::new(WHAT, "a datum among those it settled is not an escrow's");
        let Some(Datum::Inline(datum)) = &output.datum else { return Err(unclear()) };
        let PlutusData::Constr(datum) = data::from_cbor(WHAT, datum)? else { return Err(unclear()) };
        let [_requester, _provider, price, fee, _bond, deposit, ..] = &datum.fields[..] else { return Err(unclear()) };
        Ok(Self {
            price: data::as_u64("price", price)?,
            fee: data::as_u64("fee", fee)?,
            deposit: data::as_u64("deposit", deposit)?,
        })
    }
}

/// Paid and slashed of the escrow at `place` among the settled ones.
fn settled(
    protocol: &Protocol,
    tx: &ReceivedTx<'_>,
    escrows: &[Amounts],
    place: usize,
    payees: u64,
    items: &[SettleItem],
) -> Result<(Ntx, Ntx), DataError> {
    let unclear = |problem: &str| DataError::new(WHAT, problem.to_owned());
    let any_fee = escrows.iter().any(|escrow| escrow.fee > 0);
    let mut next_output =
        usize::try_from(payees.saturating_add(any_fee.into())).map_err(|_| unclear("it has too many payouts"))?;
    let mut settled = items.iter().filter(|item| !matches!(item, SettleItem::Skipped(_)));
    for (position, escrow) in escrows.iter().enumerate() {
        let (paid, slashed, has_output) = match settled.next().ok_or_else(|| unclear("it has too few items"))? {
            SettleItem::FromOutput { .. } => {
                let output = tx.body.outputs.get(next_output);
                let output = &output.ok_or_else(|| unclear("a requester's output is missing"))?.output;
                let rest = output.value.quantity(protocol.ntx());
                let paid = escrow.price.checked_sub(rest).ok_or_else(|| unclear("a rest exceeds the price"))?;
                (Ntx(paid), Ntx(0), true)
            }
            SettleItem::Explicit { requester, paid, slashed, .. } => {
                let nothing_back = paid.0 == escrow.price && slashed.0 == 0 && escrow.deposit == 0;
                (*paid, *slashed, requester.is_none() && !nothing_back)
            }
            SettleItem::Skipped(_) => return Err(unclear("a skipped leaf has no escrow")),
        };
        if position == place {
            return Ok((paid, slashed));
        }
        next_output = next_output.saturating_add(has_output.into());
    }
    Err(unclear("the escrow is not among the settled ones"))
}
