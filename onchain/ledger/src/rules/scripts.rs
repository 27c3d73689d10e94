//! Scripts: which are needed, which are there, and that redeemers, datums and the integrity hash fit them (`UTXOW` rule
//! of the Alonzo, Babbage and Conway specifications).

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    address::Credential,
    evaluate::EvaluateError,
    hash::blake2b_224,
    integrity::{Language, script_data_hash_of_bytes},
    native::{NativeContext, evaluate_native},
    plutus::malformed,
    received::ReceivedTx,
    rules::{Case, LedgerError},
    stack::StackError,
    transaction::{Datum, Purpose, Script, TxOut},
    units::{KeyHash, OutPoint, ScriptHash},
};

/// A script that must allow a part of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Needed {
    pub(crate) purpose: Purpose,
    pub(crate) index: u32,
    pub(crate) script: ScriptHash,
}

/// A transaction's scripts: those it needs and those it has.
pub(crate) struct ScriptView<'a> {
    /// What must be allowed, by whom.
    pub(crate) needed: Vec<Needed>,
    /// Scripts in the witness set and on inputs and reference inputs.
    pub(crate) provided: BTreeMap<ScriptHash, &'a Script>,
    /// Those that are on inputs and reference inputs.
    referenced: BTreeSet<ScriptHash>,
    /// Bytes of every script on inputs and reference inputs, counted as often as it is there.
    pub(crate) reference_bytes: usize,
}

impl<'a> ScriptView<'a> {
    /// Looks a transaction's scripts up; inputs that are not in `utxo` count for nothing.
    pub(crate) fn of(tx: &'a ReceivedTx<'_>, utxo: &'a BTreeMap<OutPoint, TxOut>) -> Self {
        let mut provided: BTreeMap<_, _> = tx.witnesses.scripts.iter().map(|(hash, script)| (*hash, script)).collect();
        let mut referenced = BTreeSet::new();
        let mut reference_bytes = 0_usize;
        let outputs = tx.body.inputs.union(&tx.body.reference_inputs).filter_map(|outpoint| utxo.get(outpoint));
        for script in outputs.filter_map(|output| output.reference_script.as_ref()) {
            let hash = script.hash();
            provided.insert(hash, script);
            referenced.insert(hash);
            reference_bytes += script.bytes().len();
        }
        Self { needed: needed(tx, utxo), provided, referenced, reference_bytes }
    }

    /// The language of the Plutus script that a redeemer is for; `None` when there is none.
    pub(crate) fn language_of(&self, pointer: (Purpose, u32)) -> Option<Language> {
        let needed = self.needed.iter().find(|needed| (needed.purpose, needed.index) == pointer)?;
        self.provided.get(&needed.script)?.language()
    }

    /// What must be allowed by Plutus scripts that are there.
    fn plutus(&self) -> impl Iterator<Item = (Needed, Language)> {
        self.needed.iter().filter_map(|needed| Some((*needed, self.provided.get(&needed.script)?.language()?)))
    }
}

/// `scriptsNeeded`: inputs, policies, certificates and withdrawals whose credential is a script, by redeemer index.
fn needed(tx: &ReceivedTx<'_>, utxo: &BTreeMap<OutPoint, TxOut>) -> Vec<Needed> {
    let mut needed = Vec::new();
    let mut add = |purpose, index: usize, script: Option<ScriptHash>| {
        if let (Ok(index), Some(script)) = (u32::try_from(index), script) {
            needed.push(Needed { purpose, index, script });
        }
    };
    for (index, outpoint) in tx.body.inputs.iter().enumerate() {
        add(Purpose::Spend, index, utxo.get(outpoint).and_then(|output| script(output.address.payment())));
    }
    let policies: BTreeSet<_> = tx.body.mint.keys().map(|asset| asset.policy).collect();
    for (index, policy) in policies.into_iter().enumerate() {
        add(Purpose::Mint, index, Some(policy));
    }
    for (index, certificate) in tx.body.certificates.iter().enumerate() {
        add(Purpose::Certify, index, script(certificate.witness()));
    }
    for (index, account) in tx.body.withdrawals.keys().enumerate() {
        add(Purpose::Withdraw, index, script(Some(account.credential)));
    }
    needed
}

fn script(credential: Option<Credential>) -> Option<ScriptHash> {
    match credential {
        Some(Credential::Script(hash)) => Some(hash),
        _ => None,
    }
}

/// Reference scripts cost the node work even when they do not run.
pub(super) fn check_reference_size(case: &Case<'_>, view: &ScriptView<'_>) -> Result<(), LedgerError> {
    let (size, limit) = (view.reference_bytes as u64, case.state.params.max_ref_scripts_size);
    if size <= limit { Ok(()) } else { Err(LedgerError::ConwayTxRefScriptsSizeTooBig { size, limit }) }
}

pub(super) fn check(case: &Case<'_>, view: &ScriptView<'_>) -> Result<(), LedgerError> {
    exactly_the_needed_scripts(case, view)?;
    native_scripts_allow(case, view)?;
    datums(case, view)?;
    exactly_the_needed_redeemers(case, view)?;
    well_formed(case)
}

/// Scripts that are there by reference must not be in the witness set as well.
fn exactly_the_needed_scripts(case: &Case<'_>, view: &ScriptView<'_>) -> Result<(), LedgerError> {
    let needed: BTreeSet<_> = view.needed.iter().map(|needed| needed.script).collect();
    let missing: Vec<_> = needed.iter().filter(|script| !view.provided.contains_key(script)).copied().collect();
    if !missing.is_empty() {
        return Err(LedgerError::MissingScriptWitnessesUTXOW(missing));
    }
    let in_witnesses = case.tx.witnesses.scripts.keys();
    let extra: Vec<_> =
        in_witnesses.filter(|script| !needed.contains(script) || view.referenced.contains(script)).copied().collect();
    if extra.is_empty() { Ok(()) } else { Err(LedgerError::ExtraneousScriptWitnessesUTXOW(extra)) }
}

