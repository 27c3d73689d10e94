//! Every signature verifies.
//!
//! [`UTXOW`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/shelley/impl/src/Cardano/Ledger/Shelley/Rules/Utxow.hs), `validateVerifiedWits`

use ed25519_dalek::{Signature, VerifyingKey};

use crate::rules::{Case, LedgerError};

pub(in crate::rules) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    let message = &case.tx.id.0;
    let keys = case.tx.witnesses.vkeys.iter().map(|witness| (&witness.key, &witness.signature));
    let bootstrap = case.tx.witnesses.bootstrap.iter().map(|witness| (&witness.key, &witness.signature));
    let wrong: Vec<_> = keys
        .chain(bootstrap)
        .filter(|(key, signature)| !verifies(key, signature, message))
        .map(|(key, _)| *key)
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(LedgerError::InvalidWitnessesUTXOW(wrong)) }
}

/// Ed25519 as the chain's library checks it: the scalar reduced, no points of small order, the key in its one canonical
/// form, and no cofactor in the equation.
pub(crate) fn verifies(key: &[u8; 32], signature: &[u8; 64], message: &[u8]) -> bool {
    VerifyingKey::from_bytes(key).is_ok_and(|parsed| {
        parsed.to_edwards().compress().as_bytes() == key
            && parsed.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    })
}
