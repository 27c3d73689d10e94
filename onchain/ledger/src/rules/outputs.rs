//! Outputs: on this network, with enough lovelace, and not too long (`UTXO` rule of the Babbage specification).

use std::collections::BTreeMap;

use crate::{
    address::Address,
    byron::ByronParts,
    fees::min_ada_for_size,
    received::SizedOutput,
    rules::{Case, LedgerError},
    value::Value,
};

/// Most bytes of attributes in a Byron address.
const MAX_BYRON_ATTRIBUTES: usize = 64;

pub(super) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    network(case)?;
    for (index, sized) in outputs(case).enumerate() {
        not_too_small(case, index, sized)?;
        not_too_big(case, index, sized)?;
    }
    Ok(())
}

/// The outputs, then the collateral's return.
fn outputs<'a>(case: &'a Case<'_>) -> impl Iterator<Item = &'a SizedOutput> {
    case.tx.body.outputs.iter().chain(&case.tx.body.collateral_return)
}

fn network(case: &Case<'_>) -> Result<(), LedgerError> {
    let network_id = case.state.magic.network_id();
    if let Some(stated) = case.tx.body.network_id.filter(|stated| *stated != network_id) {
        return Err(LedgerError::WrongNetworkInTxBody { network_id, stated });
    }
    let foreign: Vec<_> = outputs(case)
        .map(|sized| &sized.output.address)
        .filter(|address| network_of(address) != Some(network_id))
        .cloned()
        .collect();
    if foreign.is_empty() { Ok(()) } else { Err(LedgerError::WrongNetwork { network_id, addresses: foreign }) }
}

fn network_of(address: &Address) -> Option<u8> {
    address.network_id().or_else(|| ByronParts::of(address).map(|byron| byron.network_id))
}

fn not_too_small(case: &Case<'_>, index: usize, sized: &SizedOutput) -> Result<(), LedgerError> {
    let minimum = min_ada_for_size(&case.state.params, sized.size);
    let lovelace = sized.output.value.lovelace();
    if lovelace >= minimum { Ok(()) } else { Err(LedgerError::BabbageOutputTooSmallUTxO { index, lovelace, minimum }) }
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

fn not_too_big(case: &Case<'_>, index: usize, sized: &SizedOutput) -> Result<(), LedgerError> {
    let (size, limit) = (size_of(&sized.output.value), case.state.params.max_value_size);
    if size > limit {
        return Err(LedgerError::OutputTooBigUTxO { index, size, limit });
    }
    match ByronParts::of(&sized.output.address) {
        Some(byron) if byron.attributes_size > MAX_BYRON_ATTRIBUTES => {
            Err(LedgerError::OutputBootAddrAttrsTooBig { index, size: byron.attributes_size })
        }
        _ => Ok(()),
    }
}
