//! The whole way over a real devnet: connect, pay, mint, run scripts, register, wait, and be refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;

use nunet_chain::{
    AccountState, BuildError, Chain, ChainError, Limit, Outcome, OutputState, Wallet, balance, submit_plan,
};
use nunet_contracts::{Mint, Spend, TxPlan, Withdrawal};
use nunet_devnet::{Devnet, DevnetConfig, Genesis};
use nunet_ledger::{
    Address, AssetId, Certificate, Credential, DRep, Delegation, Lovelace, NetworkMagic, OutPoint, PoolId, PosixMs,
    RewardAccount, Slot, TxOut, parameters::ProtocolParameters,
};
use support::*;

/// More looks than any of these transactions needs.
const SOON: Limit = Limit::Polls(120);

/// A devnet with fast blocks that funds two wallets.
async fn start() -> (Devnet, Chain) {
    let accounts = vec![
        (wallet(0).address(), lovelace(1_000_000_000)),
        (wallet(0).address(), lovelace(20_000_000)),
        (wallet(1).enterprise_address(), lovelace(100_000_000)),
    ];
    let config = DevnetConfig {
        block_interval: Some(Duration::from_millis(200)),
        genesis: Genesis { accounts },
        ..DevnetConfig::default()
    };
    let devnet = Devnet::start(config).await.unwrap();
    let chain = Chain::connect(&devnet.url(), None).await.unwrap();
    (devnet, chain)
}

async fn submit(chain: &Chain, plan: &TxPlan, wallet: &Wallet) -> nunet_ledger::TxId {
    let (id, signed) = submit_plan(chain, plan, wallet).await.unwrap();
    assert_eq!(id, signed.id);
    let confirmation = chain.wait_for(&id, 1, SOON).await.unwrap();
    assert_eq!(confirmation.outcome, Outcome::Applied);
    id
}

fn pay(address: Address, amount: u64) -> TxPlan {
    TxPlan { outputs: vec![TxOut::new(address, lovelace(amount))], ..TxPlan::default() }
}

async fn held(chain: &Chain, address: &Address) -> u64 {
    chain.utxos_at(address).await.unwrap().iter().map(|utxo| utxo.output.value.lovelace().0).sum()
}

#[tokio::test]
async fn the_devnets_clock_magic_and_parameters_are_read() {
    let (devnet, chain) = start().await;
    assert_eq!(chain.magic(), NetworkMagic::DEVNET);
    assert_eq!(*chain.params(), ProtocolParameters::mainnet());
    let tip = chain.tip().await.unwrap();
    assert_eq!(chain.slots().begin(tip.slot), tip.time);
    assert_eq!(chain.slots().begin(Slot(1_000)), devnet.slots().begin(Slot(1_000)));
    devnet.shutdown().await;
}

#[tokio::test]
async fn money_moves_and_outputs_are_followed() {
    let (devnet, chain) = start().await;
    let (alice, bob) = (wallet(0), wallet(1));
    let id = submit(&chain, &pay(bob.address(), 5_000_000), &alice).await;
    let made = OutPoint { tx: id, index: 0 };
    let OutputState::Unspent { output, depth } = chain.output(&made).await.unwrap() else { panic!("unspent") };
    assert!(output == TxOut::new(bob.address(), lovelace(5_000_000)) && depth >= 1);
    assert_eq!(chain.transaction_cbor(&id).await.unwrap().unwrap(), devnet.transaction(&id).unwrap().cbor);
    let spend = Spend { outpoint: made, output: output.clone(), redeemer: None };
    let by = submit(&chain, &TxPlan { spends: vec![spend], ..TxPlan::default() }, &bob).await;
    assert_eq!(chain.output(&made).await.unwrap(), OutputState::Spent { output, by });
    assert!(matches!(chain.unspent(&made).await.unwrap_err(), ChainError::SpentOutput { .. }));
    let never = OutPoint { tx: id, index: 77 };
    assert_eq!(chain.output(&never).await.unwrap(), OutputState::Unknown);
    let fees: u64 = devnet.transactions().iter().map(|applied| applied.fee.0).sum();
    let everything = held(&chain, &alice.address()).await
        + held(&chain, &bob.address()).await
        + held(&chain, &bob.enterprise_address()).await;
    assert_eq!(everything + fees, 1_120_000_000);
    devnet.shutdown().await;
}

