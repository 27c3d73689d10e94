//! A pool's fixed cost is not below the minimum.
//!
//! [`POOL`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/shelley/impl/src/Cardano/Ledger/Shelley/Rules/Pool.hs), `StakePoolCostTooLowPOOL`

use crate::{
    certificate::PoolParams,
    rules::{Case, LedgerError},
};

pub(super) fn check(case: &Case<'_>, params: &PoolParams) -> Result<(), LedgerError> {
    let (cost, minimum) = (params.cost, case.state.params.min_pool_cost);
    if cost >= minimum { Ok(()) } else { Err(LedgerError::StakePoolCostTooLowPOOL { pool: params.id, cost, minimum }) }
}
