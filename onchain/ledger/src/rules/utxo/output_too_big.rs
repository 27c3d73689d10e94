//! The value of an output is not too long.
//!
//! [`UTXO`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/alonzo/impl/src/Cardano/Ledger/Alonzo/Rules/Utxo.hs), `validateOutputTooBigUTxO`

use std::collections::BTreeMap;

use crate::{
    rules::{Case, LedgerError},
    value::Value,
};

pub(in crate::rules) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    let limit = case.state.params.max_value_size;
    for (index, sized) in case.outputs().enumerate() {
        let size = size_of(&sized.output.value);
        if size > limit {
            return Err(LedgerError::OutputTooBigUTxO { index, size, limit });
        }
    }
    Ok(())
}

/// Most entries of a map that the ledger writes with as many bytes as this crate does; longer ones end with a break.
const DEFINITE_MAP: usize = 255;

/// The bytes of a value as the ledger writes it itself, whatever encoding was sent.
fn size_of(value: &Value) -> u64 {
    let mut names = BTreeMap::<_, usize>::new();
    value.assets().for_each(|(asset, _)| *names.entry(asset.policy).or_default() += 1);
    let maps = names.values().copied().chain([names.len()]);
    (value.to_cbor().len() - maps.filter(|entries| *entries > DEFINITE_MAP).count()) as u64
}
