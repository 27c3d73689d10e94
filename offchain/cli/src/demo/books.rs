//! The books of one job: the ledger before and after, who owns what, and what must have happened in between.

use anyhow::Context;
use nunet_agent::JobReport;
use nunet_contracts::{Closing, Ntx};
use nunet_ledger::{Address, AssetId, Lovelace, OutPoint, TxId, TxOut, Value, fees::min_ada};

use super::{
    Stage,
    audit::{Discrepancy, Facts, Holdings, Owners, Party, audit, holdings},
};
use crate::accounts::Role;

/// All that the audit looks at.
#[derive(Clone, Debug)]
pub struct Books {
    /// Every unspent output before the job.
    pub before: Vec<(OutPoint, TxOut)>,
    /// Every unspent output after it.
    pub after: Vec<(OutPoint, TxOut)>,
    /// The token.
    pub ntx: AssetId,
    /// Whose addresses are whose.
    pub owners: Owners,
    /// The job's escrow.
    pub escrow: OutPoint,
    /// Terms and way out.
    pub facts: Facts,
}

impl Books {
    /// Opens the books of a job that has ended.
    pub fn new(
        stage: &Stage,
        report: &JobReport,
        before: Vec<(OutPoint, TxOut)>,
        after: Vec<(OutPoint, TxOut)>,
    ) -> anyhow::Result<Self> {
        let terms = report.agreement.escrow_terms();
        let datum = terms.datum;
        let owners = Owners {
            requester: stage.addresses(Role::Requester),
            provider: stage.addresses(Role::Provider),
            treasury: stage.addresses(Role::Treasury),
        };
        let find = |id: TxId| stage.devnet().transaction(&id).with_context(|| format!("the devnet lost {id}"));
        let (lock, close) = (find(report.lock_tx)?, find(report.closing_tx)?);
        let ntx = stage.accounts().ntx.clone();
        let params = stage.chain().params();
        let min_of = |address: &Address, amount: Ntx| -> anyhow::Result<Lovelace> {
            let value = Value::default().with(ntx.clone(), amount.0).context("an amount beyond 64 bits")?;
            let mut output = TxOut::new(address.clone(), value);
            // A first minimum makes the output as long as it will be.
            output.value.set_lovelace(min_ada(&params, &output));
            Ok(min_ada(&params, &output))
        };
        let (paid, slashed, _) = amounts(&report.closing, datum.price, datum.fee);
        let facts = Facts {
            closing: report.closing.clone(),
            tip: terms.tip,
            lock_fee: lock.fee,
            closing_fee: close.fee,
            closer: closer(&owners, &close.produced, &datum.requester, &datum.provider),
            treasury_min: min_of(stage.committee().datum.treasury(), datum.fee)?,
            provider_min: min_of(&datum.provider, Ntx(paid.0 + datum.bond.0 - slashed.0))?,
            datum,
        };
        Ok(Self { before, after, ntx, owners, escrow: report.escrow, facts })
    }

    /// Paid, slashed, and what the committee got.
    pub fn amounts(&self) -> (Ntx, Ntx, Ntx) {
        amounts(&self.facts.closing, self.facts.datum.price, self.facts.datum.fee)
    }

    /// What is not as it should be.
    pub fn discrepancies(&self) -> Vec<Discrepancy> {
        audit(&self.before, &self.after, &self.ntx, &self.owners, self.escrow, &self.facts)
    }

    /// What each party held before and after.
    pub fn balances(&self) -> Vec<(Party, Holdings, Holdings)> {
        let of = |snapshot: &[_], party| holdings(snapshot, &self.ntx, &self.owners, party);
        [Party::Requester, Party::Provider, Party::Treasury]
            .map(|party| (party, of(&self.before, party), of(&self.after, party)))
            .to_vec()
    }
}

fn amounts(closing: &Closing, price: Ntx, fee: Ntx) -> (Ntx, Ntx, Ntx) {
    match closing {
        Closing::Settled { paid, slashed, .. } => (*paid, *slashed, fee),
        Closing::Accepted => (price, Ntx(0), Ntx(0)),
        Closing::Redeemed { amount } => (*amount, Ntx(0), Ntx(0)),
        Closing::Agreed | Closing::Refunded => (Ntx(0), Ntx(0), Ntx(0)),
    }
}

/// Who built a transaction: its change goes to them, and no payout goes to a change address.
fn closer(owners: &Owners, produced: &[(OutPoint, TxOut)], requester: &Address, provider: &Address) -> Party {
    let changed = |addresses: &[Address], payout: &Address| {
        produced.iter().any(|(_, output)| output.address != *payout && addresses.contains(&output.address))
    };
    if changed(&owners.provider, provider) {
        Party::Provider
    } else if changed(&owners.requester, requester) {
        Party::Requester
    } else {
        Party::Others
    }
}
