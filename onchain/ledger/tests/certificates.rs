//! The rules of stake accounts, delegation and pools: a good certificate passes, one with a flaw is refused by name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use nunet_ledger::{
    Certificate, Credential, DRep, Delegation, Epoch, Lovelace, PoolId, PoolParams, RewardAccount, Script, TxOut,
    parameters::Rational,
    rules::{Account, LedgerState, Pool},
};
use support::*;

#[test]
fn registration_takes_a_deposit_and_no_witness() {
    let credential = Credential::Script(no().hash());
    let mut draft = Draft::payment();
    draft.tx.body.certificates.push(Certificate::RegisterStake(credential));
    draft.refused("ValueNotConservedUTxO");
    draft.pay(-2 * ADA as i64);
    let effects = draft.check().unwrap();
    let expected = Account { deposit: Lovelace(2 * ADA), ..Account::default() };
    assert_eq!(effects.accounts, [(credential, Some(expected))]);
    let mut after = state();
    let undo = after.apply(effects);
    after.utxo.insert(outpoint(1), TxOut::new(address(1), ada(100)));
    refused(draft.check_on(&after), "StakeKeyRegisteredDELEG");
    after.revert(undo);
    assert!(!after.accounts.contains_key(&credential));
}

#[test]
fn deregistration_gives_the_deposit_back() {
    let mut on = state();
    let credential = key_account(5).credential;
    let mut draft = Draft::payment();
    draft.tx.body.certificates.push(Certificate::DeregisterStake(credential));
    draft.pay(2 * ADA as i64);
    draft.signers.push(5);
    refused(draft.check_on(&on), "StakeKeyNotRegisteredDELEG");
    on.accounts.insert(credential, Account { deposit: Lovelace(2 * ADA), rewards: Lovelace(1), ..Account::default() });
    refused(draft.check_on(&on), "StakeKeyHasNonZeroAccountBalanceDELEG");
    on.accounts.insert(credential, Account { deposit: Lovelace(2 * ADA), ..Account::default() });
    let effects = draft.check_on(&on).unwrap();
    assert_eq!(effects.accounts, [(credential, None)]);
    draft.signers.pop();
    refused(draft.check_on(&on), "MissingVKeyWitnessesUTXOW");
}

#[test]
fn the_certificates_that_state_a_deposit_are_held_to_it() {
    let certificate = |tag: u8, deposit: u32| {
        let credential = [&[0x82, 0x00, 0x58, 0x1c], &key_hash(5).0[..]].concat();
        let mut draft = Draft::payment();
        draft.signers.push(5);
        draft.extra_fields.push([&[0x04, 0x81, 0x83, tag][..], &credential, &[0x1a], &deposit.to_be_bytes()].concat());
        draft
    };
    let mut draft = certificate(7, 2_000_000);
    draft.pay(-2 * ADA as i64);
    draft.check().unwrap();
    draft.signers.pop();
    draft.refused("MissingVKeyWitnessesUTXOW");
    certificate(7, 2_000_001).refused("IncorrectDepositDELEG");

    let mut on = state();
    on.accounts.insert(key_account(5).credential, Account { deposit: Lovelace(3 * ADA), ..Account::default() });
    let mut draft = certificate(8, 3_000_000);
    draft.pay(3 * ADA as i64);
    draft.check_on(&on).unwrap();
    refused(certificate(8, 2_000_000).check_on(&on), "IncorrectDepositDELEG");
}

#[test]
fn withdrawals_take_everything_from_a_registered_account() {
    let mut on = state();
    let credential = key_account(5).credential;
    let drep = Some(DRep::Abstain);
    let mut draft = Draft::payment();
    draft.signers.push(5);
    draft.tx.body.withdrawals.insert(key_account(5), Lovelace(ADA));
    draft.pay(ADA as i64);
    refused(draft.check_on(&on), "WithdrawalsNotInRewardsCERTS");
    on.accounts.insert(credential, Account { rewards: Lovelace(ADA + 1), drep, ..Account::default() });
    refused(draft.check_on(&on), "WithdrawalsNotInRewardsCERTS");
    on.accounts.insert(credential, Account { rewards: Lovelace(ADA), drep: None, ..Account::default() });
    refused(draft.check_on(&on), "ConwayWdrlNotDelegatedToDRep");
    on.accounts.insert(credential, Account { rewards: Lovelace(ADA), drep, ..Account::default() });
    let effects = draft.check_on(&on).unwrap();
    assert_eq!(effects.accounts, [(credential, Some(Account { drep, ..Account::default() }))]);
    draft.signers.pop();
    refused(draft.check_on(&on), "MissingVKeyWitnessesUTXOW");
}

