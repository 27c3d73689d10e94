//! The agreement: everything about a job, signed by both sides before money is locked.

use ed25519_dalek::SigningKey;
use minicbor::{Decode, Encode};
use nunet_contracts::{AgreementHash, CommitteeId, EscrowTerms, JobDatum, Ntx};
use nunet_ledger::{Address, Lovelace, NetworkMagic, PosixMs, ScriptHash};

use crate::{
    cbor,
    demand::JobSpec,
    signing::{self, BadSignature, Message, PartyKey},
};

/// The least time between the end of the accept window and the deadline, in milliseconds: room for the committee to
/// judge and for a settlement to be made.
pub const MIN_SETTLE_TIME_MS: u64 = 60 * 60 * 1000;
/// The longest accept window, in milliseconds: members must not be kept from judging.
pub const MAX_ACCEPT_WINDOW_MS: u64 = 10 * 60 * 1000;

/// Why an agreement must not be signed, or trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AgreementError {
    /// Reveal too close to the deadline, or times out of order.
    #[error(
        "the times are out of order: lock by {lock_by}, reveal by {reveal_by}, and an hour after the accept window the \
         deadline {deadline}"
    )]
    Times {
        /// Lock time, POSIX ms.
        lock_by: u64,
        /// Reveal time.
        reveal_by: u64,
        /// Deadline.
        deadline: u64,
    },
    /// Members would be kept from judging.
    #[error("an accept window of {0} ms is too long; at most {MAX_ACCEPT_WINDOW_MS} ms are allowed")]
    AcceptWindow(u64),
    /// A bond without lovelace for its return.
    #[error("a bond needs a carry: the provider's payout must hold lovelace")]
    BondWithoutCarry,
    /// A missing or false signature.
    #[error(transparent)]
    Signature(#[from] BadSignature),
}

/// The terms of a job.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Agreement {
    /// The network on which the job is paid.
    #[cbor(n(0), with = "cbor::magic")]
    pub magic: NetworkMagic,
    /// The version of the job validator, by its logic's hash.
    #[cbor(n(1), with = "cbor::script_hash")]
    pub logic: ScriptHash,
    /// Which committee judges.
    #[cbor(n(2), with = "cbor::committee_id")]
    pub committee: CommitteeId,
    /// The requester's node.
    #[cbor(n(3), with = "cbor::party_key")]
    pub requester: PartyKey,
    /// The provider's node.
    #[cbor(n(4), with = "cbor::party_key")]
    pub provider: PartyKey,
    /// Where the rest goes.
    #[cbor(n(5), with = "cbor::address")]
    pub requester_address: Address,
    /// Where the payout goes.
    #[cbor(n(6), with = "cbor::address")]
    pub provider_address: Address,
    /// The job.
    #[n(7)]
    pub spec: JobSpec,
    /// What right work costs.
    #[cbor(n(8), with = "cbor::ntx")]
    pub price: Ntx,
    /// The committee's fee.
    #[cbor(n(9), with = "cbor::ntx")]
    pub fee: Ntx,
    /// The provider's bond.
    #[cbor(n(10), with = "cbor::ntx")]
    pub bond: Ntx,
    /// Lovelace that the requester gets back.
    #[cbor(n(11), with = "cbor::lovelace")]
    pub deposit: Lovelace,
    /// Lovelace that goes to the provider with the payout.
    #[cbor(n(12), with = "cbor::lovelace")]
    pub carry: Lovelace,
    /// Lovelace for whoever builds the closing transaction.
    #[cbor(n(13), with = "cbor::lovelace")]
    pub tip: Lovelace,
    /// The escrow must be on chain by then.
    #[cbor(n(14), with = "cbor::posix_ms")]
    pub lock_by: PosixMs,
    /// The result must be revealed by then.
    #[cbor(n(15), with = "cbor::posix_ms")]
    pub reveal_by: PosixMs,
    /// From then on anyone may refund.
    #[cbor(n(16), with = "cbor::posix_ms")]
    pub deadline: PosixMs,
    /// How long after the reveal members leave the requester time to accept, in milliseconds.
    #[n(17)]
    pub accept_window_ms: u64,
    /// Tells two agreements on equal terms apart.
    #[cbor(n(18), with = "minicbor::bytes")]
    pub nonce: [u8; 16],
}

