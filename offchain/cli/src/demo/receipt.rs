//! The receipt: what was agreed, what happened, and what everybody holds now, all of it read from the chain.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

use nunet_agent::{JobReport, JobTimes};
use nunet_contracts::{AgreementHash, Closing, MemberKey, Ntx};
use nunet_ledger::{Lovelace, TxId};
use nunet_market::Quote;
use nunet_proof::{Finding, FindingCode, ProofKind, Where};
use serde_json::json;

use super::{
    Books, Stage,
    audit::{Discrepancy, Holdings, Party},
    digits::Digits,
    stage::{describe, short},
};

/// How the escrow ended, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The provider was paid.
    Settled,
    /// The requester got the price back.
    Refunded,
    /// The requester got the price back, and of the provider's bond what it lost.
    Slashed,
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::Refunded => "refunded",
            Self::Slashed => "slashed",
        }
    }
}

/// What a job ended with.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// In one word.
    pub outcome: Outcome,
    /// The agreement, which names the job.
    pub job: AgreementHash,
    /// The quote that was taken.
    pub quote: Quote,
    /// The transaction that locked the escrow.
    pub lock_tx: TxId,
    /// The transaction that closed it.
    pub settle_tx: TxId,
    /// How.
    pub closing: Closing,
    /// The kind of proof.
    pub kind: ProofKind,
    /// Members of the committee.
    pub members: usize,
    /// Members whose signatures the closing transaction carries.
    pub signatures: usize,
    /// What right work costs.
    pub price: Ntx,
    /// What the provider got of it.
    pub paid: Ntx,
    /// What the requester got back of what it locked.
    pub refunded: Ntx,
    /// What the committee got.
    pub fee: Ntx,
    /// The provider's bond.
    pub bond: Ntx,
    /// What it lost of it, to the requester.
    pub slashed: Ntx,
    /// What the committee found, when it ruled.
    pub finding: Option<FindingCode>,
    /// Where the result was wrong.
    pub at: Option<Where>,
    /// What each member found, and whether it signed a verdict.
    pub verdicts: BTreeMap<MemberKey, (Finding, bool)>,
    /// Network fees of lock and closing transaction.
    pub tx_fees: [Lovelace; 2],
    /// What the provider computed with.
    pub device: String,
    /// Right labels among the images that training never saw, 0 to 1; `None` without a result.
    pub accuracy: Option<f64>,
    /// Hash of the revealed result.
    pub result_hash: Option<String>,
    /// What is not conserved; empty when all is well.
    pub discrepancies: Vec<Discrepancy>,
    /// Holdings before and after the job.
    pub balances: Vec<(Party, Holdings, Holdings)>,
    /// When the steps of the job were done.
    pub times: JobTimes,
    /// The whole demo, from start to end.
    pub took: Duration,
}

impl Receipt {
    /// Draws up the receipt from the report and the books.
    pub fn new(stage: &Stage, digits: &Digits, report: JobReport, books: &Books) -> Self {
        let datum = &books.facts.datum;
        let (paid, slashed, fee) = books.amounts();
        let refunded = Ntx(datum.price.0 + datum.fee.0 - paid.0 - fee.0);
        let rulings = report.rulings.by_member();
        let verdicts = report
            .transcripts
            .iter()
            .map(|transcript| {
                let member = MemberKey(transcript.member().0);
                (member, (transcript.found().finding(), rulings.contains_key(&member)))
            })
            .collect();
        let (finding, signatures) = match &report.closing {
            Closing::Settled { evidence, signatures, .. } => {
                let ruled = rulings.values().find(|judgement| judgement.verdict.evidence() == evidence);
                (ruled.map(|judgement| judgement.evidence.finding), *signatures)
            }
            Closing::Accepted | Closing::Agreed | Closing::Redeemed { .. } | Closing::Refunded => (None, 0),
        };
        let at = finding.and_then(|code| {
            report
                .transcripts
                .iter()
                .map(|transcript| transcript.found().finding())
                .find(|found| found.code() == code)?
                .at()
        });
        let labels = report.result.as_ref().and_then(|result| result.outputs().first());
        Self {
            outcome: match (paid.0, slashed.0) {
                (_, 1..) => Outcome::Slashed,
                (1.., 0) => Outcome::Settled,
                (0, 0) => Outcome::Refunded,
            },
            job: report.agreement.hash(),
            lock_tx: report.lock_tx,
            settle_tx: report.closing_tx,
            closing: report.closing,
            kind: report.agreement.spec.kind,
            members: stage.committee().datum.members().len(),
            signatures,
            price: datum.price,
            paid,
            refunded,
            fee,
            bond: datum.bond,
            slashed,
            finding,
            at,
            verdicts,
            tx_fees: [books.facts.lock_fee, books.facts.closing_fee],
            device: stage.device().to_owned(),
            accuracy: labels.and_then(|labels| digits.held_out_accuracy(labels)),
            result_hash: report.result.as_ref().map(|result| result.hash().to_string()),
            discrepancies: books.discrepancies(),
            balances: books.balances(),
            quote: report.quote,
            times: report.times,
            took: Duration::ZERO,
        }
    }

    /// Whether every party holds exactly what datum and verdict say.
    pub fn conserved(&self) -> bool {
        self.discrepancies.is_empty()
    }

