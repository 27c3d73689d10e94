//! The script integrity hash: binds redeemers, datums and cost models to a transaction body
//! (`hashScriptIntegrity` in the Alonzo ledger specification, `script_data_hash` in the CDDL).

use std::collections::BTreeSet;

use pallas_primitives::PlutusData;

use crate::{
    cbor::Writer,
    encode::{plutus_data_to_cbor, redeemers_to_cbor},
    hash::blake2b_256,
    parameters::{CostModels, ProtocolParameters},
    transaction::{Redeemer, Script},
};

/// A Plutus version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    /// Plutus V1.
    PlutusV1,
    /// Plutus V2.
    PlutusV2,
    /// Plutus V3.
    PlutusV3,
}

impl Script {
    /// The Plutus version; `None` for a native script.
    pub fn language(&self) -> Option<Language> {
        match self {
            Self::Native(_) => None,
            Self::PlutusV1(_) => Some(Language::PlutusV1),
            Self::PlutusV2(_) => Some(Language::PlutusV2),
            Self::PlutusV3(_) => Some(Language::PlutusV3),
        }
    }
}

impl CostModels {
    /// The cost model of a language.
    pub fn of(&self, language: Language) -> &[i64] {
        match language {
            Language::PlutusV1 => &self.v1,
            Language::PlutusV2 => &self.v2,
            Language::PlutusV3 => &self.v3,
        }
    }
}

/// The hash that a body must carry when its transaction has redeemers or datums in its witness set.
///
/// `languages` are those of the Plutus scripts that run. The bytes hashed are those that
/// [`Transaction::to_cbor`](crate::Transaction::to_cbor) writes for the redeemers.
pub fn script_data_hash(
    redeemers: &[Redeemer],
    datums: &[PlutusData],
    languages: &BTreeSet<Language>,
    params: &ProtocolParameters,
) -> [u8; 32] {
    let datums = (!datums.is_empty()).then(|| {
        let mut writer = Writer::default();
        writer.set(datums.len());
        for datum in datums {
            writer.raw(&plutus_data_to_cbor(datum));
        }
        writer.into_bytes()
    });
    script_data_hash_of_bytes(
        &redeemers_to_cbor(redeemers),
        datums.as_deref().unwrap_or_default(),
        languages,
        &params.cost_models,
    )
}

/// The same over the bytes as they stand in a witness set; `datums` is empty when it has none.
pub(crate) fn script_data_hash_of_bytes(
    redeemers: &[u8],
    datums: &[u8],
    languages: &BTreeSet<Language>,
    costs: &CostModels,
) -> [u8; 32] {
    blake2b_256(&[redeemers, datums, &language_views(languages, costs)].concat())
}

/// The cost models of the languages, in the encoding that is hashed: Plutus V1 has a key and a list wrapped in byte
/// strings, by an accident that was kept.
fn language_views(languages: &BTreeSet<Language>, costs: &CostModels) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.map(languages.len());
    // Shorter keys first: V1's key is a byte string of one byte.
    for language in [Language::PlutusV2, Language::PlutusV3, Language::PlutusV1] {
        if !languages.contains(&language) {
            continue;
        }
        let costs = costs.of(language);
        if language == Language::PlutusV1 {
            let mut list = Writer::default();
            list.begin_array();
            costs.iter().for_each(|cost| list.int(*cost));
            list.end();
            writer.bytes(&[0]);
            writer.bytes(&list.into_bytes());
        } else {
            writer.uint(language as u64);
            writer.array(costs.len());
            costs.iter().for_each(|cost| writer.int(*cost));
        }
    }
    writer.into_bytes()
}