/// A field of certificates, each given by its bytes.
fn certificates(certificates: &[Vec<u8>]) -> Vec<u8> {
    [vec![0x04, 0x80 + u8::try_from(certificates.len()).unwrap()], certificates.concat()].concat()
}

fn hash(hash: &[u8; 28]) -> Vec<u8> {
    [&[0x58, 0x1c][..], hash].concat()
}

fn number(number: u64) -> Vec<u8> {
    [&[0x1b][..], &number.to_be_bytes()].concat()
}

/// What the certificate of pool 6 says, with key 6 as its operator and key 7 as its owner.
#[derive(Clone)]
struct Registration {
    cost: u64,
    network_id: u8,
    hash_size: u8,
    margin: (u8, u8),
}

impl Registration {
    const GOOD: Self = Self { cost: 340 * ADA, network_id: 0, hash_size: 32, margin: (1, 20) };

    fn bytes(&self) -> Vec<u8> {
        let account = RewardAccount { network_id: self.network_id, credential: key_account(5).credential };
        let relays = [
            &[0x83][..],
            &[0x84, 0x00, 0x19, 0x0b, 0xb9, 0x44, 127, 0, 0, 1, 0xf6],
            &[0x83, 0x01, 0xf6, 0x61, b'a'],
            &[0x82, 0x02, 0x61, b'b'],
        ]
        .concat();
        let metadata = [&[0x82, 0x61, b'u', 0x58, self.hash_size][..], &vec![9; self.hash_size.into()]].concat();
        [
            vec![0x8a, 0x03],
            hash(&key_hash(6).0),
            [&[0x58, 0x20][..], &[8; 32]].concat(),
            number(100 * ADA),
            number(self.cost),
            vec![0xd8, 0x1e, 0x82, self.margin.0, 0x18, self.margin.1],
            [&[0x58, 0x1d][..], &account.to_bytes()].concat(),
            [vec![0x81], hash(&key_hash(7).0)].concat(),
            relays,
            metadata,
        ]
        .concat()
    }
}

fn retirement(epoch: u64) -> Vec<u8> {
    [vec![0x83, 0x04], hash(&key_hash(6).0), number(epoch)].concat()
}

fn pool_id() -> PoolId {
    PoolId(key_hash(6).0)
}

/// A payment with certificates, signed by everybody whom they concern.
fn with(list: &[Vec<u8>]) -> Draft {
    let mut draft = Draft::payment();
    draft.extra_fields.push(certificates(list));
    draft.signers = vec![1, 5, 6, 7];
    draft
}

fn registered_pool() -> Pool {
    let params = PoolParams {
        id: pool_id(),
        vrf: [8; 32],
        pledge: Lovelace(0),
        cost: Lovelace(340 * ADA),
        margin: Rational::new(0, 1),
        reward_account: key_account(5),
        owners: [key_hash(7)].into(),
        relays: vec![],
        metadata: None,
    };
    Pool { params, deposit: Lovelace(500 * ADA), next: None, retires: None }
}

/// The usual state with an account of key 5 and pool 6.
fn staking() -> LedgerState {
    let mut on = state();
    on.accounts.insert(key_account(5).credential, Account { deposit: Lovelace(2 * ADA), ..Account::default() });
    on.pools.insert(pool_id(), registered_pool());
    on
}

