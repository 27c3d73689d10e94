//! What goes in is what goes out, withdrawals, deposits, refunds and the fee counted.
//!
//! [`UTXO`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/shelley/impl/src/Cardano/Ledger/Shelley/Rules/Utxo.hs), `validateValueNotConservedUTxO`

use crate::rules::{Case, LedgerError, balance::Balance, changes::deposits_and_refunds};

pub(in crate::rules) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    let body = &case.tx.body;
    let mut balance = Balance::default();
    for output in body.inputs.iter().filter_map(|outpoint| case.state.utxo.get(outpoint)) {
        balance.add(&output.value, 1);
    }
    for sized in &body.outputs {
        balance.add(&sized.output.value, -1);
    }
    for (asset, quantity) in &body.mint {
        balance.add_asset(asset, i128::from(*quantity));
    }
    let (deposits, refunds) = deposits_and_refunds(case.state, case.tx);
    balance.lovelace += body.withdrawals.values().map(|amount| i128::from(amount.0)).sum::<i128>();
    balance.lovelace += refunds - deposits - i128::from(body.fee.0);
    let assets = balance.unequal();
    if balance.lovelace == 0 && assets.is_empty() {
        Ok(())
    } else {
        Err(LedgerError::ValueNotConservedUTxO { lovelace: balance.lovelace, assets })
    }
}
