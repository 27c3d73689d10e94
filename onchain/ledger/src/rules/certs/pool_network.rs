//! A pool's rewards go to an account of this network.
//!
//! [`POOL`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/shelley/impl/src/Cardano/Ledger/Shelley/Rules/Pool.hs), `WrongNetworkPOOL`

use crate::{
    certificate::PoolParams,
    rules::{Case, LedgerError},
};

pub(super) fn check(case: &Case<'_>, params: &PoolParams) -> Result<(), LedgerError> {
    let network_id = case.state.magic.network_id();
    if params.reward_account.network_id == network_id {
        Ok(())
    } else {
        Err(LedgerError::WrongNetworkPOOL { network_id, pool: params.id, account: params.reward_account })
    }
}
