//! Reading from the chain how an escrow ended: what the transaction that spent it says, not what anybody claims.

use std::collections::{BTreeMap, BTreeSet};

use nunet_ledger::{OutPoint, RewardAccount, ScriptHash, TxId, TxOut};
use pallas_codec::minicbor;
use pallas_primitives::conway::{RedeemerTag, Redeemers, Tx, Value as TxValue};
use pallas_traverse::OriginalHash;

use crate::{
    data::DataError,
    job::{JobAction, SettleItem},
    ntx::Ntx,
    protocol::Protocol,
    transactions::Escrow,
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
/// # Errors
/// When the transaction does not spend the escrow, or not through the job logic, or `spent` lacks one of the escrows that
/// it closed.
pub fn read_closing(
    protocol: &Protocol,
    cbor: &[u8],
    spent: &BTreeMap<OutPoint, TxOut>,
    escrow: OutPoint,
) -> Result<Closing, DataError> {
    let tx: Tx<'_> = minicbor::decode(cbor).map_err(|error| DataError::new(WHAT, format!("malformed: {error}")))?;
    let inputs: BTreeSet<OutPoint> = tx.transaction_body.inputs.iter().map(outpoint).collect::<Result<_, _>>()?;
    if !inputs.contains(&escrow) {
        return Err(DataError::new(WHAT, format!("{} does not spend {escrow}", tx.transaction_body.original_hash())));
    }
    let action = logic_action(protocol, &tx)?;
    let escrows = escrows_among(protocol, &inputs, spent)?;
    let place = escrows.iter().position(|closed| closed.outpoint == escrow);
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
            let (paid, slashed) = settled(protocol, &tx, &escrows, place, payees, &items)?;
            let signatures = signatures.iter().flatten().count();
            Ok(Closing::Settled { paid, slashed, evidence, signatures })
        }
    }
}

/// The escrows among the inputs, in the ledger's order: every input that a script guards, or the logic would have failed.
fn escrows_among(
    protocol: &Protocol,
    inputs: &BTreeSet<OutPoint>,
    spent: &BTreeMap<OutPoint, TxOut>,
) -> Result<Vec<Escrow>, DataError> {
    let mut escrows = Vec::new();
    for outpoint in inputs {
        let output = spent.get(outpoint);
        let output = output.ok_or_else(|| DataError::new(WHAT, format!("what it spent at {outpoint} is not given")))?;
        if output.address == protocol.escrow_address() {
            escrows.push(Escrow::read(protocol, *outpoint, output.clone())?);
        }
    }
    Ok(escrows)
}

fn outpoint(input: &pallas_primitives::TransactionInput) -> Result<OutPoint, DataError> {
    let index = u16::try_from(input.index).map_err(|_| DataError::new(WHAT, "an input's index is above 65535"))?;
    Ok(OutPoint { tx: TxId(*input.transaction_id), index })
}

/// The redeemer of the logic's withdrawal.
fn logic_action(protocol: &Protocol, tx: &Tx<'_>) -> Result<JobAction, DataError> {
    let missing = || DataError::new(WHAT, "it does not withdraw through the job logic");
    let account = protocol.logic_account().to_bytes();
    let withdrawals = tx.transaction_body.withdrawals.as_ref().ok_or_else(missing)?;
    let mut accounts: Vec<RewardAccount> =
        withdrawals.keys().filter_map(|account| RewardAccount::from_bytes(account).ok()).collect();
    accounts.sort_by_key(|account| ledger_order(*account));
    let index = accounts.iter().position(|found| found.to_bytes() == account).ok_or_else(missing)?;
    let index = u32::try_from(index).map_err(|_| missing())?;
    let redeemers = tx.transaction_witness_set.redeemer.as_ref().ok_or_else(missing)?;
    let data = match &**redeemers {
        Redeemers::List(list) => list
            .iter()
            .find(|redeemer| redeemer.tag == RedeemerTag::Reward && redeemer.index == index)
            .map(|redeemer| &redeemer.data),
        Redeemers::Map(map) => map
            .iter()
            .find(|(key, _)| key.tag == RedeemerTag::Reward && key.index == index)
            .map(|(_, redeemer)| &redeemer.data),
    };
    JobAction::from_data(data.ok_or_else(missing)?)
}

/// The ledger sorts accounts by network, then script credentials before key credentials, then hash.
fn ledger_order(account: RewardAccount) -> (u8, u8, [u8; 28]) {
    match account.credential {
        nunet_ledger::Credential::Script(ScriptHash(hash)) => (account.network_id, 0, hash),
        nunet_ledger::Credential::Key(nunet_ledger::KeyHash(hash)) => (account.network_id, 1, hash),
    }
}

/// Paid and slashed of the escrow at `place` among the settled ones.
fn settled(
    protocol: &Protocol,
    tx: &Tx<'_>,
    escrows: &[Escrow],
    place: usize,
    payees: u64,
    items: &[SettleItem],
) -> Result<(Ntx, Ntx), DataError> {
    let unclear = |problem: &str| DataError::new(WHAT, problem.to_owned());
    let any_fee = escrows.iter().any(|escrow| escrow.datum.fee.0 > 0);
    let mut next_output =
        usize::try_from(payees.saturating_add(any_fee.into())).map_err(|_| unclear("it has too many payouts"))?;
    let mut settled = items.iter().filter(|item| !matches!(item, SettleItem::Skipped(_)));
    for (position, Escrow { datum, .. }) in escrows.iter().enumerate() {
        let (paid, slashed, has_output) = match settled.next().ok_or_else(|| unclear("it has too few items"))? {
            SettleItem::FromOutput { .. } => {
                let output = tx.transaction_body.outputs.get(next_output);
                let rest = ntx_in(protocol, output.ok_or_else(|| unclear("a requester's output is missing"))?);
                let paid = datum.price.0.checked_sub(rest).ok_or_else(|| unclear("a rest exceeds the price"))?;
                (Ntx(paid), Ntx(0), true)
            }
            SettleItem::Explicit { requester, paid, slashed, .. } => {
                let nothing_back = *paid == datum.price && slashed.0 == 0 && datum.deposit.0 == 0;
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

fn ntx_in(protocol: &Protocol, output: &pallas_primitives::conway::TransactionOutput<'_>) -> u64 {
    use pallas_primitives::{alonzo, babbage::GenTransactionOutput};
    let ntx = protocol.ntx();
    match output {
        GenTransactionOutput::Legacy(output) => match &output.amount {
            alonzo::Value::Coin(_) => 0,
            alonzo::Value::Multiasset(_, assets) => assets
                .iter()
                .find(|(policy, _)| policy.as_slice() == ntx.policy.0)
                .and_then(|(_, names)| names.iter().find(|(name, _)| name.as_slice() == ntx.name))
                .map_or(0, |(_, quantity)| *quantity),
        },
        GenTransactionOutput::PostAlonzo(output) => match &output.value {
            TxValue::Coin(_) => 0,
            TxValue::Multiasset(_, assets) => assets
                .iter()
                .find(|(policy, _)| policy.as_slice() == ntx.policy.0)
                .and_then(|(_, names)| names.iter().find(|(name, _)| name.as_slice() == ntx.name))
                .map_or(0, |(_, quantity)| u64::from(quantity)),
        },
    }
}
