//! A transaction's scripts: which it needs, and which it has.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    address::Credential,
    integrity::Language,
    received::ReceivedTx,
    transaction::{Purpose, Script, TxOut},
    units::{OutPoint, ScriptHash},
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
    pub(crate) referenced: BTreeSet<ScriptHash>,
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

    /// The Plutus script that a redeemer is for, with its language; `None` when there is none.
    pub(crate) fn script_of(&self, pointer: (Purpose, u32)) -> Option<(&'a Script, Language)> {
        let needed = self.needed.iter().find(|needed| (needed.purpose, needed.index) == pointer)?;
        let script = self.provided.get(&needed.script)?;
        Some((script, script.language()?))
    }

    /// The scripts that are needed.
    pub(crate) fn needed_scripts(&self) -> BTreeSet<ScriptHash> {
        self.needed.iter().map(|needed| needed.script).collect()
    }

    /// The redeemers that Plutus scripts which are there need.
    pub(crate) fn needed_redeemers(&self) -> BTreeSet<(Purpose, u32)> {
        self.plutus().map(|(needed, _)| (needed.purpose, needed.index)).collect()
    }

    /// What must be allowed by Plutus scripts that are there.
    pub(crate) fn plutus(&self) -> impl Iterator<Item = (Needed, Language)> {
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
