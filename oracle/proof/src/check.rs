//! What a member finds when it checks a job, and the `exact` check: a comparison with its own execution.

use nunet_compute::Tensor;

use crate::{commit::Opened, result::RunResult, trace::Execution};

/// What the members were asked to do; the numbers are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ProofKind {
    /// Re-execute the whole job.
    Exact = 1,
    /// Recompute rows drawn after the commitment.
    Sampled = 2,
    /// Compare several providers' reveals.
    Replicated = 3,
    /// Check the provider's signature over result and trace root.
    Receipt = 4,
    /// Check hardware evidence bound to the trace root, on top of another kind.
    Attested = 5,
}

impl ProofKind {
    /// The number that stands in signed bytes.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The kind of a number.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Exact, Self::Sampled, Self::Replicated, Self::Receipt, Self::Attested]
            .into_iter()
            .find(|kind| kind.number() == number)
    }
}

/// The place in a run where what a provider revealed first differs from what a member computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Where {
    /// A linear op's index when its record differs, or is missing or too many; else the number of linear ops plus the
    /// index of the differing output (0 when the model has one).
    pub op: u32,
    /// For an output of equal name, type and shape, the first differing row, counted along its outermost dimension;
    /// else 0.
    pub row: u64,
}

/// What a member found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Finding {
    /// Result and trace are right.
    Accepted,
    /// Result or trace is wrong.
    WrongResult {
        /// Where it first differs.
        at: Where,
    },
    /// By the reveal time only reveals came that do not open the commitment, or the committed result cannot be read.
    BadOpening,
    /// By the reveal time no commitment, or no reveal, came.
    NoReveal,
}

/// The kind of a finding without its place; the numbers are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum FindingCode {
    /// [`Finding::Accepted`].
    Accepted = 1,
    /// [`Finding::WrongResult`].
    WrongResult = 2,
    /// [`Finding::BadOpening`].
    BadOpening = 3,
    /// [`Finding::NoReveal`].
    NoReveal = 4,
}

impl Finding {
    /// The finding without its place.
    pub fn code(&self) -> FindingCode {
        match self {
            Self::Accepted => FindingCode::Accepted,
            Self::WrongResult { .. } => FindingCode::WrongResult,
            Self::BadOpening => FindingCode::BadOpening,
            Self::NoReveal => FindingCode::NoReveal,
        }
    }

    /// Where it went wrong, for a wrong result.
    pub fn at(&self) -> Option<Where> {
        match self {
            Self::WrongResult { at } => Some(*at),
            Self::Accepted | Self::BadOpening | Self::NoReveal => None,
        }
    }

    /// The finding of a code and a place, which a wrong result has and no other.
    pub fn from_parts(code: FindingCode, at: Option<Where>) -> Option<Self> {
        match (code, at) {
            (FindingCode::Accepted, None) => Some(Self::Accepted),
            (FindingCode::WrongResult, Some(at)) => Some(Self::WrongResult { at }),
            (FindingCode::BadOpening, None) => Some(Self::BadOpening),
            (FindingCode::NoReveal, None) => Some(Self::NoReveal),
            _ => None,
        }
    }
}

impl FindingCode {
    /// The number that stands in signed bytes.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The code of a number.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Accepted, Self::WrongResult, Self::BadOpening, Self::NoReveal]
            .into_iter()
            .find(|code| code.number() == number)
    }
}

/// The `exact` check: compares what a provider revealed with the member's own execution of the same job.
pub fn check_exact(opened: &Opened, own: &Execution) -> Finding {
    // The trace root follows from records and result hash, so equal roots leave nothing to compare.
    if opened.trace_root() == own.trace_root() && opened.result_hash() == own.result_hash() {
        return Finding::Accepted;
    }
    let (theirs, ours) = (opened.records(), own.records());
    let shared = theirs.iter().zip(ours).take_while(|(their, our)| their == our).count();
    let at = if shared < theirs.len().max(ours.len()) {
        Where { op: shared as u32, row: 0 }
    } else {
        let (output, row) = first_difference(opened.result(), own.result());
        Where { op: (shared as u32).saturating_add(output), row }
    };
    Finding::WrongResult { at }
}

/// The first differing output and row of two results.
fn first_difference(theirs: &RunResult, ours: &RunResult) -> (u32, u64) {
    let (theirs, ours) = (theirs.outputs(), ours.outputs());
    let shared = theirs.iter().zip(ours).take_while(|(their, our)| their == our).count();
    let row = match (theirs.get(shared), ours.get(shared)) {
        (Some(their), Some(our)) => first_differing_row(their, our),
        _ => 0,
    };
    (shared as u32, row)
}

fn first_differing_row(their: &Tensor, our: &Tensor) -> u64 {
    if (their.name(), their.dtype(), their.shape()) != (our.name(), our.dtype(), our.shape()) {
        return 0;
    }
    let byte = their.data().iter().zip(our.data()).take_while(|(their, our)| their == our).count();
    let rows = our.shape().first().copied().unwrap_or(1).max(1);
    (byte / (our.data().len() / rows).max(1)) as u64
}