#[tokio::test]
async fn a_wallet_delegates_its_vote_and_its_stake_to_whom_there_is() {
    let (devnet, chain) = start().await;
    let alice = wallet(0);
    let credential = alice.stake_account().credential;
    let certify = |certificate| TxPlan { certificates: vec![certificate], ..TxPlan::default() };
    let (to, deposit) = (Delegation::Vote(DRep::Abstain), chain.params().key_deposit);
    submit(&chain, &certify(Certificate::RegisterAndDelegate { credential, to, deposit }), &alice).await;
    let rewards = Lovelace(0);
    assert_eq!(chain.account(&alice.stake_account()).await.unwrap(), AccountState::Registered { rewards });
    // Represented, it may withdraw, be it nothing.
    let withdrawal = Withdrawal { account: alice.stake_account(), amount: rewards, redeemer: None };
    submit(&chain, &TxPlan { withdrawals: vec![withdrawal], ..TxPlan::default() }, &alice).await;
    // Which pools there are, only the node knows.
    let to = Delegation::Stake(PoolId([7; 28]));
    let refused = submit_plan(&chain, &certify(Certificate::Delegate { credential, to }), &alice).await.unwrap_err();
    let ChainError::Rejected { message, .. } = refused else { panic!("{refused}") };
    assert!(message.contains("DelegateeStakePoolNotRegisteredDELEG"), "{message}");
    devnet.shutdown().await;
}

#[tokio::test]
async fn plans_that_follow_each_other_at_once_chain_on_unconfirmed_change() {
    let (devnet, chain) = start().await;
    let alice = wallet(0);
    // More than any one output holds together, so that some must build on change that no block has yet.
    let plans: Vec<TxPlan> = (0..6).map(|n| pay(wallet(2).address(), 160_000_000 + n)).collect();
    let submissions = plans.iter().map(|plan| submit_plan(&chain, plan, &alice));
    let mut ids = Vec::new();
    for submission in submissions {
        ids.push(submission.await.unwrap().0);
    }
    for id in &ids {
        chain.wait_for(id, 1, SOON).await.unwrap();
    }
    assert_eq!(held(&chain, &wallet(2).address()).await, 6 * 160_000_000 + 15);
    // The same from several tasks, as agents do it.
    let spawn = |amount| {
        let (chain, wallet, plan) = (chain.clone(), alice.clone(), pay(wallet(2).address(), amount));
        tokio::spawn(async move {
            let (id, _) = submit_plan(&chain, &plan, &wallet).await?;
            chain.wait_for(&id, 1, SOON).await
        })
    };
    for task in [spawn(2_000_000), spawn(3_000_000), spawn(4_000_000)] {
        task.await.unwrap().unwrap();
    }
    devnet.shutdown().await;
}

#[tokio::test]
async fn assets_are_minted_under_a_native_script_and_sent_on() {
    let (devnet, chain) = start().await;
    let (alice, bob) = (wallet(0), wallet(1));
    let policy = sig(alice.key_hash());
    let ntx = AssetId { policy: policy.hash(), name: b"NTX".to_vec() };
    let mint = TxPlan {
        mints: vec![Mint { asset: ntx.clone(), quantity: 1_000_000, redeemer: None }],
        scripts: vec![policy],
        ..TxPlan::default()
    };
    submit(&chain, &mint, &alice).await;
    let value = lovelace(2_000_000).with(ntx.clone(), 250_000).unwrap();
    let send = TxPlan { outputs: vec![TxOut::new(bob.address(), value)], ..TxPlan::default() };
    let id = submit(&chain, &send, &alice).await;
    let holders = chain.utxos_with(&bob.address(), &ntx).await.unwrap();
    assert_eq!(holders.len(), 1);
    assert_eq!((holders[0].outpoint.tx, holders[0].output.value.quantity(&ntx)), (id, 250_000));
    let kept: u64 =
        chain.utxos_at(&alice.address()).await.unwrap().iter().map(|utxo| utxo.output.value.quantity(&ntx)).sum();
    assert_eq!(kept, 750_000);
    devnet.shutdown().await;
}

