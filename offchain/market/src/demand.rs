//! What a requester asks for.

use minicbor::{Decode, Encode};
use nunet_contracts::Ntx;
use nunet_ledger::{NetworkMagic, PosixMs};
use nunet_proof::ProofKind;

use crate::{
    cbor,
    signing::{Message, PartyKey},
};

/// What is to be computed, by content hashes: an ONNX file, its input tensors, the kind of proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct JobSpec {
    /// Content hash of the ONNX file.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub program: [u8; 32],
    /// Content hash of the input tensors' canonical forms, one after the other in the order of their names.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub inputs: [u8; 32],
    /// How the result is proven.
    #[cbor(n(2), with = "cbor::kind")]
    pub kind: ProofKind,
}

/// A call for quotes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Demand {
    /// The network on which the job is paid.
    #[cbor(n(0), with = "cbor::magic")]
    pub magic: NetworkMagic,
    /// The requester's node.
    #[cbor(n(1), with = "cbor::party_key")]
    pub requester: PartyKey,
    /// The job.
    #[n(2)]
    pub spec: JobSpec,
    /// Bytes of the ONNX file.
    #[n(3)]
    pub program_bytes: u64,
    /// Bytes of all inputs in canonical form.
    #[n(4)]
    pub input_bytes: u64,
    /// The most that the requester pays the provider.
    #[cbor(n(5), with = "cbor::ntx")]
    pub max_price: Ntx,
    /// Chain time after which quotes are of no use.
    #[cbor(n(6), with = "cbor::posix_ms")]
    pub expires: PosixMs,
    /// Tells two demands for the same job apart.
    #[cbor(n(7), with = "minicbor::bytes")]
    pub nonce: [u8; 16],
}

impl Demand {
    /// What quotes refer to.
    pub fn hash(&self) -> [u8; 32] {
        Message::new("nunet/demand/1")
            .u32(self.magic.0)
            .fixed(&self.requester.0)
            .fixed(&self.spec.program)
            .fixed(&self.spec.inputs)
            .u8(self.spec.kind.number())
            .u64(self.program_bytes)
            .u64(self.input_bytes)
            .u64(self.max_price.0)
            .u64(self.expires.0)
            .fixed(&self.nonce)
            .hash()
    }
}
