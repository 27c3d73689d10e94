//! What a provider offers for a demand.

use ed25519_dalek::SigningKey;
use minicbor::{Decode, Encode};
use nunet_contracts::Ntx;
use nunet_ledger::{Address, PosixMs};

use crate::{
    cbor,
    demand::Demand,
    signing::{self, BadSignature, Message, PartyKey},
};

/// Why a quote is of no use for a demand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuoteError {
    /// For another demand.
    #[error("the quote is for another demand")]
    OtherDemand,
    /// Dearer than the requester allows.
    #[error("the quote asks {price}, more than the demand's {max_price}")]
    TooDear {
        /// What is asked.
        price: Ntx,
        /// What is allowed.
        max_price: Ntx,
    },
    /// No longer valid.
    #[error("the quote expired")]
    Expired,
    /// Not signed by its provider.
    #[error(transparent)]
    Signature(#[from] BadSignature),
}

/// A provider's offer.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Quote {
    /// Hash of the demand.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub demand: [u8; 32],
    /// The provider's node.
    #[cbor(n(1), with = "cbor::party_key")]
    pub provider: PartyKey,
    /// Where the payout goes.
    #[cbor(n(2), with = "cbor::address")]
    pub payout: Address,
    /// What the job costs.
    #[cbor(n(3), with = "cbor::ntx")]
    pub price: Ntx,
    /// The bond the provider is ready to lock.
    #[cbor(n(4), with = "cbor::ntx")]
    pub bond: Ntx,
    /// How long after the lock the provider needs to reveal, in milliseconds.
    #[n(5)]
    pub run_ms: u64,
    /// Chain time until which the offer stands.
    #[cbor(n(6), with = "cbor::posix_ms")]
    pub expires: PosixMs,
}

/// A quote with the provider's signature.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SignedQuote {
    /// The offer.
    #[n(0)]
    pub quote: Quote,
    #[cbor(n(1), with = "minicbor::bytes")]
    signature: [u8; 64],
}

impl Quote {
    fn message(&self) -> [u8; 32] {
        Message::new("nunet/quote/1")
            .fixed(&self.demand)
            .fixed(&self.provider.0)
            .address(&self.payout)
            .u64(self.price.0)
            .u64(self.bond.0)
            .u64(self.run_ms)
            .u64(self.expires.0)
            .hash()
    }

    /// Signs the offer with the provider's node key.
    pub fn sign(self, key: &SigningKey) -> SignedQuote {
        let signature = signing::sign(key, &self.message());
        SignedQuote { quote: self, signature }
    }
}

impl SignedQuote {
    /// Checks signature, demand, price and time.
    pub fn check(&self, demand: &Demand, now: PosixMs) -> Result<&Quote, QuoteError> {
        let quote = &self.quote;
        if quote.demand != demand.hash() {
            return Err(QuoteError::OtherDemand);
        }
        if quote.price > demand.max_price {
            return Err(QuoteError::TooDear { price: quote.price, max_price: demand.max_price });
        }
        if quote.expires <= now {
            return Err(QuoteError::Expired);
        }
        signing::verify("quote", quote.provider, &quote.message(), &self.signature)?;
        Ok(quote)
    }
}
