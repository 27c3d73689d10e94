//! A pool retires in a later epoch, but not too late: `current < epoch ≤ current + eMax`.
//!
//! [`POOL`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/shelley/impl/src/Cardano/Ledger/Shelley/Rules/Pool.hs), `StakePoolRetirementWrongEpochPOOL`

use crate::{
    rules::{Case, LedgerError},
    units::{Epoch, PoolId},
};

pub(super) fn check(case: &Case<'_>, pool: PoolId, stated: Epoch) -> Result<(), LedgerError> {
    let current = case.state.epochs.at(case.slot);
    let last = Epoch(current.0.saturating_add(case.state.params.e_max));
    if current < stated && stated <= last {
        Ok(())
    } else {
        Err(LedgerError::StakePoolRetirementWrongEpochPOOL { pool, stated, current, last })
    }
}
