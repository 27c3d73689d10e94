//! Commit, then reveal: a provider binds itself to trace and result before anybody can see and copy them.

use ed25519_dalek::SigningKey;
use minicbor::{
    Decoder, Encoder,
    encode::{Encode, Write},
};

use crate::{
    binding::Binding,
    hash::{Hash32, SignedFields},
    key::{PublicKey, Signature},
    record::{MAX_RECORDS, OpRecord, trace_root},
    result::{MAX_RESULT_BYTES, ResultError, RunResult},
    wire::{self, DecodeError},
};

/// The most bytes of an encoded [`Commitment`].
pub const MAX_COMMITMENT_BYTES: usize = 256;

/// The most bytes of an encoded [`Reveal`].
pub const MAX_REVEAL_BYTES: usize = MAX_RESULT_BYTES + 8 * 1024 * 1024;

/// 32 random bytes that keep a commitment from being searched for; a fresh one for each escrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Salt(pub [u8; 32]);

/// A provider's signed promise of what it will reveal for an escrow. One that exists has a valid signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commitment {
    provider: PublicKey,
    binding: Binding,
    hash: Hash32,
    signature: Signature,
}

impl Commitment {
    /// Commits to a trace root and a result hash.
    pub fn sign(key: &SigningKey, binding: Binding, salt: &Salt, trace_root: &Hash32, result_hash: &Hash32) -> Self {
        let provider = PublicKey::of(key);
        let hash = commitment_hash(&binding, &provider, salt, trace_root, result_hash);
        let signature = Signature::sign(key, &signed_hash(&binding, &provider, &hash));
        Self { provider, binding, hash, signature }
    }

    /// Who committed.
    pub fn provider(&self) -> &PublicKey {
        &self.provider
    }

    /// For which escrow.
    pub fn binding(&self) -> &Binding {
        &self.binding
    }

    /// blake2b-256 of `"nunet/commit/1" ‖ magic ‖ provider key ‖ outpoint ‖ salt ‖ trace root ‖ result hash`.
    pub fn hash(&self) -> &Hash32 {
        &self.hash
    }

    /// Opens the commitment of the provider and the escrow that the agreement names.
    ///
    /// Anybody can send bytes that do not open a commitment, so a failure is about those bytes unless it [proves a
    /// fault](OpeningError::proves_fault). It becomes a finding ([`crate::Finding::BadOpening`]) only when the reveal
    /// time has passed and nothing else opened it.
    ///
    /// # Errors
    /// [`OpeningError`] says what does not fit.
    pub fn open(&self, provider: &PublicKey, binding: &Binding, reveal: &Reveal) -> Result<Opened, OpeningError> {
        if self.provider != *provider {
            return Err(OpeningError::OtherProvider { expected: *provider, found: self.provider });
        }
        if self.binding != *binding {
            return Err(OpeningError::OtherEscrow { expected: Box::new(*binding), found: Box::new(self.binding) });
        }
        if reveal.records.len() > MAX_RECORDS {
            return Err(OpeningError::TooManyRecords { count: reveal.records.len() });
        }
        let out_of_place = (0_u32..).zip(&reveal.records).find(|(place, record)| record.index != *place);
        if let Some((place, record)) = out_of_place {
            return Err(OpeningError::RecordOutOfPlace { place, index: record.index });
        }
        let result_hash = RunResult::hash_bytes(&reveal.result);
        if trace_root(&reveal.records, &result_hash) != reveal.trace_root {
            return Err(OpeningError::TraceRoot);
        }
        if commitment_hash(binding, provider, &reveal.salt, &reveal.trace_root, &result_hash) != self.hash {
            return Err(OpeningError::CommitmentHash);
        }
        Ok(Opened {
            trace_root: reveal.trace_root,
            result_hash,
            records: reveal.records.clone(),
            result: RunResult::from_bytes(&reveal.result)?,
        })
    }

    /// Canonical CBOR: `[magic, script hash, outpoint, provider key, commitment hash, signature]`.
    pub fn to_bytes(&self) -> Vec<u8> {
        wire::to_vec(self)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) writes and checks the signature.
    ///
    /// # Errors
    /// [`DecodeError`] for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let commitment = wire::decode_canonical("commitment", bytes, MAX_COMMITMENT_BYTES, |d: &mut Decoder<'_>| {
            wire::array_of(d, 6)?;
            Ok(Self {
                binding: wire::binding(d)?,
                provider: PublicKey(wire::fixed(d)?),
                hash: wire::hash32(d)?,
                signature: Signature(wire::fixed(d)?),
            })
        })?;
        let Self { provider, binding, hash, signature } = &commitment;
        provider.verify(&signed_hash(binding, provider, hash), signature)?;
        Ok(commitment)
    }
}

impl<C> Encode<C> for Commitment {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(6)?;
        wire::write_binding(e, &self.binding)?;
        e.bytes(&self.provider.0)?.bytes(&self.hash.0)?.bytes(&self.signature.0)?;
        Ok(())
    }
}

