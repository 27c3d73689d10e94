//! Stake accounts: withdrawals, registrations and deregistrations (`CERTS` and `DELEG` rules of the Conway
//! specification).

use std::collections::BTreeMap;

use crate::{
    address::{Credential, RewardAccount},
    received::{ReceivedCertificate, ReceivedTx},
    rules::{Case, LedgerError, LedgerState},
    units::{KeyHash, Lovelace, ScriptHash},
};

/// The major protocol version from which keys must be delegated to a representative before they withdraw.
const REPRESENTATIVE_REQUIRED: u16 = 10;

/// A registered stake account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// What its registration took, and its removal gives back.
    pub deposit: Lovelace,
    /// What it can withdraw.
    pub rewards: Lovelace,
    /// Whom it lets vote.
    pub drep: Option<DRep>,
}

/// A representative that an account delegates its vote to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DRep {
    /// A representative with a key.
    Key(KeyHash),
    /// A representative with a script.
    Script(ScriptHash),
    /// Nobody, and the stake does not count.
    Abstain,
    /// Nobody, and the stake counts as a vote of no confidence.
    NoConfidence,
}

/// The accounts that a transaction changes, as they are afterwards.
type Changes = BTreeMap<Credential, Option<Account>>;

pub(super) fn check(case: &Case<'_>) -> Result<Changes, LedgerError> {
    withdrawals_in_rewards(case)?;
    withdrawals_represented(case)?;
    let mut changes = Changes::new();
    for (account, _) in withdrawn(case.tx) {
        let emptied =
            case.state.accounts.get(&account.credential).map(|held| Account { rewards: Lovelace(0), ..*held });
        changes.insert(account.credential, emptied);
    }
    for certificate in &case.tx.body.certificates {
        certify(case.state, &mut changes, certificate)?;
    }
    Ok(changes)
}

fn withdrawn<'a>(tx: &'a ReceivedTx<'_>) -> impl Iterator<Item = (&'a RewardAccount, Lovelace)> {
    tx.body.withdrawals.iter().map(|(account, amount)| (account, *amount))
}

/// A withdrawal takes all that a registered account holds, which may be nothing.
fn withdrawals_in_rewards(case: &Case<'_>) -> Result<(), LedgerError> {
    let network_id = case.state.magic.network_id();
    let foreign: Vec<_> =
        withdrawn(case.tx).map(|(account, _)| *account).filter(|account| account.network_id != network_id).collect();
    if !foreign.is_empty() {
        return Err(LedgerError::WrongNetworkWithdrawal { network_id, accounts: foreign });
    }
    let wrong: Vec<_> = withdrawn(case.tx)
        .filter(|(account, amount)| {
            case.state.accounts.get(&account.credential).map(|held| held.rewards) != Some(*amount)
        })
        .map(|(account, _)| *account)
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(LedgerError::WithdrawalsNotInRewardsCERTS(wrong)) }
}

fn withdrawals_represented(case: &Case<'_>) -> Result<(), LedgerError> {
    if case.state.params.protocol_version.major < REPRESENTATIVE_REQUIRED {
        return Ok(());
    }
    let silent: Vec<_> = withdrawn(case.tx)
        .filter_map(|(account, _)| match account.credential {
            Credential::Key(key) => Some((key, case.state.accounts.get(&account.credential)?)),
            Credential::Script(_) => None,
        })
        .filter(|(_, account)| account.drep.is_none())
        .map(|(key, _)| key)
        .collect();
    if silent.is_empty() { Ok(()) } else { Err(LedgerError::ConwayWdrlNotDelegatedToDRep(silent)) }
}

fn certify(state: &LedgerState, changes: &mut Changes, certificate: &ReceivedCertificate) -> Result<(), LedgerError> {
    let current = |credential: &Credential| match changes.get(credential) {
        Some(changed) => *changed,
        None => state.accounts.get(credential).copied(),
    };
    match *certificate {
        ReceivedCertificate::Register { credential, deposit } => {
            let expected = state.params.key_deposit;
            if let Some(stated) = deposit.filter(|stated| *stated != expected) {
                return Err(LedgerError::IncorrectDepositDELEG { stated, expected });
            }
            if current(&credential).is_some() {
                return Err(LedgerError::StakeKeyRegisteredDELEG(credential));
            }
            changes.insert(credential, Some(Account { deposit: expected, ..Account::default() }));
        }
        ReceivedCertificate::Deregister { credential, refund } => {
            let account = current(&credential).ok_or(LedgerError::StakeKeyNotRegisteredDELEG(credential))?;
            if let Some(stated) = refund.filter(|stated| *stated != account.deposit) {
                return Err(LedgerError::IncorrectDepositDELEG { stated, expected: account.deposit });
            }
            if account.rewards != Lovelace(0) {
                return Err(LedgerError::StakeKeyHasNonZeroAccountBalanceDELEG {
                    credential,
                    balance: account.rewards,
                });
            }
            changes.insert(credential, None);
        }
        ReceivedCertificate::Other { tag } => {
            return Err(LedgerError::Unsupported(format!("certificates with tag {tag}")));
        }
    }
    Ok(())
}

/// Lovelace that certificates take as deposits and give back as refunds.
///
/// A refund is what the account's registration took, in the state or earlier in the same transaction.
pub(super) fn deposits_and_refunds(state: &LedgerState, tx: &ReceivedTx<'_>) -> (i128, i128) {
    let (mut deposits, mut refunds) = (0, 0);
    let mut registered: BTreeMap<Credential, Option<Lovelace>> = BTreeMap::new();
    for certificate in &tx.body.certificates {
        match certificate {
            ReceivedCertificate::Register { credential, .. } => {
                deposits += i128::from(state.params.key_deposit.0);
                registered.insert(*credential, Some(state.params.key_deposit));
            }
            ReceivedCertificate::Deregister { credential, .. } => {
                let held = || state.accounts.get(credential).map(|account| account.deposit);
                let deposit = registered.get(credential).copied().unwrap_or_else(held);
                refunds += i128::from(deposit.unwrap_or_default().0);
                registered.insert(*credential, None);
            }
            ReceivedCertificate::Other { .. } => {}
        }
    }
    (deposits, refunds)
}
