//! Who signed: Ed25519 keys of providers and members, and their signatures over message hashes.

use std::fmt;

use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};

use crate::hash::Hash32;

/// An Ed25519 verification key (RFC 8032): a provider's or a member's name. Ordered as its bytes are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 32]);

/// An Ed25519 signature over the 32 bytes of a message hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature(pub [u8; 64]);

/// A signature that does not belong to its key and message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature over {message} is not one of key {key}; drop the message and note who sent it")]
pub struct BadSignature {
    /// The key that was said to have signed.
    pub key: PublicKey,
    /// The hash that it should have signed.
    pub message: Hash32,
}

impl PublicKey {
    /// The public half of a signing key.
    pub fn of(key: &SigningKey) -> Self {
        Self(key.verifying_key().to_bytes())
    }

    /// Checks a signature strictly: no small-order keys, no malleable encodings (`verify_strict`).
    ///
    /// # Errors
    /// [`BadSignature`] when the key is no curve point or the signature is not its own over `message`.
    pub fn verify(&self, message: &Hash32, signature: &Signature) -> Result<(), BadSignature> {
        let bad = BadSignature { key: *self, message: *message };
        let key = VerifyingKey::from_bytes(&self.0).map_err(|_| bad)?;
        key.verify_strict(&message.0, &ed25519_dalek::Signature::from_bytes(&signature.0)).map_err(|_| bad)
    }
}

impl Signature {
    /// Signs the 32 bytes of a message hash.
    pub(crate) fn sign(key: &SigningKey, message: &Hash32) -> Self {
        Self(key.sign(&message.0).to_bytes())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({})", hex::encode(self.0))
    }
}
