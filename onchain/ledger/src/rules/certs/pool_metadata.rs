//! The hash of a pool's description is no longer than a hash is.
//!
//! [`POOL`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/shelley/impl/src/Cardano/Ledger/Shelley/Rules/Pool.hs), `PoolMedataHashTooBig`

use crate::{certificate::PoolParams, rules::LedgerError};

/// Bytes of a blake2b-256 hash.
const HASH_SIZE: usize = 32;

pub(super) fn check(params: &PoolParams) -> Result<(), LedgerError> {
    match &params.metadata {
        Some(metadata) if metadata.hash.len() > HASH_SIZE => {
            Err(LedgerError::PoolMedataHashTooBig { pool: params.id, size: metadata.hash.len() })
        }
        _ => Ok(()),
    }
}