impl Agreement {
    /// What both sides sign, and what the escrow's datum names.
    pub fn hash(&self) -> AgreementHash {
        let message = Message::new("nunet/agreement/1")
            .u32(self.magic.0)
            .fixed(&self.logic.0)
            .fixed(&self.committee.0)
            .fixed(&self.requester.0)
            .fixed(&self.provider.0)
            .address(&self.requester_address)
            .address(&self.provider_address)
            .fixed(&self.spec.program)
            .fixed(&self.spec.inputs)
            .u8(self.spec.kind.number())
            .u64(self.price.0)
            .u64(self.fee.0)
            .u64(self.bond.0)
            .u64(self.deposit.0)
            .u64(self.carry.0)
            .u64(self.tip.0)
            .u64(self.lock_by.0)
            .u64(self.reveal_by.0)
            .u64(self.deadline.0)
            .u64(self.accept_window_ms)
            .fixed(&self.nonce);
        AgreementHash(message.hash())
    }

    /// What must hold whoever looks at it: order of times, carry with a bond.
    pub fn check(&self) -> Result<(), AgreementError> {
        if self.accept_window_ms > MAX_ACCEPT_WINDOW_MS {
            return Err(AgreementError::AcceptWindow(self.accept_window_ms));
        }
        if self.lock_by >= self.reveal_by
            || self.deadline < Self::earliest_deadline(self.reveal_by, self.accept_window_ms)
        {
            return Err(AgreementError::Times {
                lock_by: self.lock_by.0,
                reveal_by: self.reveal_by.0,
                deadline: self.deadline.0,
            });
        }
        if self.bond.0 > 0 && self.carry.0 == 0 {
            return Err(AgreementError::BondWithoutCarry);
        }
        Ok(())
    }

    /// The first deadline that leaves time to accept, to judge and to settle; beyond all times when there is none.
    pub fn earliest_deadline(reveal_by: PosixMs, accept_window_ms: u64) -> PosixMs {
        PosixMs(reveal_by.0.saturating_add(accept_window_ms).saturating_add(MIN_SETTLE_TIME_MS))
    }

    /// The escrow that this agreement asks for.
    pub fn escrow_terms(&self) -> EscrowTerms {
        let datum = JobDatum {
            requester: self.requester_address.clone(),
            provider: self.provider_address.clone(),
            price: self.price,
            fee: self.fee,
            bond: self.bond,
            deposit: self.deposit,
            carry: self.carry,
            deadline: self.deadline,
            committee: self.committee,
            agreement: self.hash(),
            voucher_key: None,
        };
        EscrowTerms { datum, tip: self.tip }
    }

    /// One side's signature.
    pub fn sign(&self, key: &SigningKey) -> [u8; 64] {
        signing::sign(key, &self.hash().0)
    }

    /// Checks the requester's signature alone, as the provider does before signing.
    pub fn check_requester(&self, signature: &[u8; 64]) -> Result<(), AgreementError> {
        Ok(signing::verify("agreement", self.requester, &self.hash().0, signature)?)
    }
}

/// An agreement with both signatures.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SignedAgreement {
    /// The terms.
    #[n(0)]
    pub agreement: Agreement,
    /// The requester's signature.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub requester: [u8; 64],
    /// The provider's signature.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub provider: [u8; 64],
}