#[tokio::test]
async fn scripts_are_deployed_locked_spent_and_withdrawn_from() {
    let (devnet, chain) = start().await;
    let (alice, script) = (wallet(0), always_true());
    let account = RewardAccount { network_id: 0, credential: Credential::Script(script.hash()) };
    assert_eq!(chain.account(&account).await.unwrap(), AccountState::Unregistered);
    let locked = TxOut { datum: inline_zero(), ..TxOut::new(script_address(&script), lovelace(10_000_000)) };
    let library =
        TxOut { reference_script: Some(script.clone()), ..TxOut::new(script_address(&script), lovelace(3_000_000)) };
    let deploy = TxPlan {
        outputs: vec![locked.clone(), library.clone()],
        certificates: vec![Certificate::RegisterStake(account.credential)],
        ..TxPlan::default()
    };
    let id = submit(&chain, &deploy, &alice).await;
    assert_eq!(chain.account(&account).await.unwrap(), AccountState::Registered { rewards: Lovelace(0) });
    // Everything as it is read back from the chain.
    let (locked_at, library_at) = (OutPoint { tx: id, index: 0 }, OutPoint { tx: id, index: 1 });
    assert_eq!(chain.unspent(&locked_at).await.unwrap(), locked);
    assert_eq!(chain.unspent(&library_at).await.unwrap(), library);
    let tip = chain.tip().await.unwrap();
    let release = TxPlan {
        spends: vec![Spend { outpoint: locked_at, output: locked, redeemer: Some(unit()) }],
        references: vec![(library_at, library)],
        outputs: vec![TxOut::new(wallet(2).address(), lovelace(10_000_000))],
        withdrawals: vec![Withdrawal { account, amount: Lovelace(0), redeemer: Some(unit()) }],
        valid_from: Some(tip.slot),
        valid_until: Some(Slot(tip.slot.0 + 600)),
        ..TxPlan::default()
    };
    submit(&chain, &release, &alice).await;
    assert_eq!(held(&chain, &wallet(2).address()).await, 10_000_000);
    devnet.shutdown().await;
}

#[tokio::test]
async fn a_stake_key_is_registered_and_removed() {
    let (devnet, chain) = start().await;
    let alice = wallet(0);
    let credential = alice.stake_account().credential;
    let before = held(&chain, &alice.address()).await;
    for certificate in [Certificate::RegisterStake(credential), Certificate::DeregisterStake(credential)] {
        submit(&chain, &TxPlan { certificates: vec![certificate], ..TxPlan::default() }, &alice).await;
    }
    assert_eq!(chain.account(&alice.stake_account()).await.unwrap(), AccountState::Unregistered);
    let fees: u64 = devnet.transactions().iter().map(|applied| applied.fee.0).sum();
    assert_eq!(held(&chain, &alice.address()).await, before - fees);
    devnet.shutdown().await;
}

#[tokio::test]
async fn deadlines_are_held_against_the_time_of_the_chain() {
    let (devnet, chain) = start().await;
    let tip = chain.tip().await.unwrap();
    let deadline = PosixMs(tip.time.0 + 3_600_000);
    let ((), advanced) = tokio::join!(chain.wait_until(deadline), devnet.advance(Duration::from_secs(2 * 3_600)));
    advanced.unwrap();
    assert!(chain.tip().await.unwrap().time >= deadline);
    let late = TxPlan { valid_until: Some(tip.slot), ..pay(wallet(1).address(), 2_000_000) };
    let error = submit_plan(&chain, &late, &wallet(0)).await.unwrap_err();
    assert!(matches!(&error, ChainError::Check(_)) && error.to_string().contains("validity"), "{error}");
    devnet.shutdown().await;
}

#[tokio::test]
async fn refusals_come_in_the_ledgers_words_and_cost_nothing() {
    let (devnet, chain) = start().await;
    let alice = wallet(0);
    let error = submit_plan(&chain, &pay(wallet(1).address(), 2_000_000_000), &alice).await.unwrap_err();
    assert!(matches!(error, ChainError::Build(BuildError::NotEnoughFunds { .. })), "{error}");
    // Two transactions for one output: the second is refused by the chain itself.
    let funds = chain.utxos_at(&alice.address()).await.unwrap();
    let build = |amount| {
        let plan = pay(wallet(1).address(), amount);
        let (params, slots) = (chain.params(), chain.slots());
        let unsigned = balance(&plan, &funds, &alice.address(), &params, &slots, chain.magic()).unwrap();
        unsigned.sign_with(&[&alice]).finish().unwrap()
    };
    let (first, second) = (build(600_000_000), build(700_000_000));
    assert_eq!(chain.send(&first).await.unwrap(), first.id);
    let error = chain.send(&second).await.unwrap_err();
    assert!(
        matches!(&error, ChainError::Rejected { id, message } if *id == second.id && message.contains("BadInputsUTxO")),
        "{error}"
    );
    assert_eq!(chain.submit(&first.cbor).await.unwrap(), first.id, "sending again what waits is no error");
    chain.wait_for(&first.id, 1, SOON).await.unwrap();
    assert_eq!(chain.submit(&first.cbor).await.unwrap(), first.id, "sending again what is confirmed is no error");
    assert_eq!(held(&chain, &wallet(1).address()).await, 600_000_000);
    devnet.shutdown().await;
}
