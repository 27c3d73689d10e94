//! What changes when an epoch begins: pools become what they said they would, and those that retire are gone
//! (`POOLREAP` rule of the Shelley specification). Rewards and votes are not counted.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    address::Credential,
    rules::state::{Account, LedgerState, Pool, Undo, exchange},
    units::{Epoch, Lovelace, PoolId},
};

impl LedgerState {
    /// Begins an epoch, and says how to take that back.
    ///
    /// What pools registered themselves anew with holds from now on. The deposits of pools that retire go to their
    /// reward accounts, or to the treasury where there is no account, and their delegators are without a pool
    /// ([`POOLREAP`]).
    ///
    /// [`POOLREAP`]: https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/shelley/impl/src/Cardano/Ledger/Shelley/Rules/PoolReap.hs
    pub fn begin_epoch(&mut self, epoch: Epoch) -> Undo {
        let mut reaped = Reaped::default();
        for (id, pool) in &self.pools {
            if pool.retires.is_some_and(|last| last <= epoch) {
                reaped.retire(&self.accounts, *id, pool);
            } else if let Some(params) = pool.next.clone() {
                reaped.pools.push((*id, Some(Pool { params, next: None, ..pool.clone() })));
            }
        }
        if !reaped.retired.is_empty() {
            reaped.release(&self.accounts);
        }
        self.treasury.0 = self.treasury.0.saturating_add(reaped.unclaimed.0);
        let accounts = reaped.accounts.into_iter().map(|(credential, account)| (credential, Some(account))).collect();
        Undo {
            accounts: exchange(&mut self.accounts, accounts),
            pools: exchange(&mut self.pools, reaped.pools),
            treasury: reaped.unclaimed,
            ..Undo::default()
        }
    }
}

/// What an epoch's begin changes.
#[derive(Default)]
struct Reaped {
    pools: Vec<(PoolId, Option<Pool>)>,
    accounts: BTreeMap<Credential, Account>,
    retired: BTreeSet<PoolId>,
    /// Deposits without an account to go to.
    unclaimed: Lovelace,
}

impl Reaped {
    fn retire(&mut self, accounts: &BTreeMap<Credential, Account>, id: PoolId, pool: &Pool) {
        self.retired.insert(id);
        self.pools.push((id, None));
        let credential = pool.next.as_ref().unwrap_or(&pool.params).reward_account.credential;
        let pot = match accounts.get(&credential) {
            Some(held) => &mut self.accounts.entry(credential).or_insert(*held).rewards,
            None => &mut self.unclaimed,
        };
        pot.0 = pot.0.saturating_add(pool.deposit.0);
    }

    /// Takes their pool from those who delegated to one that retired.
    fn release(&mut self, accounts: &BTreeMap<Credential, Account>) {
        for (credential, held) in accounts {
            if held.pool.is_some_and(|pool| self.retired.contains(&pool)) {
                self.accounts.entry(*credential).or_insert(*held).pool = None;
            }
        }
    }
}
