//! Closing many escrows in few transactions, without IO: who closes by which way, who is put together, and how much one
//! transaction takes.
//!
//! ```text
//! SignedVerdict ─ check ─► UsableVerdict ┐
//!                                 Escrow ┴ ways_out ─► Way, … or an Obstacle
//! ways ─ assign ─► one way for each escrow ─ sort_by_payees ─ pack ─► one set of escrows per transaction
//! ```
//!
//! A transaction has one way out: it settles by one verdict, or it refunds. Escrows of several verdicts never share one;
//! refunds always can. An escrow that a verdict settles is never refunded, also after its deadline.
//!
//! # What is exact, and what is not
//!
//! - [`largest`] is exact: it finds the longest prefix that fits, as long as less never takes more.
//! - [`pack`] takes the longest prefix again and again. That is the fewest sets for escrows that cost the same, and for
//!   any escrows that have to stay in their order. Otherwise every set but the last is full to less than the next
//!   escrow; as one escrow takes a hundredth of a transaction, at most one more transaction than the fewest comes of it,
//!   and only when the last one would nearly fit into what the others leave. Then its few escrows are tried there, and
//!   all are packed once more from the other end. Held against every partition under limits of a few escrows, it finds
//!   the fewest in nineteen cases of twenty.
//! - [`sort_by_payees`] is a heuristic: it brings those together who share a payee, because a payout to one address is
//!   one output of a transaction.
//! - [`assign`] chooses among the verdicts of an escrow that has several. It is exact when a transaction takes the same
//!   number of escrows whichever they are, up to [`CANDIDATES`] ways to divide the transactions among the verdicts that
//!   have escrows in common; beyond, it is greedy.

mod cover;
mod fit;
mod order;

use nunet_ledger::PosixMs;

pub use self::{
    cover::{CANDIDATES, assign},
    fit::{Attempt, Largest, Load, Packed, largest, pack},
    order::sort_by_payees,
};
use crate::{
    committee::CommitteeId,
    data::DataError,
    protocol::{Committee, Protocol},
    transactions::{Escrow, Shortfall, divide},
    verdict::{Leaf, Signatures, Verdict},
};

/// A verdict as it is brought to the chain, trusted in nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedVerdict {
    /// The verdict.
    pub verdict: Verdict,
    /// What members signed; keys that are no members' and signatures that do not verify do no harm.
    pub signatures: Signatures,
    /// Whose members they are.
    pub committee: CommitteeId,
}

/// A verdict that settles: enough members of the committee, as it stands, signed it.
#[derive(Clone, Debug)]
pub struct UsableVerdict {
    /// The verdict.
    pub verdict: Verdict,
    /// Exactly as many signatures as are needed: each more would take bytes and steps of escrows.
    pub signatures: Signatures,
    /// The committee as it stands on chain.
    pub committee: Committee,
}

/// Why a verdict does not settle an escrow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// The committee is not on chain.
    #[error("committee {0} is not on chain")]
    CommitteeMissing(CommitteeId),
    /// Another network or validator.
    #[error("it names another network or another version of the job validator")]
    OtherProtocol,
    /// Fewer signatures verify than the committee asks for.
    #[error("{valid} good signatures of present members, {threshold} are needed: collect more")]
    TooFewSignatures {
        /// How many are good.
        valid: usize,
        /// How many are needed.
        threshold: usize,
    },
    /// Its leaf does not fit the escrow.
    #[error("{0}")]
    Unfit(String),
}

/// Why an escrow cannot be closed, or not yet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// There is no such output.
    #[error("it is not on chain (yet): wait for its transaction, or check the outpoint")]
    NotOnChain,
    /// No escrow is there: anybody can send anything to the address.
    #[error("it is no escrow: {0}")]
    NoEscrow(#[from] DataError),
    /// Payouts follow the datum, so that whoever closes it would pay what is missing.
    #[error("{0}")]
    Underfunded(#[from] Shortfall),
    /// No verdict settles it, and its deadline has not passed.
    #[error("no verdict settles it, and it can be refunded from {} ms on{}", deadline.0, list(flaws))]
    Waiting {
        /// When it can be refunded.
        deadline: PosixMs,
        /// What is wrong with each verdict about it.
        flaws: Vec<Flaw>,
    },
    /// A validator or the ledger refuses it.
    #[error("no transaction can close it: {0}")]
    Refused(String),
}

fn list(flaws: &[Flaw]) -> String {
    flaws.iter().map(|flaw| format!("; a verdict about it does not: {flaw}")).collect()
}

/// How a transaction closes escrows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// By the verdict at this place among those given.
    Settle(usize),
    /// By the deadline.
    Refund,
}

impl SignedVerdict {
    /// Checks everything but the escrows. `committee` is the one that the verdict names, as it stands on chain.
    ///
    /// # Errors
    /// When no escrow can be settled by it.
    pub fn check(&self, protocol: &Protocol, committee: Option<&Committee>) -> Result<UsableVerdict, Flaw> {
        let committee =
            committee.filter(|found| found.id == self.committee).ok_or(Flaw::CommitteeMissing(self.committee))?;
        if !self.verdict.is_under(protocol.magic(), protocol.logic_hash()) {
            return Err(Flaw::OtherProtocol);
        }
        let mut signatures = committee.verified(&self.verdict.message(), &self.signatures);
        let threshold = committee.datum.threshold();
        if signatures.len() < threshold {
            return Err(Flaw::TooFewSignatures { valid: signatures.len(), threshold });
        }
        while signatures.len() > threshold {
            signatures.pop_last();
        }
        Ok(UsableVerdict { verdict: self.verdict.clone(), signatures, committee: committee.clone() })
    }
}

impl UsableVerdict {
    fn fits(&self, escrow: &Escrow, leaf: &Leaf) -> Result<(), Flaw> {
        divide(&self.committee, escrow, leaf).map(|_| ()).map_err(|error| Flaw::Unfit(error.to_string()))
    }
}

/// The ways out of an escrow at the time `now` of the latest block, of which there is at least one. `checked` are the
/// results of checking the verdicts, in the same order.
///
/// # Errors
/// When there is none (yet).
pub fn ways_out(
    protocol: &Protocol,
    escrow: &Escrow,
    verdicts: &[SignedVerdict],
    checked: &[Result<UsableVerdict, Flaw>],
    now: PosixMs,
) -> Result<Vec<Way>, Obstacle> {
    escrow.check_funds(protocol)?;
    let (mut ways, mut flaws) = (Vec::new(), Vec::new());
    for (place, (signed, checked)) in verdicts.iter().zip(checked).enumerate() {
        let Some(leaf) = signed.verdict.leaf(escrow.outpoint) else { continue };
        match checked.as_ref().map_err(Clone::clone).and_then(|usable| usable.fits(escrow, leaf)) {
            Ok(()) => ways.push(Way::Settle(place)),
            Err(flaw) => flaws.push(flaw),
        }
    }
    let deadline = escrow.datum.deadline;
    match (ways.is_empty(), deadline <= now) {
        (false, _) => Ok(ways),
        (true, true) => Ok(vec![Way::Refund]),
        (true, false) => Err(Obstacle::Waiting { deadline, flaws }),
    }
}
