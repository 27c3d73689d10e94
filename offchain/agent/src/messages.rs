//! What requester and provider send each other before the committee comes in.

use std::time::Duration;

use minicbor::{Decode, Encode};
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
}

impl Request for ProposeAgreement {
    const PROTOCOL: &'static str = "/nunet/1/agreement";
    const MAX_REQUEST: usize = MAX_TERMS_BYTES;
    const MAX_RESPONSE: usize = 256;
    // The provider fetches and loads the program before it signs.
    const TIMEOUT: Duration = Duration::from_secs(120);
    type Response = Agreed;
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
