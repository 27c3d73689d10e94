//! From what the members found to what is paid: a fixed function of an agreed set of transcripts.

use std::collections::BTreeMap;

use crate::{
    binding::Binding,
    check::FindingCode,
    hash::{Hash32, SignedFields},
    key::PublicKey,
    transcript::{Found, Subject, Transcript},
};

/// The most members of a committee, as its validator allows.
pub const MAX_MEMBERS: usize = 32;

/// Who may decide, and how many of them must find the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committee {
    members: Vec<PublicKey>,
    threshold: usize,
}

/// A committee that the validator would not allow either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitteeError {
    /// None, or too many.
    #[error("a committee of {count} members is not allowed; it has 1 to {MAX_MEMBERS}")]
    Count {
        /// How many there are.
        count: usize,
    },
    /// The keys are not strictly ascending.
    #[error("member {member} of the committee is out of order or there twice; keys ascend strictly")]
    Order {
        /// The first key that is not above the one before it.
        member: PublicKey,
    },
    /// Zero, or more than there are members.
    #[error("a threshold of {threshold} is not allowed in a committee of {count}; it is 1 to {count}")]
    Threshold {
        /// The threshold.
        threshold: usize,
        /// How many members there are.
        count: usize,
    },
}

impl Committee {
    /// The committee of a datum (`10-contracts.md`): keys strictly ascending, 1 ≤ threshold ≤ members ≤ 32.
    ///
    /// # Errors
    /// [`CommitteeError`] when it is not like that.
    pub fn new(members: Vec<PublicKey>, threshold: usize) -> Result<Self, CommitteeError> {
        let count = members.len();
        if !(1..=MAX_MEMBERS).contains(&count) {
            return Err(CommitteeError::Count { count });
        }
        if let Some((_, member)) = members.iter().zip(members.iter().skip(1)).find(|(a, b)| a >= b) {
            return Err(CommitteeError::Order { member: *member });
        }
        if !(1..=count).contains(&threshold) {
            return Err(CommitteeError::Threshold { threshold, count });
        }
        Ok(Self { members, threshold })
    }

    /// The members' keys, strictly ascending.
    pub fn members(&self) -> &[PublicKey] {
        &self.members
    }

    /// How many must find the same.
    pub fn threshold(&self) -> usize {
        self.threshold
    }

    /// The member whose turn it is to propose the agreed set, in round 0, 1, …: outpoint hash mod n at first, then the
    /// next one each time that nobody hears from it. The outpoint hash is blake2b-256, read big-endian, of
    /// `"nunet/proposer/1" ‖ magic ‖ script hash ‖ outpoint`.
    pub fn proposer(&self, binding: &Binding, round: u32) -> &PublicKey {
        let hash = SignedFields::new("nunet/proposer/1").binding(binding).digest();
        let count = self.members.len() as u64;
        let first = hash.0.iter().fold(0, |rest, byte| (rest * 256 + u64::from(*byte)) % count);
        &self.members[((first + u64::from(round)) % count) as usize]
    }
}

/// The amounts at stake in an escrow, in NTX base units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What the requester locked for the provider.
    pub price: u64,
    /// What the provider locked against a wrong result.
    pub bond: u64,
}

/// What the committee decides about a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What at least the threshold of members found.
    pub found: Found,
    /// What the provider gets of the price, in NTX base units.
    pub paid: u64,
    /// What the provider loses of the bond, in NTX base units.
    pub slashed: u64,
    /// Hash of the agreed set: `"nunet/transcripts/1" ‖ number u16 ‖ transcript hashes` in the order of member keys.
    pub transcripts: Hash32,
}