#[test]
fn a_delegation_names_an_account_a_pool_and_a_representative_that_are_registered() {
    let credential = key_account(5).credential;
    let to = [
        Delegation::Stake(pool_id()),
        Delegation::Vote(DRep::Key(key_hash(8))),
        Delegation::StakeAndVote(pool_id(), DRep::Key(key_hash(8))),
    ];
    for to in to {
        let mut draft = Draft::payment();
        draft.signers.push(5);
        draft.tx.body.certificates.push(Certificate::Delegate { credential, to });
        let mut on = staking();
        on.dreps.insert(Credential::Key(key_hash(8)));
        let effects = draft.check_on(&on).unwrap();
        let expected = Account { deposit: Lovelace(2 * ADA), pool: to.pool(), drep: to.drep(), ..Account::default() };
        assert_eq!(effects.accounts, [(credential, Some(expected))]);

        let mut unsigned = draft.clone();
        unsigned.signers.pop();
        refused(unsigned.check_on(&on), "MissingVKeyWitnessesUTXOW");
        let without = |change: fn(&mut LedgerState)| {
            let mut on = on.clone();
            change(&mut on);
            draft.check_on(&on)
        };
        refused(without(|on| on.accounts.clear()), "StakeKeyNotRegisteredDELEG");
        if to.pool().is_some() {
            refused(without(|on| on.pools.clear()), "DelegateeStakePoolNotRegisteredDELEG");
        }
        if to.drep().is_some() {
            refused(without(|on| on.dreps.clear()), "DelegateeDRepNotRegisteredDELEG");
            // While governance was bootstrapped, representatives did not have to be there.
            without(|on| {
                on.dreps.clear();
                on.params.protocol_version.major = 9;
            })
            .unwrap();
        }
    }
}

#[test]
fn abstaining_needs_no_representative_and_keeps_the_pool() {
    let credential = key_account(5).credential;
    let mut on = staking();
    on.accounts.get_mut(&credential).unwrap().pool = Some(pool_id());
    for drep in [DRep::Abstain, DRep::NoConfidence] {
        let mut draft = Draft::payment();
        draft.signers.push(5);
        draft.tx.body.certificates.push(Certificate::Delegate { credential, to: Delegation::Vote(drep) });
        let (_, account) = draft.check_on(&on).unwrap().accounts.remove(0);
        assert_eq!(account.map(|account| (account.pool, account.drep)), Some((Some(pool_id()), Some(drep))));
    }
}

#[test]
fn an_account_is_registered_and_delegated_at_once() {
    let credential = key_account(5).credential;
    let certificate = |deposit| {
        let to = Delegation::StakeAndVote(pool_id(), DRep::Abstain);
        let mut draft = Draft::payment();
        draft.signers.push(5);
        draft.pay(-2 * ADA as i64);
        draft.tx.body.certificates.push(Certificate::RegisterAndDelegate {
            credential,
            to,
            deposit: Lovelace(deposit),
        });
        draft
    };
    let mut on = staking();
    refused(certificate(2 * ADA).check_on(&on), "StakeKeyRegisteredDELEG");
    on.accounts.clear();
    let effects = certificate(2 * ADA).check_on(&on).unwrap();
    let expected =
        Account { deposit: Lovelace(2 * ADA), pool: Some(pool_id()), drep: Some(DRep::Abstain), ..Account::default() };
    assert_eq!(effects.accounts, [(credential, Some(expected))]);
    refused(certificate(2 * ADA + 1).check_on(&on), "IncorrectDepositDELEG");
    let mut draft = certificate(2 * ADA);
    draft.signers.pop();
    refused(draft.check_on(&on), "MissingVKeyWitnessesUTXOW");
    on.pools.clear();
    refused(certificate(2 * ADA).check_on(&on), "DelegateeStakePoolNotRegisteredDELEG");
}

#[test]
fn certificates_see_what_those_before_them_changed() {
    let credential = key_account(5).credential;
    let delegate = Certificate::Delegate { credential, to: Delegation::Stake(pool_id()) };
    let draft = |list: &[Certificate], paid: i64| {
        let mut draft = Draft::payment();
        draft.signers.push(5);
        draft.pay(paid);
        draft.tx.body.certificates = list.to_vec();
        draft.check_on(&staking())
    };
    let (register, remove) = (Certificate::RegisterStake(credential), Certificate::DeregisterStake(credential));
    let effects = draft(&[remove.clone(), register.clone(), delegate.clone()], 0).unwrap();
    assert_eq!(effects.accounts[0].1.unwrap().pool, Some(pool_id()));
    refused(draft(&[remove, delegate], 2 * ADA as i64), "StakeKeyNotRegisteredDELEG");
    refused(draft(&[register], -2 * ADA as i64), "StakeKeyRegisteredDELEG");
}

