//! What one member found about one job, signed; members exchange these before they decide.

use ed25519_dalek::SigningKey;
use minicbor::{
    Decoder, Encoder,
    decode::Error,
    encode::{Encode, Write},
};

use crate::{
    binding::Binding,
    check::{Finding, FindingCode, ProofKind, Where, check_exact},
    commit::Opened,
    hash::{Hash32, SignedFields, ZERO},
    key::{PublicKey, Signature},
    trace::Execution,
    wire::{self, DecodeError},
};

/// The most bytes of an encoded [`Transcript`].
pub const MAX_TRANSCRIPT_BYTES: usize = 640;

/// What the members decide about: all of it stands in the agreement and on chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subject {
    /// The escrow.
    pub binding: Binding,
    /// The agreement's hash, which names the job.
    pub agreement: Hash32,
    /// The kind of proof agreed on.
    pub kind: ProofKind,
    /// The content hash of the model file.
    pub program_hash: Hash32,
    /// The input hash: see [`crate::input_hash`].
    pub input_hash: Hash32,
}

/// A finding with the roots it is about. Honest members of one job find equal ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Found {
    finding: Finding,
    trace_root: Hash32,
    result_hash: Hash32,
    model_root: Hash32,
    op_count: u32,
}

impl Found {
    /// What [`check_exact`] finds. `model_root` is that of the agreed program: see [`crate::model_root`].
    pub fn exact(opened: &Opened, own: &Execution, model_root: Hash32) -> Self {
        Self {
            finding: check_exact(opened, own),
            trace_root: *opened.trace_root(),
            result_hash: *opened.result_hash(),
            model_root,
            op_count: opened.records().len() as u32,
        }
    }

    /// Nothing opened the commitment by the reveal time ([`Finding::BadOpening`]).
    pub fn bad_opening() -> Self {
        Self::without_roots(Finding::BadOpening)
    }

    /// There was nothing to open by the reveal time ([`Finding::NoReveal`]).
    pub fn no_reveal() -> Self {
        Self::without_roots(Finding::NoReveal)
    }

    fn without_roots(finding: Finding) -> Self {
        Self { finding, trace_root: ZERO, result_hash: ZERO, model_root: ZERO, op_count: 0 }
    }

    /// The finding.
    pub fn finding(&self) -> Finding {
        self.finding
    }

    /// The trace root that the provider committed to; zero when nothing was opened.
    pub fn trace_root(&self) -> &Hash32 {
        &self.trace_root
    }

    /// The result hash that the provider committed to; zero when nothing was opened.
    pub fn result_hash(&self) -> &Hash32 {
        &self.result_hash
    }

    /// The model root of the agreed program; zero when nothing was opened.
    pub fn model_root(&self) -> &Hash32 {
        &self.model_root
    }

    /// How many op records the provider revealed; zero when nothing was opened.
    pub fn op_count(&self) -> u32 {
        self.op_count
    }

    /// Whether a finding without an opening carries no roots, as the constructors make it.
    fn is_well_formed(&self) -> bool {
        match self.finding {
            Finding::Accepted | Finding::WrongResult { .. } => true,
            Finding::BadOpening | Finding::NoReveal => *self == Self::without_roots(self.finding),
        }
    }
}

/// When a member worked on a job, in POSIX milliseconds of its own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timing {
    /// When it began.
    pub started: u64,
    /// When it was done.
    pub finished: u64,
}

/// What one member found. One that exists has a valid signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcript {
    member: PublicKey,
    subject: Subject,
    found: Found,
    timing: Timing,
    signature: Signature,
}

impl Transcript {
    /// Signs what a member found.
    pub fn sign(key: &SigningKey, subject: Subject, found: Found, timing: Timing) -> Self {
        let member = PublicKey::of(key);
        let signature = Signature::sign(key, &message_hash(&member, &subject, &found, &timing));
        Self { member, subject, found, timing, signature }
    }

    /// Who found it.
    pub fn member(&self) -> &PublicKey {
        &self.member
    }

    /// What it is about.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// What was found.
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// When.
    pub fn timing(&self) -> Timing {
        self.timing
    }

