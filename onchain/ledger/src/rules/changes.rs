//! Accounts and pools as a transaction's certificates leave them one after another.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    address::Credential,
    received::{ReceivedCertificate, ReceivedTx},
    rules::{
        LedgerState,
        state::{Account, Pool},
    },
    units::{Lovelace, PoolId},
};

/// A state's accounts and pools with changes on top.
pub(super) struct Changes<'a> {
    state: &'a LedgerState,
    /// What was changed, as it is now; `None` for what was removed.
    pub(super) accounts: BTreeMap<Credential, Option<Account>>,
    /// The same of pools.
    pub(super) pools: BTreeMap<PoolId, Option<Pool>>,
}

impl<'a> Changes<'a> {
    /// No changes.
    pub(super) fn of(state: &'a LedgerState) -> Self {
        Self { state, accounts: BTreeMap::new(), pools: BTreeMap::new() }
    }

    /// An account as it is now.
    pub(super) fn account(&self, credential: Credential) -> Option<Account> {
        match self.accounts.get(&credential) {
            Some(changed) => *changed,
            None => self.state.accounts.get(&credential).copied(),
        }
    }

    /// Changes an account, or removes it.
    pub(super) fn set_account(&mut self, credential: Credential, account: Option<Account>) {
        self.accounts.insert(credential, account);
    }

    /// A pool as it is now.
    pub(super) fn pool(&self, id: PoolId) -> Option<&Pool> {
        match self.pools.get(&id) {
            Some(changed) => changed.as_ref(),
            None => self.state.pools.get(&id),
        }
    }

    /// Changes a pool, or removes it.
    pub(super) fn set_pool(&mut self, id: PoolId, pool: Option<Pool>) {
        self.pools.insert(id, pool);
    }
}

/// Lovelace that certificates take as deposits and give back as refunds (`totalDeposits`, `totalRefunds`).
///
/// A refund is what the account's registration took, in the state or earlier in the same transaction. A pool pays once,
/// and gets its deposit back when it has retired, not here.
pub(super) fn deposits_and_refunds(state: &LedgerState, tx: &ReceivedTx<'_>) -> (i128, i128) {
    let key_deposit = state.params.key_deposit;
    let (mut deposits, mut refunds) = (0, 0);
    let mut accounts: BTreeMap<Credential, Option<Lovelace>> = BTreeMap::new();
    let mut pools = BTreeSet::new();
    for certificate in &tx.body.certificates {
        if let Some(credential) = certificate.registers() {
            deposits += i128::from(key_deposit.0);
            accounts.insert(credential, Some(key_deposit));
        }
        match certificate {
            ReceivedCertificate::Deregister { credential, .. } => {
                let held = || state.accounts.get(credential).map(|account| account.deposit);
                let deposit = accounts.get(credential).copied().unwrap_or_else(held);
                refunds += i128::from(deposit.unwrap_or_default().0);
                accounts.insert(*credential, None);
            }
            ReceivedCertificate::RegisterPool(params)
                if !state.pools.contains_key(&params.id) && pools.insert(params.id) =>
            {
                deposits += i128::from(state.params.pool_deposit.0);
            }
            _ => {}
        }
    }
    (deposits, refunds)
}
