//! Keys of nodes, and the fixed-width bytes that they sign.

use std::fmt;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use nunet_ledger::{Address, hash::blake2b_256};

/// The Ed25519 verification key of a node; its peer id is derived from it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartyKey(pub [u8; 32]);

impl fmt::Display for PartyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PartyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PartyKey({self})")
    }
}

/// A signature that does not verify.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {what} is not signed by {key}")]
pub struct BadSignature {
    /// What was signed.
    pub what: &'static str,
    /// Who should have signed it.
    pub key: PartyKey,
}

pub(crate) fn sign(key: &SigningKey, message: &[u8; 32]) -> [u8; 64] {
    key.sign(message).to_bytes()
}

pub(crate) fn verify(
    what: &'static str,
    key: PartyKey,
    message: &[u8; 32],
    signature: &[u8; 64],
) -> Result<(), BadSignature> {
    VerifyingKey::from_bytes(&key.0)
        .and_then(|verifying| verifying.verify_strict(message, &Signature::from_bytes(signature)))
        .map_err(|_| BadSignature { what, key })
}

/// Collects the fields of a signed message: a domain tag, then fixed widths, big-endian.
pub(crate) struct Message(Vec<u8>);

impl Message {
    pub(crate) fn new(domain: &'static str) -> Self {
        Self(domain.as_bytes().to_vec())
    }

    pub(crate) fn u8(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    pub(crate) fn u32(mut self, value: u32) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(crate) fn u64(mut self, value: u64) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(crate) fn fixed<const N: usize>(mut self, bytes: &[u8; N]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// An address varies in length, so its hash stands for it.
    pub(crate) fn address(self, address: &Address) -> Self {
        self.fixed(&blake2b_256(address.as_bytes()))
    }

    pub(crate) fn hash(self) -> [u8; 32] {
        blake2b_256(&self.0)
    }
}