fn native_scripts_allow(case: &Case<'_>, view: &ScriptView<'_>) -> Result<(), LedgerError> {
    let signers: BTreeSet<_> =
        case.tx.witnesses.vkeys.iter().map(|witness| KeyHash(blake2b_224(&witness.key))).collect();
    let body = &case.tx.body;
    let context = NativeContext { signers: &signers, valid_from: body.valid_from, valid_until: body.valid_until };
    let needed: BTreeSet<_> = view.needed.iter().map(|needed| needed.script).collect();
    let refusing: Vec<_> = needed
        .into_iter()
        .filter(|hash| match view.provided.get(hash) {
            Some(Script::Native(script)) => evaluate_native(script, &context) != Ok(true),
            _ => false,
        })
        .collect();
    if refusing.is_empty() { Ok(()) } else { Err(LedgerError::ScriptWitnessNotValidatingUTXOW(refusing)) }
}

/// Datums of inputs that Plutus scripts lock must be there, and no others but those of outputs and reference inputs.
fn datums(case: &Case<'_>, view: &ScriptView<'_>) -> Result<(), LedgerError> {
    let utxo = &case.state.utxo;
    let inputs: Vec<_> = case.tx.body.inputs.iter().collect();
    let (mut bare, mut hashes) = (Vec::new(), BTreeSet::new());
    for (needed, language) in view.plutus().filter(|(needed, _)| needed.purpose == Purpose::Spend) {
        let outpoint = inputs.get(needed.index as usize);
        let Some((outpoint, output)) = outpoint.and_then(|outpoint| Some((**outpoint, utxo.get(outpoint)?))) else {
            continue;
        };
        match &output.datum {
            Some(Datum::Hash(hash)) => {
                hashes.insert(*hash);
            }
            None if language < Language::PlutusV3 => bare.push(outpoint),
            Some(Datum::Inline(_)) | None => {}
        }
    }
    if !bare.is_empty() {
        return Err(LedgerError::UnspendableUTxONoDatumHash(bare));
    }
    let present = &case.tx.witnesses.datums;
    let missing: Vec<_> = hashes.iter().filter(|hash| !present.contains_key(*hash)).copied().collect();
    if !missing.is_empty() {
        return Err(LedgerError::MissingRequiredDatums(missing));
    }
    let body = &case.tx.body;
    let made = body.outputs.iter().chain(&body.collateral_return).map(|sized| &sized.output);
    let read = body.reference_inputs.iter().filter_map(|outpoint| utxo.get(outpoint));
    for output in made.chain(read) {
        if let Some(Datum::Hash(hash)) = output.datum {
            hashes.insert(hash);
        }
    }
    let extra: Vec<_> = present.keys().filter(|hash| !hashes.contains(*hash)).copied().collect();
    if extra.is_empty() { Ok(()) } else { Err(LedgerError::NotAllowedSupplementalDatums(extra)) }
}

fn exactly_the_needed_redeemers(case: &Case<'_>, view: &ScriptView<'_>) -> Result<(), LedgerError> {
    let needed: BTreeSet<_> = view.plutus().map(|(needed, _)| (needed.purpose, needed.index)).collect();
    let present = &case.tx.witnesses.redeemers;
    let extra: Vec<_> = present.keys().filter(|pointer| !needed.contains(*pointer)).copied().collect();
    let governance = case.tx.witnesses.governance_redeemers.len();
    if !extra.is_empty() || governance > 0 {
        return Err(LedgerError::ExtraRedeemers { redeemers: extra, governance });
    }
    let missing: Vec<_> = needed.into_iter().filter(|pointer| !present.contains_key(pointer)).collect();
    if missing.is_empty() { Ok(()) } else { Err(LedgerError::MissingRedeemers(missing)) }
}

/// Scripts that come onto the chain must decode.
fn well_formed(case: &Case<'_>) -> Result<(), LedgerError> {
    let failed = |error: StackError| LedgerError::CollectErrors(EvaluateError::Stack(error));
    let version = case.state.params.protocol_version;
    let bad = malformed(case.tx.witnesses.scripts.values(), version).map_err(failed)?;
    if !bad.is_empty() {
        return Err(LedgerError::MalformedScriptWitnesses(bad));
    }
    let body = &case.tx.body;
    let made = body.outputs.iter().chain(&body.collateral_return);
    let made = made.filter_map(|sized| sized.output.reference_script.as_ref());
    let bad = malformed(made, version).map_err(failed)?;
    if bad.is_empty() { Ok(()) } else { Err(LedgerError::MalformedReferenceScripts(bad)) }
}

/// The body binds redeemers, datums and the cost models of the languages that run.
pub(super) fn check_integrity(case: &Case<'_>, view: &ScriptView<'_>) -> Result<(), LedgerError> {
    let witnesses = &case.tx.witnesses;
    let languages: BTreeSet<_> = view.plutus().map(|(_, language)| language).collect();
    let nothing = witnesses.redeemers.is_empty() && witnesses.datums.is_empty() && languages.is_empty();
    let expected = (!nothing).then(|| {
        // Without redeemers an empty map is hashed.
        let redeemers = if witnesses.redeemers.is_empty() { &[0xa0][..] } else { witnesses.redeemers_field };
        script_data_hash_of_bytes(redeemers, witnesses.datums_field, &languages, &case.state.params.cost_models)
    });
    let stated = case.tx.body.script_data_hash;
    if stated == expected { Ok(()) } else { Err(LedgerError::PPViewHashesDontMatch { stated, expected }) }
}