impl SignedAgreement {
    /// Checks the terms and both signatures.
    pub fn check(&self) -> Result<&Agreement, AgreementError> {
        let agreement = &self.agreement;
        agreement.check()?;
        agreement.check_requester(&self.requester)?;
        signing::verify("agreement", agreement.provider, &agreement.hash().0, &self.provider)?;
        Ok(agreement)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use nunet_ledger::{Credential, KeyHash};
    use nunet_proof::ProofKind;
    use proptest::prelude::*;

    use super::*;

    fn address(seed: u8) -> Address {
        Address::new(0, Credential::Key(KeyHash([seed; 28])), None)
    }

    fn keys() -> (SigningKey, SigningKey) {
        (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]))
    }

    fn agreement() -> Agreement {
        let (requester, provider) = keys();
        Agreement {
            magic: NetworkMagic::DEVNET,
            logic: ScriptHash([3; 28]),
            committee: CommitteeId([4; 32]),
            requester: PartyKey(requester.verifying_key().to_bytes()),
            provider: PartyKey(provider.verifying_key().to_bytes()),
            requester_address: address(5),
            provider_address: address(6),
            spec: JobSpec { program: [7; 32], inputs: [8; 32], kind: ProofKind::Exact },
            price: Ntx(5_000_000),
            fee: Ntx(500_000),
            bond: Ntx(0),
            deposit: Lovelace(1_200_000),
            carry: Lovelace(0),
            tip: Lovelace(1_800_000),
            lock_by: PosixMs(1_000),
            reveal_by: PosixMs(2_000),
            deadline: PosixMs(2_500 + MIN_SETTLE_TIME_MS),
            accept_window_ms: 500,
            nonce: [9; 16],
        }
    }

    fn signed(agreement: Agreement) -> SignedAgreement {
        let (requester, provider) = keys();
        SignedAgreement { requester: agreement.sign(&requester), provider: agreement.sign(&provider), agreement }
    }

    #[test]
    fn the_signed_bytes_do_not_change() {
        let hash = agreement().hash();
        // Computed from the definition by another program, over the fields as laid out in `Agreement::hash`.
        let golden = "d533383a0c8ea12d886ea83ad7b85eee3bdb328e825a3b41944131687153ba9d";
        assert_eq!(hash.to_string(), golden, "what is signed is fixed from the first day");
    }

    #[test]
    fn both_signatures_are_needed() {
        assert!(signed(agreement()).check().is_ok());
        let mut swapped = signed(agreement());
        std::mem::swap(&mut swapped.requester, &mut swapped.provider);
        assert!(matches!(swapped.check(), Err(AgreementError::Signature(_))));
        let mut one = signed(agreement());
        one.provider = one.requester;
        assert!(
            matches!(one.check(), Err(AgreementError::Signature(BadSignature { key, .. })) if key == one.agreement.provider)
        );
    }

    #[test]
    fn every_term_is_under_the_signature() {
        let good = signed(agreement());
        let changes: [fn(&mut Agreement); 19] = [
            |a| a.magic = NetworkMagic(1),
            |a| a.logic.0[0] ^= 1,
            |a| a.committee.0[0] ^= 1,
            |a| a.requester_address = address(9),
            |a| a.provider_address = address(9),
            |a| a.spec.program[0] ^= 1,
            |a| a.spec.inputs[0] ^= 1,
            |a| a.spec.kind = ProofKind::Receipt,
            |a| a.price.0 += 1,
            |a| a.fee.0 += 1,
            |a| a.bond.0 += 1,
            |a| a.deposit.0 += 1,
            |a| a.carry.0 += 1,
            |a| a.tip.0 += 1,
            |a| a.lock_by.0 += 1,
            |a| a.reveal_by.0 -= 1,
            |a| a.deadline.0 += 1,
            |a| a.accept_window_ms += 1,
            |a| a.nonce[0] ^= 1,
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let mut bad = good.clone();
            change(&mut bad.agreement);
            assert!(bad.check().is_err(), "change {index}");
            assert_ne!(bad.agreement.hash(), good.agreement.hash(), "change {index}");
        }
    }

    #[test]
    fn times_must_leave_an_hour() {
        let mut late = agreement();
        late.reveal_by.0 += 1;
        assert!(matches!(late.check(), Err(AgreementError::Times { .. })));
        let mut backwards = agreement();
        backwards.lock_by = backwards.reveal_by;
        assert!(matches!(backwards.check(), Err(AgreementError::Times { .. })));
        let mut huge = agreement();
        huge.reveal_by.0 = u64::MAX - 1;
        assert!(matches!(huge.check(), Err(AgreementError::Times { .. })));
        let mut stalled = agreement();
        stalled.accept_window_ms = MAX_ACCEPT_WINDOW_MS + 1;
        stalled.deadline.0 = u64::MAX;
        assert_eq!(stalled.check(), Err(AgreementError::AcceptWindow(MAX_ACCEPT_WINDOW_MS + 1)));
    }

    #[test]
    fn an_agreement_travels() {
        let good = signed(agreement());
        let bytes = minicbor::to_vec(&good).unwrap();
        assert_eq!(minicbor::decode::<SignedAgreement>(&bytes).unwrap(), good);
        for length in 0..bytes.len() {
            assert!(minicbor::decode::<SignedAgreement>(&bytes[..length]).is_err());
        }
    }

    proptest! {
        #[test]
        fn a_strangers_bytes_never_panic(mut bytes: Vec<u8>, at: prop::sample::Index, value: u8) {
            let _ = minicbor::decode::<SignedAgreement>(&bytes);
            bytes = minicbor::to_vec(signed(agreement())).unwrap();
            let at = at.index(bytes.len());
            bytes[at] = value;
            if let Ok(read) = minicbor::decode::<SignedAgreement>(&bytes) {
                let _ = read.check();
            }
        }
    }
}