/// Why a set of transcripts decides nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoDecision {
    /// Signed by somebody else.
    #[error("{member} is no member of this committee; propose the set without its transcript")]
    NotAMember {
        /// The stranger's key.
        member: PublicKey,
    },
    /// About another escrow, agreement, kind, program or input.
    #[error("the transcript of member {member} is about another job; propose the set without it")]
    OtherSubject {
        /// The member's key.
        member: PublicKey,
    },
    /// One member signed two different findings.
    #[error("member {member} signed two findings for one escrow; keep both as evidence, propose the set without them")]
    SignedTwice {
        /// The member's key.
        member: PublicKey,
    },
    /// No finding has enough members.
    #[error("{agreeing} members at most found the same, {threshold} are needed; wait for more, or for the deadline")]
    TooFew {
        /// Members behind the most frequent finding.
        agreeing: usize,
        /// How many are needed.
        threshold: usize,
    },
    /// Two findings have enough members, which a threshold above half of them rules out.
    #[error("two findings each have {threshold} members or more; this committee's threshold is too low to decide")]
    Ambiguous {
        /// The committee's threshold.
        threshold: usize,
    },
}

/// Decides about a job. Order and repetitions in `transcripts` do not matter: a member counts once.
///
/// | found by at least the threshold, with equal roots | paid | slashed |
/// |---|---|---|
/// | accepted | price | 0 |
/// | wrong result, at the same place | 0 | bond |
/// | no reveal or bad opening, counted together as no reveal | 0 | bond |
///
/// # Errors
/// [`NoDecision`] says who or what stands in the way.
pub fn decide(
    transcripts: &[Transcript],
    committee: &Committee,
    subject: &Subject,
    terms: &Terms,
) -> Result<Decision, NoDecision> {
    let agreed = agreed_set(transcripts, committee, subject)?;
    let threshold = committee.threshold;
    let mut votes: BTreeMap<Found, usize> = BTreeMap::new();
    for transcript in agreed.values() {
        *votes.entry(transcript.found).or_default() += 1;
    }
    // Whether a bad reveal or none reached a member is up to the provider: it must not be able to split the votes, nor
    // to make two sets of the same transcripts decide differently.
    if let Some(bad) = votes.remove(&Found::bad_opening()) {
        *votes.entry(Found::no_reveal()).or_default() += bad;
    }
    let mut enough = votes.iter().filter(|(_, count)| **count >= threshold).map(|(found, _)| *found);
    let found = enough
        .next()
        .ok_or_else(|| NoDecision::TooFew { agreeing: votes.values().copied().max().unwrap_or(0), threshold })?;
    if enough.next().is_some() {
        return Err(NoDecision::Ambiguous { threshold });
    }
    let (paid, slashed) = amounts(found.finding().code(), terms);
    Ok(Decision { found, paid, slashed, transcripts: set_hash(&agreed) })
}

/// What a finding costs and earns: paid of the price, slashed of the bond.
pub fn amounts(finding: FindingCode, terms: &Terms) -> (u64, u64) {
    match finding {
        FindingCode::Accepted => (terms.price, 0),
        FindingCode::WrongResult | FindingCode::BadOpening | FindingCode::NoReveal => (0, terms.bond),
    }
}

struct Vote {
    found: Found,
    hash: Hash32,
}

/// One vote a member, in the order of keys.
fn agreed_set(
    transcripts: &[Transcript],
    committee: &Committee,
    subject: &Subject,
) -> Result<BTreeMap<PublicKey, Vote>, NoDecision> {
    let mut agreed: BTreeMap<PublicKey, Vote> = BTreeMap::new();
    for transcript in transcripts {
        let member = *transcript.member();
        if committee.members.binary_search(&member).is_err() {
            return Err(NoDecision::NotAMember { member });
        }
        if transcript.subject() != subject {
            return Err(NoDecision::OtherSubject { member });
        }
        let vote = Vote { found: *transcript.found(), hash: transcript.hash() };
        match agreed.get_mut(&member) {
            Some(first) if first.found != vote.found => return Err(NoDecision::SignedTwice { member }),
            // Signed again with other times, as after a crash: the lower hash, so that all pick the same one.
            Some(first) => first.hash = first.hash.min(vote.hash),
            None => drop(agreed.insert(member, vote)),
        }
    }
    Ok(agreed)
}

fn set_hash(agreed: &BTreeMap<PublicKey, Vote>) -> Hash32 {
    // A committee has at most 32 members.
    let start = SignedFields::new("nunet/transcripts/1").bytes(&(agreed.len() as u16).to_be_bytes());
    agreed.values().fold(start, |fields, vote| fields.hash32(&vote.hash)).digest()
}
