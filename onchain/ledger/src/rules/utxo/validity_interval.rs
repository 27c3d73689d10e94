//! The slot is in the validity interval: the first slot counts, the last one does not.
//!
//! [`UTXO`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/allegra/impl/src/Cardano/Ledger/Allegra/Rules/Utxo.hs), `validateOutsideValidityIntervalUTxO`

use crate::rules::{Case, LedgerError};

pub(in crate::rules) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    let (from, until, slot) = (case.tx.body.valid_from, case.tx.body.valid_until, case.slot);
    if from.is_none_or(|from| from <= slot) && until.is_none_or(|until| slot < until) {
        Ok(())
    } else {
        Err(LedgerError::OutsideValidityIntervalUTxO { from, until, slot })
    }
}