fn commitment_hash(
    binding: &Binding,
    provider: &PublicKey,
    salt: &Salt,
    trace_root: &Hash32,
    result_hash: &Hash32,
) -> Hash32 {
    SignedFields::new("nunet/commit/1")
        .u32(binding.magic)
        .bytes(&provider.0)
        .bytes(&binding.outpoint)
        .bytes(&salt.0)
        .hash32(trace_root)
        .hash32(result_hash)
        .digest()
}

/// What is signed: `"nunet/commitment/1" ‖ magic ‖ script hash ‖ outpoint ‖ provider key ‖ commitment hash`.
///
/// The commitment hash hides the outpoint until the reveal. Signed alone, a stranger could send it to members under
/// another outpoint of the same provider, where it can never be opened.
fn signed_hash(binding: &Binding, provider: &PublicKey, commitment_hash: &Hash32) -> Hash32 {
    SignedFields::new("nunet/commitment/1").binding(binding).bytes(&provider.0).hash32(commitment_hash).digest()
}

/// What opens a commitment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reveal {
    /// The commitment's salt.
    pub salt: Salt,
    /// The trace root.
    pub trace_root: Hash32,
    /// The records of all linear ops, in execution order.
    pub records: Vec<OpRecord>,
    /// The result's canonical bytes: see [`RunResult::to_bytes`].
    pub result: Vec<u8>,
}

impl Reveal {
    /// Canonical CBOR: `[salt, trace root, [record, …], result]`.
    pub fn to_bytes(&self) -> Vec<u8> {
        wire::to_vec(self)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) writes.
    ///
    /// # Errors
    /// [`DecodeError`] for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        wire::decode_canonical("reveal", bytes, MAX_REVEAL_BYTES, |d: &mut Decoder<'_>| {
            wire::array_of(d, 4)?;
            let (salt, trace_root) = (Salt(wire::fixed(d)?), wire::hash32(d)?);
            let count = wire::array_up_to(d, MAX_RECORDS as u64)?;
            let records = (0..count).map(|_| OpRecord::read(d)).collect::<Result<_, _>>()?;
            Ok(Self { salt, trace_root, records, result: d.bytes()?.to_vec() })
        })
    }
}

impl<C> Encode<C> for Reveal {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, context: &mut C) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(4)?.bytes(&self.salt.0)?.bytes(&self.trace_root.0)?.array(self.records.len() as u64)?;
        for record in &self.records {
            record.encode(e, context)?;
        }
        e.bytes(&self.result)?;
        Ok(())
    }
}

/// What a provider committed to, for the escrow and provider that it was opened for; all parts fit together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    trace_root: Hash32,
    result_hash: Hash32,
    records: Vec<OpRecord>,
    result: RunResult,
}

impl Opened {
    /// The committed trace root.
    pub fn trace_root(&self) -> &Hash32 {
        &self.trace_root
    }

    /// The committed result hash.
    pub fn result_hash(&self) -> &Hash32 {
        &self.result_hash
    }

    /// The op records, whose indices are their places.
    pub fn records(&self) -> &[OpRecord] {
        &self.records
    }

    /// The result.
    pub fn result(&self) -> &RunResult {
        &self.result
    }
}

/// Why a reveal does not open a commitment.
#[derive(Debug, thiserror::Error)]
pub enum OpeningError {
    /// The commitment is another provider's.
    #[error("the commitment is provider {found}'s, the agreement names {expected}; ignore the commitment")]
    OtherProvider {
        /// Who must have committed.
        expected: PublicKey,
        /// Who did.
        found: PublicKey,
    },
    /// The commitment is for another escrow.
    #[error("the commitment is for escrow {found}, not for {expected}; ignore the commitment")]
    OtherEscrow {
        /// The escrow in question.
        expected: Box<Binding>,
        /// The commitment's.
        found: Box<Binding>,
    },
    /// More op records than a trace holds.
    #[error("the reveal has {count} op records, over the limit of {MAX_RECORDS}; ignore it")]
    TooManyRecords {
        /// How many there are.
        count: usize,
    },
    /// The records are not numbered in order.
    #[error("the op record at place {place} of the reveal says it is number {index}; ignore the reveal")]
    RecordOutOfPlace {
        /// Where it stands.
        place: u32,
        /// Where it says it stands.
        index: u32,
    },
    /// The trace root is not that of the records and the result.
    #[error("the revealed trace root does not follow from the revealed op records and result; ignore the reveal")]
    TraceRoot,
    /// The commitment is to something else.
    #[error("the reveal is not what the provider committed to; ignore it and wait for one that is")]
    CommitmentHash,
    /// The result is not canonical.
    #[error("the provider committed to a result that cannot be read: {0}")]
    Result(#[from] ResultError),
}

impl OpeningError {
    /// Whether only the provider can have caused this: it committed to something that can never be opened.
    pub fn proves_fault(&self) -> bool {
        matches!(self, Self::Result(_))
    }
}