#[test]
fn a_script_delegates_with_a_redeemer() {
    let credential = account(&yes()).credential;
    let mut on = staking();
    let mut draft = Draft::payment();
    draft.tx.body.certificates.push(Certificate::Delegate { credential, to: Delegation::Stake(pool_id()) });
    refused(draft.check_on(&on), "MissingScriptWitnessesUTXOW");
    draft.tx.body.collateral.insert(outpoint(2));
    draft.run(nunet_ledger::Purpose::Certify, 0, yes());
    draft.check_on(&on).unwrap();
    draft.tx.witnesses.redeemers.clear();
    draft.bind();
    refused(draft.check_on(&on), "MissingRedeemers");
    on.pools.clear();
    refused(draft.check_on(&on), "DelegateeStakePoolNotRegisteredDELEG");
}

#[test]
fn only_the_third_language_is_shown_delegated_votes() {
    let delegating = |to, script: Script| {
        let credential = account(&script).credential;
        let mut on = staking();
        on.accounts.insert(credential, Account::default());
        let mut draft = Draft::payment();
        draft.tx.body.certificates.push(Certificate::Delegate { credential, to });
        draft.tx.body.collateral.insert(outpoint(2));
        draft.run(nunet_ledger::Purpose::Certify, 0, script);
        draft.check_on(&on)
    };
    let second = || Script::PlutusV2(plutus("(program 1.0.0 (lam redeemer (lam context (con unit ()))))"));
    delegating(Delegation::Stake(pool_id()), second()).unwrap();
    refused(delegating(Delegation::Vote(DRep::Abstain), second()), "CollectErrors");
    delegating(Delegation::Vote(DRep::Abstain), yes()).unwrap();
}

#[test]
fn a_new_pool_pays_its_deposit_once() {
    let mut on = state();
    // 98 and a fee of 2 go out, 500 are deposited.
    on.utxo.insert(outpoint(1), TxOut::new(address(1), ada(600)));
    let mut draft = with(&[Registration::GOOD.bytes()]);
    let effects = draft.check_on(&on).unwrap();
    let [(id, Some(pool))] = &effects.pools[..] else { panic!("one pool") };
    assert_eq!((*id, pool.deposit, pool.retires, &pool.next), (pool_id(), Lovelace(500 * ADA), None, &None));
    assert_eq!((pool.params.relays.len(), pool.params.reward_account), (3, key_account(5)));
    let twice = with(&[Registration::GOOD.bytes(), Registration { hash_size: 31, ..Registration::GOOD }.bytes()]);
    assert!(twice.check_on(&on).unwrap().pools[0].1.as_ref().unwrap().next.is_some());
    // Both its operator and its owner sign.
    for signers in [vec![1, 6], vec![1, 7]] {
        draft.signers = signers;
        refused(draft.check_on(&on), "MissingVKeyWitnessesUTXOW");
    }
    on.utxo.insert(outpoint(1), TxOut::new(address(1), ada(100)));
    refused(draft.check_on(&on), "MissingVKeyWitnessesUTXOW");
    draft.signers = vec![1, 6, 7];
    refused(draft.check_on(&on), "ValueNotConservedUTxO");
}

#[test]
fn a_pool_changes_from_the_next_epoch_on_and_stays() {
    let mut on = staking();
    on.pools.get_mut(&pool_id()).unwrap().retires = Some(Epoch(3));
    let effects = with(&[Registration { cost: 341 * ADA, ..Registration::GOOD }.bytes()]).check_on(&on).unwrap();
    let [(_, Some(pool))] = &effects.pools[..] else { panic!("one pool") };
    assert_eq!((pool.params.cost, pool.retires), (Lovelace(340 * ADA), None));
    let undo = on.apply(effects);
    let before = on.pools.clone();
    let epoch = on.begin_epoch(Epoch(1));
    assert_eq!(on.pools[&pool_id()].params.cost, Lovelace(341 * ADA));
    assert_eq!(on.pools[&pool_id()].next, None);
    on.revert(epoch);
    assert_eq!(on.pools, before);
    on.revert(undo);
    assert_eq!(on.pools[&pool_id()], Pool { retires: Some(Epoch(3)), ..registered_pool() });
}

