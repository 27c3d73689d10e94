//! A transaction under the rules, and what several of them ask of it.

use std::collections::BTreeSet;

use crate::{
    integrity::Language,
    received::{ReceivedTx, SizedOutput},
    rules::{LedgerState, scripts::ScriptView},
    transaction::{Datum, Purpose, TxOut},
    units::{OutPoint, Slot},
};

/// The first major protocol version after the bootstrap of governance: delegations of votes count from it on.
const AFTER_BOOTSTRAP: u16 = 10;

/// A transaction under the rules.
pub(super) struct Case<'a> {
    pub(super) state: &'a LedgerState,
    pub(super) tx: &'a ReceivedTx<'a>,
    pub(super) view: &'a ScriptView<'a>,
    pub(super) slot: Slot,
}

impl<'a> Case<'a> {
    /// Whether representatives do not count yet.
    pub(super) fn bootstrapping(&self) -> bool {
        self.state.params.protocol_version.major < AFTER_BOOTSTRAP
    }

    /// The outputs, then the collateral's return.
    pub(super) fn outputs(&self) -> impl Iterator<Item = &'a SizedOutput> + use<'a> {
        self.tx.body.outputs.iter().chain(&self.tx.body.collateral_return)
    }

    /// The inputs that Plutus scripts lock.
    pub(super) fn spent_by_plutus(&self) -> impl Iterator<Item = (OutPoint, &'a TxOut, Language)> {
        let inputs: Vec<_> = self.tx.body.inputs.iter().collect();
        let spent = self.view.plutus().filter(|(needed, _)| needed.purpose == Purpose::Spend);
        spent.filter_map(move |(needed, language)| {
            let outpoint = **inputs.get(needed.index as usize)?;
            Some((outpoint, self.state.utxo.get(&outpoint)?, language))
        })
    }

    /// The hashes of datums that Plutus scripts must be shown.
    pub(super) fn required_datums(&self) -> BTreeSet<[u8; 32]> {
        let hash = |output: &TxOut| match output.datum {
            Some(Datum::Hash(hash)) => Some(hash),
            Some(Datum::Inline(_)) | None => None,
        };
        self.spent_by_plutus().filter_map(|(_, output, _)| hash(output)).collect()
    }
}
