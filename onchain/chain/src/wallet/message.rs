//! Signed messages: proofs that somebody holds the key of an address, without a transaction.
//!
//! [CIP-8](https://cips.cardano.org/cip/CIP-8) in the form that [CIP-30](https://cips.cardano.org/cip/CIP-30) wallets'
//! `signData` returns: a `COSE_Sign1` with the payload and a `COSE_Key` beside it
//! ([RFC 9052](https://www.rfc-editor.org/rfc/rfc9052)). The same key, address and payload give the same bytes as there.

mod cose;

use std::{fmt, str::FromStr};

use nunet_ledger::{Address, Credential, KeyHash, ParseIdError, RewardAccount, hash::blake2b_224};
use pallas_addresses::Address as AnyAddress;
use pallas_crypto::key::ed25519::{PublicKey, Signature};

pub use self::cose::CoseError;
use self::cose::{CoseKey, Sign1};
use super::Wallet;

/// Most bytes of a signed message that are read.
pub const MAX_MESSAGE: usize = 64 * 1024;

/// Why a message cannot be signed, or its signature says nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// The wallet cannot sign for the address.
    #[error("the wallet has no key for {0}: sign for one of its own addresses")]
    NotOurs(Signer),
    /// Longer than anything that is read.
    #[error("{0} bytes are too much: a signed message has at most {MAX_MESSAGE}")]
    TooLong(usize),
    /// The bytes are not what CIP-30 describes.
    #[error(transparent)]
    Cose(#[from] CoseError),
    /// Nothing says which key signed.
    #[error("nothing says which key signed: give the key (COSE_Key) that came with the signature")]
    NoKey,
    /// Two keys are named.
    #[error("the key that was given is not the one that the signature names")]
    OtherKey,
    /// The address is none that a key alone controls.
    #[error("the address in the signature, {0}, is no base, enterprise or stake address of a key")]
    BadAddress(String),
    /// Another key controls the address.
    #[error("the key that signed, {key}, does not control {address}: somebody else signed, or for another address")]
    WrongAddress {
        /// The key's hash.
        key: KeyHash,
        /// The address in the signature.
        address: Signer,
    },
    /// The signature does not fit.
    #[error(
        "the signature is not by the key for this address and message: something was changed, or it was never good"
    )]
    BadSignature,
}

/// The address that a message is signed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signer {
    /// A payment address: its payment key signs.
    Payment(Address),
    /// A stake account: the stake key signs.
    Stake(RewardAccount),
}

impl Signer {
    /// The key that controls the address; `None` when a script does, or nobody can tell (Byron).
    pub fn key(&self) -> Option<KeyHash> {
        let credential = match self {
            Self::Payment(address) => address.payment()?,
            Self::Stake(account) => account.credential,
        };
        match credential {
            Credential::Key(hash) => Some(hash),
            Credential::Script(_) => None,
        }
    }

    /// The bytes that the message's header holds.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Payment(address) => address.as_bytes().to_vec(),
            Self::Stake(account) => account.to_bytes().to_vec(),
        }
    }

    /// Reads a base, enterprise or stake address: nothing else, and nothing after it.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if let Ok(account) = RewardAccount::from_bytes(bytes) {
            return (account.network_id <= 1).then_some(Self::Stake(account));
        }
        let address = Address::from_bytes(bytes).ok()?;
        let network = address.network_id().filter(|network| *network <= 1)?;
        let rebuilt = Address::new(network, address.payment()?, address.stake());
        (rebuilt == address).then_some(Self::Payment(address))
    }
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Payment(address) => address.fmt(f),
            Self::Stake(account) => account.fmt(f),
        }
    }
}

impl FromStr for Signer {
    type Err = ParseIdError;

    /// Reads the bech32 form.
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let bad = || ParseIdError { text: text.chars().take(120).collect(), expected: "address (addr… or stake…)" };
        let bytes = AnyAddress::from_bech32(text).map_err(|_| bad())?.to_vec();
        Self::from_bytes(&bytes).ok_or_else(bad)
    }
}

/// What `signData` returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedMessage {
    /// The `COSE_Sign1`: address, payload and signature.
    pub signature: Vec<u8>,
    /// The `COSE_Key`: the verification key.
    pub key: Vec<u8>,
}

/// A message that the holder of an address's key signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedMessage {
    /// For which address.
    pub signer: Signer,
    /// By which key.
    pub key: [u8; 32],
    /// What was signed.
    pub payload: Payload,
}

/// What a signed message holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// The message.
    Clear(Vec<u8>),
    /// Its blake2b-224 hash, as hardware wallets sign long messages.
    Hashed([u8; 28]),
}

impl VerifiedMessage {
    /// Whether this is the message that was signed.
    pub fn says(&self, message: &[u8]) -> bool {
        match &self.payload {
            Payload::Clear(payload) => payload == message,
            Payload::Hashed(hash) => *hash == blake2b_224(message),
        }
    }
}

impl Wallet {
    /// Signs a message for one of the wallet's addresses: the payment key for a payment address, the stake key for the
    /// stake account.
    pub fn sign_message(&self, signer: &Signer, payload: &[u8]) -> Result<SignedMessage, MessageError> {
        if payload.len() > MAX_MESSAGE / 2 {
            return Err(MessageError::TooLong(payload.len()));
        }
        let not_ours = || MessageError::NotOurs(signer.clone());
        let key = signer.key().and_then(|hash| self.key_of(&hash)).ok_or_else(not_ours)?;
        let protected = cose::protected_header(&signer.to_bytes());
        let signature = key.sign_bytes(&cose::to_be_signed(&protected, payload));
        Ok(SignedMessage { signature: cose::sign1(&protected, payload, &signature), key: cose::cose_key(&key.public) })
    }
}

/// Checks a signed message: the signature is good, and by the key that controls the address in it.
///
/// `key` is the `COSE_Key` that came with it, and may be missing when the signature itself names the key.
pub fn verify_message(signature: &[u8], key: Option<&[u8]>) -> Result<VerifiedMessage, MessageError> {
    for bytes in [Some(signature), key].into_iter().flatten() {
        if bytes.len() > MAX_MESSAGE {
            return Err(MessageError::TooLong(bytes.len()));
        }
    }
    let message = Sign1::decode(signature)?;
    let key = match (key.map(CoseKey::decode).transpose()?, message.named_key) {
        (Some(CoseKey(given)), Some(named)) if given != named => return Err(MessageError::OtherKey),
        (Some(CoseKey(key)), _) | (None, Some(key)) => key,
        (None, None) => return Err(MessageError::NoKey),
    };
    let bad_address = || MessageError::BadAddress(hex::encode(&message.address[..message.address.len().min(64)]));
    let signer = Signer::from_bytes(message.address).ok_or_else(bad_address)?;
    let hash = KeyHash(blake2b_224(&key));
    match signer.key() {
        Some(owner) if owner == hash => {}
        Some(_) => return Err(MessageError::WrongAddress { key: hash, address: signer }),
        None => return Err(MessageError::BadAddress(signer.to_string())),
    }
    let signed = cose::to_be_signed(message.protected, message.payload);
    if !PublicKey::from(key).verify(&signed, &Signature::from(message.signature)) {
        return Err(MessageError::BadSignature);
    }
    let payload = match message.hashed {
        true => Payload::Hashed(message.payload.try_into().map_err(|_| CoseError("a hash of 28 bytes as payload"))?),
        false => Payload::Clear(message.payload.to_vec()),
    };
    Ok(VerifiedMessage { signer, key, payload })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
