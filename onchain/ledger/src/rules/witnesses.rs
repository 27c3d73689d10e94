//! Signatures: those there verify, and every key that must sign did (`UTXOW` rule of the Shelley specification).

use std::collections::BTreeSet;

use ed25519_dalek::{Signature, VerifyingKey};

use crate::{
    address::Credential,
    byron::ByronParts,
    hash::blake2b_224,
    received::ReceivedCertificate,
    rules::{Case, LedgerError},
    units::KeyHash,
};

pub(super) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    all_verify(case)?;
    all_there(case)
}

fn all_verify(case: &Case<'_>) -> Result<(), LedgerError> {
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

fn all_there(case: &Case<'_>) -> Result<(), LedgerError> {
    let witnesses = &case.tx.witnesses;
    let mut present: BTreeSet<_> = witnesses.vkeys.iter().map(|witness| KeyHash(blake2b_224(&witness.key))).collect();
    present.extend(witnesses.bootstrap.iter().filter_map(|witness| witness.root()));
    let missing: Vec<_> = required(case).difference(&present).copied().collect();
    if missing.is_empty() { Ok(()) } else { Err(LedgerError::MissingVKeyWitnessesUTXOW(missing)) }
}

/// `witsVKeyNeeded`: keys of inputs, collateral, withdrawals, certificates, pools' owners, and those that the body names.
fn required(case: &Case<'_>) -> BTreeSet<KeyHash> {
    let body = &case.tx.body;
    let mut required = body.required_signers.clone();
    for output in body.inputs.iter().chain(&body.collateral).filter_map(|outpoint| case.state.utxo.get(outpoint)) {
        match output.address.payment() {
            Some(credential) => required.extend(key(credential)),
            None => required.extend(ByronParts::of(&output.address).map(|byron| byron.root)),
        }
    }
    required.extend(body.withdrawals.keys().filter_map(|account| key(account.credential)));
    for certificate in &body.certificates {
        required.extend(certificate.witness().and_then(key));
        if let ReceivedCertificate::RegisterPool(params) = certificate {
            required.extend(&params.owners);
        }
    }
    required
}

fn key(credential: Credential) -> Option<KeyHash> {
    match credential {
        Credential::Key(hash) => Some(hash),
        Credential::Script(_) => None,
    }
}