#[test]
fn pools_keep_to_their_rules() {
    let flawed = |change: fn(&mut Registration)| {
        let mut registration = Registration::GOOD;
        change(&mut registration);
        with(&[registration.bytes()]).check_on(&staking())
    };
    flawed(|_| ()).unwrap();
    refused(flawed(|pool| pool.cost -= 1), "StakePoolCostTooLowPOOL");
    refused(flawed(|pool| pool.network_id = 1), "WrongNetworkPOOL");
    refused(flawed(|pool| pool.hash_size = 33), "PoolMedataHashTooBig");
    flawed(|pool| pool.margin = (20, 24)).unwrap();
    refused(flawed(|pool| pool.margin = (23, 22)), "DecodingFailure");
    refused(flawed(|pool| pool.margin = (0, 0)), "DecodingFailure");
}

#[test]
fn a_pool_retires_soon_but_not_at_once() {
    let mut on = staking();
    on.epochs.length = 100;
    // The slot of the check is in epoch 10, and a pool has 18 epochs.
    for (epoch, fits) in [(10, false), (11, true), (28, true), (29, false)] {
        let result = with(&[retirement(epoch)]).check_on(&on);
        if fits {
            let [(_, Some(pool))] = &result.unwrap().pools[..] else { panic!("one pool") };
            assert_eq!(pool.retires, Some(Epoch(epoch)));
        } else {
            refused(result, "StakePoolRetirementWrongEpochPOOL");
        }
    }
    let mut unsigned = with(&[retirement(11)]);
    unsigned.signers = vec![1, 5, 7];
    refused(unsigned.check_on(&on), "MissingVKeyWitnessesUTXOW");
    on.pools.clear();
    refused(with(&[retirement(11)]).check_on(&on), "StakePoolNotRegisteredOnKeyPOOL");
}

#[test]
fn a_pool_that_retired_is_gone_and_its_deposit_back() {
    let mut on = staking();
    let (owner, other) = (key_account(5).credential, key_account(8).credential);
    on.pools.get_mut(&pool_id()).unwrap().retires = Some(Epoch(3));
    for credential in [owner, other] {
        on.accounts.insert(credential, Account { pool: Some(pool_id()), rewards: Lovelace(7), ..Account::default() });
    }
    let before = on.clone();
    on.begin_epoch(Epoch(2));
    assert_eq!(on.pools, before.pools);
    let undo = on.begin_epoch(Epoch(3));
    assert!(on.pools.is_empty());
    let rewards = |on: &LedgerState, credential| (on.accounts[&credential].rewards, on.accounts[&credential].pool);
    assert_eq!(rewards(&on, owner), (Lovelace(500 * ADA + 7), None));
    assert_eq!(rewards(&on, other), (Lovelace(7), None));
    on.revert(undo);
    assert_eq!((&on.pools, &on.accounts), (&before.pools, &before.accounts));

    // Without an account to go to, the deposit is the treasury's.
    on.accounts.remove(&owner);
    let undo = on.begin_epoch(Epoch(3));
    assert_eq!(on.treasury, Lovelace(500 * ADA));
    on.revert(undo);
    assert_eq!(on.treasury, Lovelace(0));
}

#[test]
fn a_transaction_whose_scripts_fail_changes_no_account() {
    let credential = key_account(5).credential;
    let mut draft = Draft::spending(4, no());
    draft.valid = false;
    draft.signers.push(5);
    draft.tx.body.certificates.push(Certificate::Delegate { credential, to: Delegation::Stake(pool_id()) });
    // Its certificates are not even judged, but their witnesses are.
    let effects = draft.check().unwrap();
    assert!(effects.accounts.is_empty() && !effects.valid);
    draft.signers.pop();
    draft.refused("MissingVKeyWitnessesUTXOW");
}
