//! The fee is at least that of the size, the declared units and the reference scripts.
//!
//! [`UTXO`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/babbage/impl/src/Cardano/Ledger/Babbage/Rules/Utxo.hs), `feesOK`

use crate::{
    fees::min_fee,
    rules::{Case, LedgerError},
};

pub(in crate::rules) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    let minimum = min_fee(&case.state.params, case.tx.size, case.tx.declared_units(), case.view.reference_bytes);
    let fee = case.tx.body.fee;
    if minimum <= fee { Ok(()) } else { Err(LedgerError::FeeTooSmallUTxO { fee, minimum }) }
}
