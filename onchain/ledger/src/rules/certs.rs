//! Withdrawals and certificates, in order, and what they change (`CERTS`, `DELEG` and `POOL` rules).

mod delegatee_drep;
mod delegatee_pool;
mod key_deposit;
mod key_not_registered;
mod key_registered;
mod pool_cost;
mod pool_metadata;
mod pool_network;
mod pool_registered;
mod pool_retirement;
pub(super) mod withdrawals_in_rewards;
mod zero_balance;

use crate::{
    address::Credential,
    certificate::{Delegation, PoolParams},
    received::ReceivedCertificate,
    rules::{
        Case, LedgerError,
        changes::Changes,
        state::{Account, Pool},
    },
    units::{Epoch, Lovelace, PoolId},
};

pub(super) fn check<'a>(case: &Case<'a>) -> Result<Changes<'a>, LedgerError> {
    let mut changes = Changes::of(case.state);
    for account in case.tx.body.withdrawals.keys() {
        if let Some(held) = case.state.accounts.get(&account.credential) {
            changes.set_account(account.credential, Some(Account { rewards: Lovelace(0), ..*held }));
        }
    }
    for certificate in &case.tx.body.certificates {
        certify(case, &mut changes, certificate)?;
    }
    Ok(changes)
}

fn certify(case: &Case<'_>, changes: &mut Changes<'_>, certificate: &ReceivedCertificate) -> Result<(), LedgerError> {
    match certificate {
        ReceivedCertificate::Register { credential, deposit } => {
            let account = register(case, changes, *credential, *deposit)?;
            changes.set_account(*credential, Some(account));
        }
        ReceivedCertificate::Deregister { credential, refund } => {
            let account = key_registered::check(changes, *credential, None)?;
            key_deposit::check(*refund, account.deposit)?;
            zero_balance::check(*credential, &account)?;
            changes.set_account(*credential, None);
        }
        ReceivedCertificate::Delegate { credential, to } => {
            let account = key_registered::check(changes, *credential, Some(*to))?;
            delegate(case, changes, *credential, account, *to)?;
        }
        ReceivedCertificate::RegisterAndDelegate { credential, to, deposit } => {
            let account = register(case, changes, *credential, Some(*deposit))?;
            delegate(case, changes, *credential, account, *to)?;
        }
        ReceivedCertificate::RegisterPool(params) => register_pool(case, changes, params)?,
        ReceivedCertificate::RetirePool { pool, epoch } => retire_pool(case, changes, *pool, *epoch)?,
        // Refused before.
        ReceivedCertificate::Other { .. } => {}
    }
    Ok(())
}

fn register(
    case: &Case<'_>,
    changes: &Changes<'_>,
    credential: Credential,
    stated: Option<Lovelace>,
) -> Result<Account, LedgerError> {
    let deposit = case.state.params.key_deposit;
    key_deposit::check(stated, deposit)?;
    key_not_registered::check(changes, credential)?;
    Ok(Account { deposit, ..Account::default() })
}

fn delegate(
    case: &Case<'_>,
    changes: &mut Changes<'_>,
    credential: Credential,
    account: Account,
    to: Delegation,
) -> Result<(), LedgerError> {
    delegatee_pool::check(changes, to)?;
    delegatee_drep::check(case, to)?;
    let (pool, drep) = (to.pool().or(account.pool), to.drep().or(account.drep));
    changes.set_account(credential, Some(Account { pool, drep, ..account }));
    Ok(())
}

/// What a pool changes itself to holds from the next epoch on, and cancels its retirement.
fn register_pool(case: &Case<'_>, changes: &mut Changes<'_>, params: &PoolParams) -> Result<(), LedgerError> {
    pool_network::check(case, params)?;
    pool_metadata::check(params)?;
    pool_cost::check(case, params)?;
    let pool = match changes.pool(params.id) {
        None => Pool { params: params.clone(), deposit: case.state.params.pool_deposit, next: None, retires: None },
        Some(pool) => Pool { next: Some(params.clone()), retires: None, ..pool.clone() },
    };
    changes.set_pool(params.id, Some(pool));
    Ok(())
}

fn retire_pool(case: &Case<'_>, changes: &mut Changes<'_>, id: PoolId, epoch: Epoch) -> Result<(), LedgerError> {
    let pool = pool_registered::check(changes, id)?;
    pool_retirement::check(case, id, epoch)?;
    changes.set_pool(id, Some(Pool { retires: Some(epoch), ..pool }));
    Ok(())
}
