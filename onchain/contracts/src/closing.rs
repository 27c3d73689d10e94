//! Reading from the chain how an escrow ended: what the transaction that spent it says, not what anybody claims.

use nunet_ledger::{OutPoint, RewardAccount, ScriptHash, TxId};
use pallas_codec::minicbor;
use pallas_primitives::conway::{RedeemerTag, Redeemers, Tx, Value as TxValue};
use pallas_traverse::OriginalHash;

use crate::{
    data::DataError,
    job::{JobAction, JobDatum, SettleItem},
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
    /// By the deadline.
    Refunded,
}

const WHAT: &str = "closing transaction";

/// Reads how `escrow`, with this datum, was closed by the transaction with this CBOR.
///
/// # Errors
/// When the transaction does not spend the escrow, or not through the job logic.
pub fn read_closing(
    protocol: &Protocol,
    cbor: &[u8],
    escrow: OutPoint,
    datum: &JobDatum,
) -> Result<Closing, DataError> {
    let tx: Tx<'_> = minicbor::decode(cbor).map_err(|error| DataError::new(WHAT, format!("malformed: {error}")))?;
    let mut inputs: Vec<OutPoint> = tx.transaction_body.inputs.iter().map(outpoint).collect::<Result<_, _>>()?;
    inputs.sort();
    if !inputs.contains(&escrow) {
        return Err(DataError::new(WHAT, format!("{} does not spend {escrow}", tx.transaction_body.original_hash())));
    }
    match logic_action(protocol, &tx)? {
        JobAction::Accept { .. } => Ok(Closing::Accepted),
        JobAction::Refund { .. } => Ok(Closing::Refunded),
        JobAction::Settle { signatures, evidence, payees, items, .. } => {
            let (paid, slashed) = amounts(protocol, &tx, &inputs, escrow, datum, payees, &items)?;
            let signatures = signatures.iter().flatten().count();
            Ok(Closing::Settled { paid, slashed, evidence, signatures })
        }
    }
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

/// Paid and slashed of one escrow among a settlement's items.
fn amounts(
    protocol: &Protocol,
    tx: &Tx<'_>,
    inputs: &[OutPoint],
    escrow: OutPoint,
    datum: &JobDatum,
    payees: u64,
    items: &[SettleItem],
) -> Result<(Ntx, Ntx), DataError> {
    let unclear = |problem: &str| DataError::new(WHAT, problem.to_owned());
    let settled: Vec<&SettleItem> = items.iter().filter(|item| !matches!(item, SettleItem::Skipped(_))).collect();
    // Inputs that are no escrows (the builder's own) stand between the escrows, and only they know which they are; so
    // the item is found by position only when the transaction settles one escrow.
    let [item] = settled.as_slice() else {
        return Err(unclear("it settles several escrows; their amounts are read from the verdict"));
    };
    match item {
        SettleItem::Explicit { paid, slashed, .. } => Ok((*paid, *slashed)),
        SettleItem::Skipped(_) => Err(unclear("the escrow was skipped")),
        SettleItem::FromOutput { .. } => {
            debug_assert!(inputs.contains(&escrow));
            let treasury = u64::from(datum.fee.0 > 0);
            let position = usize::try_from(treasury.saturating_add(payees)).map_err(|_| unclear("too many payees"))?;
            let output = tx.transaction_body.outputs.get(position).ok_or_else(|| unclear("the rest is missing"))?;
            let rest = ntx_in(protocol, output);
            let paid = datum.price.0.checked_sub(rest).ok_or_else(|| unclear("the rest exceeds the price"))?;
            Ok((Ntx(paid), Ntx(0)))
        }
    }
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
