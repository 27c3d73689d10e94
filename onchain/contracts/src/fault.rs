//! What committee members sign when a lease was not served: the fault message.
//!
//! `"nunet/fault/1" ‖ magic u32 ‖ lease script hash 28 ‖ agreement 32 ‖ from u64 ‖ to u64 ‖ credit u64`, hashed with
//! blake2b-256, all integers big-endian. Signatures are Ed25519 (RFC 8032) over the 32-byte hash.

use nunet_ledger::{NetworkMagic, PosixMs, ScriptHash, hash::blake2b_256};

use crate::{job::AgreementHash, ntx::Ntx};

const DOMAIN: &[u8] = b"nunet/fault/1";

/// A time in which a lease was not served as agreed, and what the lessee is credited for it.
///
/// It names the agreement, not the outpoint: spending the lease meanwhile does not dodge it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Of which lease.
    pub agreement: AgreementHash,
    /// From when on.
    pub from: PosixMs,
    /// Until when; no later fault can begin earlier.
    pub to: PosixMs,
    /// What the lessor owes the lessee for it.
    pub credit: Ntx,
}

impl Fault {
    /// The 32 bytes that a member signs, on this network under this version of the lease script.
    pub fn message(&self, magic: NetworkMagic, lease: ScriptHash) -> [u8; 32] {
        let mut bytes = Vec::with_capacity(DOMAIN.len() + 4 + 28 + 32 + 3 * 8);
        bytes.extend_from_slice(DOMAIN);
        bytes.extend_from_slice(&magic.0.to_be_bytes());
        bytes.extend_from_slice(&lease.0);
        bytes.extend_from_slice(&self.agreement.0);
        for number in [self.from.0, self.to.0, self.credit.0] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        blake2b_256(&bytes)
    }
}
