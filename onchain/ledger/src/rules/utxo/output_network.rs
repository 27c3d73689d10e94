//! Outputs go to addresses of this network.
//!
//! [`UTXO`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/shelley/impl/src/Cardano/Ledger/Shelley/Rules/Utxo.hs), `validateWrongNetwork`

use crate::{
    address::Address,
    byron::ByronParts,
    rules::{Case, LedgerError},
};

pub(in crate::rules) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    let network_id = case.state.magic.network_id();
    let foreign: Vec<_> = case
        .outputs()
        .map(|sized| &sized.output.address)
        .filter(|address| network_of(address) != Some(network_id))
        .cloned()
        .collect();
    if foreign.is_empty() { Ok(()) } else { Err(LedgerError::WrongNetwork { network_id, addresses: foreign }) }
}

fn network_of(address: &Address) -> Option<u8> {
    address.network_id().or_else(|| ByronParts::of(address).map(|byron| byron.network_id))
}
