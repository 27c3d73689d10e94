//! Every output holds enough lovelace for its size, the collateral's return too.
//!
//! [`UTXO`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/babbage/impl/src/Cardano/Ledger/Babbage/Rules/Utxo.hs), `validateOutputTooSmallUTxO`

use crate::{
    fees::min_ada_for_size,
    rules::{Case, LedgerError},
};

pub(in crate::rules) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    for (index, sized) in case.outputs().enumerate() {
        let minimum = min_ada_for_size(&case.state.params, sized.size);
        let lovelace = sized.output.value.lovelace();
        if lovelace < minimum {
            return Err(LedgerError::BabbageOutputTooSmallUTxO { index, lovelace, minimum });
        }
    }
    Ok(())
}
