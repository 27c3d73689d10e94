//! Every key that must sign did.
//!
//! [`UTXOW`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/shelley/impl/src/Cardano/Ledger/Shelley/Rules/Utxow.hs), `validateNeededWitnesses`

use std::collections::BTreeSet;

use crate::{
    address::Credential,
    byron::ByronParts,
    hash::blake2b_224,
    received::ReceivedCertificate,
    rules::{Case, LedgerError},
    units::KeyHash,
};

pub(in crate::rules) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    let witnesses = &case.tx.witnesses;
    let mut present: BTreeSet<_> = witnesses.vkeys.iter().map(|witness| KeyHash(blake2b_224(&witness.key))).collect();
    present.extend(witnesses.bootstrap.iter().filter_map(|witness| witness.root()));
    let missing: Vec<_> = required(case).difference(&present).copied().collect();
    if missing.is_empty() { Ok(()) } else { Err(LedgerError::MissingVKeyWitnessesUTXOW(missing)) }
}

/// `witsVKeyNeeded`: keys of inputs, collateral, withdrawals, certificates and pools' owners, and those that the body
/// names.
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
