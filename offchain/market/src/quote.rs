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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use nunet_ledger::{Credential, KeyHash, NetworkMagic};
    use nunet_proof::ProofKind;

    use super::*;
    use crate::demand::JobSpec;

    fn demand() -> Demand {
        Demand {
            magic: NetworkMagic::DEVNET,
            requester: PartyKey([1; 32]),
            spec: JobSpec { program: [2; 32], inputs: [3; 32], kind: ProofKind::Exact },
            program_bytes: 10,
            input_bytes: 20,
            max_price: Ntx(1_000),
            expires: PosixMs(5_000),
            nonce: [4; 16],
        }
    }

    fn quote(key: &SigningKey) -> Quote {
        Quote {
            demand: demand().hash(),
            provider: PartyKey(key.verifying_key().to_bytes()),
            payout: Address::new(0, Credential::Key(KeyHash([5; 28])), None),
            price: Ntx(1_000),
            bond: Ntx(0),
            run_ms: 60_000,
            expires: PosixMs(4_000),
        }
    }

    #[test]
    fn a_quote_counts_for_its_demand_price_and_time_only() {
        let key = SigningKey::from_bytes(&[6; 32]);
        let good = quote(&key).sign(&key);
        assert_eq!(good.check(&demand(), PosixMs(3_999)), Ok(&good.quote));
        assert_eq!(good.check(&demand(), PosixMs(4_000)), Err(QuoteError::Expired));
        let other = Demand { nonce: [0; 16], ..demand() };
        assert_eq!(good.check(&other, PosixMs(0)), Err(QuoteError::OtherDemand));
        let dear = Quote { price: Ntx(1_001), ..quote(&key) }.sign(&key);
        assert!(matches!(dear.check(&demand(), PosixMs(0)), Err(QuoteError::TooDear { .. })));
        let somebody = SigningKey::from_bytes(&[7; 32]);
        assert!(matches!(quote(&key).sign(&somebody).check(&demand(), PosixMs(0)), Err(QuoteError::Signature(_))));
    }

    #[test]
    fn every_field_of_a_quote_is_under_the_signature() {
        let key = SigningKey::from_bytes(&[6; 32]);
        let changes: [fn(&mut Quote); 4] = [
            |quote| quote.payout = Address::new(0, Credential::Key(KeyHash([9; 28])), None),
            |quote| quote.price.0 -= 1,
            |quote| quote.bond.0 += 1,
            |quote| quote.run_ms += 1,
        ];
        for change in changes {
            let mut forged = quote(&key).sign(&key);
            change(&mut forged.quote);
            assert!(matches!(forged.check(&demand(), PosixMs(0)), Err(QuoteError::Signature(_))));
        }
    }

    #[test]
    fn quotes_and_demands_travel() {
        let key = SigningKey::from_bytes(&[6; 32]);
        let signed = quote(&key).sign(&key);
        let bytes = minicbor::to_vec(&signed).unwrap();
        assert_eq!(minicbor::decode::<SignedQuote>(&bytes).unwrap(), signed);
        let bytes = minicbor::to_vec(demand()).unwrap();
        assert_eq!(minicbor::decode::<Demand>(&bytes).unwrap().hash(), demand().hash());
    }
}