    /// One JSON object: amounts in base units, hashes in hex.
    pub fn to_json(&self) -> serde_json::Value {
        json!({
            "outcome": self.outcome.name(),
            "job": self.job.to_string(),
            "lock_tx": self.lock_tx.to_string(),
            "settle_tx": self.settle_tx.to_string(),
            "kind": kind_name(self.kind),
            "members": self.members,
            "signatures": self.signatures,
            "price": self.price.0,
            "paid": self.paid.0,
            "refunded": self.refunded.0,
            "fee": self.fee.0,
            "bond": self.bond.0,
            "slashed": self.slashed.0,
            "finding": self.finding.map(finding_name),
            "where": self.at.map(|at| json!({"op": at.op, "row": at.row})),
            "tx_fees_lovelace": self.tx_fees.iter().map(|fee| fee.0).sum::<u64>(),
            "device": self.device,
            "accuracy": self.accuracy,
            "result_hash": self.result_hash,
            "conserved": self.conserved(),
            "seconds": (self.took.as_secs_f64() * 1000.0).round() / 1000.0,
        })
    }

    /// For people.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let headline = match (&self.closing, self.outcome) {
            (Closing::Refunded, _) => "no verdict by the deadline: the money went back, with nobody's permission",
            (_, Outcome::Settled) => "the work was right: the provider is paid",
            (_, Outcome::Refunded) => "the work was wrong: the provider is not paid, the price went back",
            (_, Outcome::Slashed) => "the work was wrong: the price went back, and the provider's bond with it",
        };
        writeln!(out, "\nRECEIPT  {headline}\n")?;
        let mut row = |name: &str, value: String| writeln!(out, "  {name:<12} {value}");
        row("job", self.job.to_string())?;
        row(
            "quote",
            format!("{} with a bond of {}, by node {}", self.quote.price, self.quote.bond, short(&self.quote.provider)),
        )?;
        row("lock", self.lock_tx.to_string())?;
        row("device", self.device.clone())?;
        row("proof", format!("{}: members re-execute the whole job, bit for bit", kind_name(self.kind)))?;
        if let Some(hash) = &self.result_hash {
            row("result", hash.clone())?;
        }
        if let Some(accuracy) = self.accuracy {
            row("accuracy", format!("{:.2} % of the images that training never saw", accuracy * 100.0))?;
        }
        for (member, (finding, signed)) in &self.verdicts {
            let signed = if *signed { "signed" } else { "did not sign" };
            row("member", format!("{}: {}; {signed}", short(member), describe(finding)))?;
        }
        for _ in self.verdicts.len()..self.members {
            row("member", "silent".into())?;
        }
        let closed = match &self.closing {
            Closing::Settled { signatures, .. } => format!("settled with {signatures} of {} signatures", self.members),
            Closing::Accepted => "accepted by the requester".into(),
            Closing::Agreed => "divided as requester and provider agreed".into(),
            Closing::Redeemed { amount } => format!("redeemed by the provider with a voucher of {amount}"),
            Closing::Refunded => "refunded after the deadline".into(),
        };
        row("settlement", format!("{}\n               {closed}", self.settle_tx))?;
        row(
            "money",
            format!("{} price: {} paid, {} back; {} to the committee", self.price, self.paid, self.refunded, self.fee),
        )?;
        if self.bond.0 > 0 {
            let kept = Ntx(self.bond.0 - self.slashed.0);
            let what = format!("{}: {kept} back to the provider, {} to the requester", self.bond, self.slashed);
            row("bond", what)?;
        }
        let [lock, close] = self.tx_fees;
        row("network", format!("fees of {lock} for the lock and {close} for the settlement"))?;
        writeln!(
            out,
            "\n  {:<12} {:>20} {:>20} {:>24} {:>24}",
            "", "NTX before", "NTX after", "ADA before", "ADA after"
        )?;
        for (party, before, after) in &self.balances {
            let ntx = |units: i128| format!("{}.{:06}", units / 1_000_000, units % 1_000_000);
            writeln!(
                out,
                "  {:<12} {:>20} {:>20} {:>24} {:>24}",
                party.to_string(),
                ntx(before.ntx),
                ntx(after.ntx),
                ntx(before.lovelace),
                ntx(after.lovelace)
            )?;
        }
        if self.conserved() {
            writeln!(out, "\n  conserved    every party holds exactly what datum and verdict say")?;
        } else {
            writeln!(out, "\n  NOT CONSERVED")?;
            for discrepancy in &self.discrepancies {
                writeln!(out, "    {discrepancy}")?;
            }
        }
        let JobTimes { agreed, locked, closed } = self.times;
        let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
        writeln!(
            out,
            "  times        agreed {}, locked {}, closed {} after the demand; {} with the devnet's start and deployment\n",
            seconds(agreed),
            seconds(locked),
            seconds(closed),
            seconds(self.took)
        )
    }
}

fn kind_name(kind: ProofKind) -> &'static str {
    match kind {
        ProofKind::Exact => "exact",
        ProofKind::Sampled => "sampled",
        ProofKind::Replicated => "replicated",
        ProofKind::Receipt => "receipt",
        ProofKind::Attested => "attested",
    }
}

fn finding_name(code: FindingCode) -> &'static str {
    match code {
        FindingCode::Accepted => "accepted",
        FindingCode::WrongResult => "wrong_result",
        FindingCode::BadOpening => "bad_opening",
        FindingCode::NoReveal => "no_reveal",
    }
}
