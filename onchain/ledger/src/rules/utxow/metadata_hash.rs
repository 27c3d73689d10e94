//! Auxiliary data is there exactly when the body has its hash.
//!
//! [`UTXOW`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/shelley/impl/src/Cardano/Ledger/Shelley/Rules/Utxow.hs), `validateMetadata`

use crate::{
    hash::blake2b_256,
    rules::{Case, LedgerError},
};

pub(in crate::rules) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    match (&case.tx.auxiliary, case.tx.body.auxiliary_data_hash) {
        (None, None) => Ok(()),
        (Some(_), None) => Err(LedgerError::MissingTxBodyMetadataHash),
        (None, Some(_)) => Err(LedgerError::MissingTxMetadata),
        (Some(auxiliary), Some(hash)) if blake2b_256(auxiliary.bytes) != hash => {
            Err(LedgerError::ConflictingMetadataHash)
        }
        (Some(_), Some(_)) => Ok(()),
    }
}
