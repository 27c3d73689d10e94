//! A pool that retires is registered.
//!
//! [`POOL`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/shelley/impl/src/Cardano/Ledger/Shelley/Rules/Pool.hs), `StakePoolNotRegisteredOnKeyPOOL`

use crate::{
    rules::{LedgerError, Pool, changes::Changes},
    units::PoolId,
};

pub(super) fn check(changes: &Changes<'_>, pool: PoolId) -> Result<Pool, LedgerError> {
    changes.pool(pool).cloned().ok_or(LedgerError::StakePoolNotRegisteredOnKeyPOOL(pool))
}
