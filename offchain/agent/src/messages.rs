//! What requester and provider send each other before the committee comes in.

use std::time::Duration;

use minicbor::bytes::{ByteArray, ByteVec};
use minicbor::{Decode, Encode};
use nunet_ledger::{Address, OutPoint};
use nunet_market::{Agreement, Demand, SignedQuote};
use nunet_oracle::messages::Noted;
use nunet_p2p::Request;

const MAX_TERMS_BYTES: usize = 2048;
const SHORT: Duration = Duration::from_secs(10);

/// Asks a provider for a quote.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct AskQuote {
    /// What is asked for.
    #[n(0)]
    pub demand: Demand,
}

impl Request for AskQuote {
    const PROTOCOL: &'static str = "/nunet/1/demand";
    const MAX_REQUEST: usize = MAX_TERMS_BYTES;
    const MAX_RESPONSE: usize = MAX_TERMS_BYTES;
    const TIMEOUT: Duration = SHORT;
    type Response = SignedQuote;
}

/// Asks a provider to sign an agreement that the requester has signed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ProposeAgreement {
    /// The terms.
    #[n(0)]
    pub agreement: Agreement,
    /// The requester's signature.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub signature: [u8; 64],
}

/// The provider's signature under an agreement.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Agreed {
    /// The signature.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub signature: [u8; 64],
    /// What the bond is paid with, when there is one.
    #[n(1)]
    pub bond: Option<NamedFunds>,
}

/// The outputs that a provider pays its bond with.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct NamedFunds {
    /// Their outpoints, in their fixed-width form.
    #[n(0)]
    inputs: Vec<ByteArray<34>>,
    /// Where what is left of them goes.
    #[n(1)]
    change: ByteVec,
}

impl NamedFunds {
    /// These outputs, and this address for what is left.
    pub fn new(inputs: impl IntoIterator<Item = OutPoint>, change: &Address) -> Self {
        let inputs = inputs.into_iter().map(|outpoint| outpoint.to_bytes().into()).collect();
        Self { inputs, change: change.as_bytes().to_vec().into() }
    }

    /// The outputs.
    pub fn inputs(&self) -> impl ExactSizeIterator<Item = OutPoint> {
        self.inputs.iter().map(|bytes| OutPoint::from_bytes(**bytes))
    }

    /// The address; an error when it is none.
    pub fn change(&self) -> Result<Address, String> {
        Address::from_bytes(&self.change).map_err(|error| error.to_string())
    }
}

impl Request for ProposeAgreement {
    const PROTOCOL: &'static str = "/nunet/1/agreement";
    const MAX_REQUEST: usize = MAX_TERMS_BYTES;
    const MAX_RESPONSE: usize = 1024;
    // The provider fetches and loads the program before it signs.
    const TIMEOUT: Duration = Duration::from_secs(120);
    type Response = Agreed;
}

/// Asks the provider to sign the lock that the requester built: its bond is among what it spends.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RequestLock {
    /// The agreement's hash.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub agreement: [u8; 32],
    /// The transaction, without signatures.
    #[n(1)]
    pub transaction: ByteVec,
}

/// The provider's signature of a lock.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LockWitness {
    /// The Ed25519 key that unlocks the provider's inputs.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub key: [u8; 32],
    /// Its signature over the transaction's id.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub signature: [u8; 64],
}

impl Request for RequestLock {
    const PROTOCOL: &'static str = "/nunet/1/lock";
    /// A transaction has at most 16,384 bytes.
    const MAX_REQUEST: usize = 16 * 1024 + 256;
    const MAX_RESPONSE: usize = 256;
    // The provider looks the requester's inputs up.
    const TIMEOUT: Duration = Duration::from_secs(30);
    type Response = LockWitness;
}

/// Tells the provider where the money is.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Locked {
    /// The agreement's hash.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub agreement: [u8; 32],
    /// The escrow's outpoint, in its fixed-width form.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub escrow: [u8; 34],
}

impl Request for Locked {
    const PROTOCOL: &'static str = "/nunet/1/locked";
    const MAX_REQUEST: usize = 256;
    const MAX_RESPONSE: usize = 256;
    const TIMEOUT: Duration = SHORT;
    type Response = Noted;
}