    /// blake2b-256 of the fixed-width fields that are signed:
    ///
    /// `"nunet/transcript/1" ‖ magic u32 ‖ script hash 28 ‖ outpoint 34 ‖ agreement 32 ‖ member key 32 ‖ kind u8 ‖
    /// finding u8 ‖ op u32 ‖ row u64 ‖ trace root 32 ‖ result hash 32 ‖ program hash 32 ‖ model root 32 ‖ input hash 32
    /// ‖ op count u32 ‖ started u64 ‖ finished u64`; op and row are 0 unless the finding has a place.
    pub fn hash(&self) -> Hash32 {
        message_hash(&self.member, &self.subject, &self.found, &self.timing)
    }

    /// Canonical CBOR: `[magic, script hash, outpoint, agreement, kind, program hash, input hash, member key, finding,
    /// [] or [op, row], trace root, result hash, model root, op count, started, finished, signature]`.
    pub fn to_bytes(&self) -> Vec<u8> {
        wire::to_vec(self)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) writes and checks the signature.
    ///
    /// # Errors
    /// [`DecodeError`] for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let transcript = wire::decode_canonical("transcript", bytes, MAX_TRANSCRIPT_BYTES, read)?;
        transcript.member.verify(&transcript.hash(), &transcript.signature)?;
        Ok(transcript)
    }
}

fn message_hash(member: &PublicKey, subject: &Subject, found: &Found, timing: &Timing) -> Hash32 {
    let at = found.finding.at().unwrap_or(Where { op: 0, row: 0 });
    SignedFields::new("nunet/transcript/1")
        .binding(&subject.binding)
        .hash32(&subject.agreement)
        .bytes(&member.0)
        .u8(subject.kind.number())
        .u8(found.finding.code().number())
        .u32(at.op)
        .u64(at.row)
        .hash32(&found.trace_root)
        .hash32(&found.result_hash)
        .hash32(&subject.program_hash)
        .hash32(&found.model_root)
        .hash32(&subject.input_hash)
        .u32(found.op_count)
        .u64(timing.started)
        .u64(timing.finished)
        .digest()
}

fn read(d: &mut Decoder<'_>) -> Result<Transcript, Error> {
    wire::array_of(d, 17)?;
    let subject = Subject {
        binding: wire::binding(d)?,
        agreement: wire::hash32(d)?,
        kind: ProofKind::from_number(d.u8()?).ok_or_else(|| Error::message("no such kind of proof"))?,
        program_hash: wire::hash32(d)?,
        input_hash: wire::hash32(d)?,
    };
    let member = PublicKey(wire::fixed(d)?);
    let code = FindingCode::from_number(d.u8()?).ok_or_else(|| Error::message("no such finding"))?;
    let at = match wire::array_up_to(d, 2)? {
        0 => None,
        2 => Some(Where { op: d.u32()?, row: d.u64()? }),
        _ => return Err(Error::message("a place is an op and a row")),
    };
    let found = Found {
        finding: Finding::from_parts(code, at)
            .ok_or_else(|| Error::message("a wrong result has a place, no other finding does"))?,
        trace_root: wire::hash32(d)?,
        result_hash: wire::hash32(d)?,
        model_root: wire::hash32(d)?,
        op_count: d.u32()?,
    };
    if !found.is_well_formed() {
        return Err(Error::message("without an opening there are no roots"));
    }
    let timing = Timing { started: d.u64()?, finished: d.u64()? };
    Ok(Transcript { member, subject, found, timing, signature: Signature(wire::fixed(d)?) })
}

impl<C> Encode<C> for Transcript {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), minicbor::encode::Error<W::Error>> {
        let Self { member, subject, found, timing, signature } = self;
        e.array(17)?;
        wire::write_binding(e, &subject.binding)?;
        e.bytes(&subject.agreement.0)?.u8(subject.kind.number())?;
        e.bytes(&subject.program_hash.0)?.bytes(&subject.input_hash.0)?;
        e.bytes(&member.0)?.u8(found.finding.code().number())?;
        match found.finding.at() {
            None => e.array(0)?,
            Some(at) => e.array(2)?.u32(at.op)?.u64(at.row)?,
        };
        e.bytes(&found.trace_root.0)?.bytes(&found.result_hash.0)?.bytes(&found.model_root.0)?;
        e.u32(found.op_count)?.u64(timing.started)?.u64(timing.finished)?.bytes(&signature.0)?;
        Ok(())
    }
}
