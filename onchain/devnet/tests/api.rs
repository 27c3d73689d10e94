//! The Blockfrost API, asked by the `blockfrost` crate: every answer must be one that it can read.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{collections::BTreeMap, time::Duration};

use blockfrost::{Order, Pagination};
use common::{FEE, FUNDS, NTX, Owner, client, confirmed, eventually, funds_of, ntx, owners, refusal, start};
use nunet_devnet::{Devnet, DevnetConfig, DevnetError, MAX_ADVANCE, devnet_genesis, ntx_policy};
use nunet_ledger::{
    AssetId, Certificate, Credential, Lovelace, OutPoint, RewardAccount, Script, Transaction, TxBody, TxOut, Value,
};

fn everything() -> Pagination {
    Pagination::default()
}

/// Pays from the owner's largest output; gives the transaction and what its change holds.
fn payment(devnet: &Devnet, from: &Owner, to: &Owner, amount: u64) -> (Transaction, u64) {
    let (outpoint, held) = funds_of(devnet, &from.address);
    (from.pay(outpoint, held, &to.address, amount), held - amount - FEE)
}

#[tokio::test]
async fn the_network_describes_itself() {
    let (devnet, api) = start().await;
    assert!(!api.root().await.unwrap().version.is_empty());
    assert!(api.health().await.unwrap().is_healthy);
    let genesis = api.genesis().await.unwrap();
    assert_eq!((genesis.network_magic, genesis.slot_length), (42, 1));
    let clock = api.health_clock().await.unwrap().server_time / 1_000;
    assert!((i64::from(genesis.system_start)..i64::from(genesis.system_start) + 60).contains(&clock));

    let latest = api.blocks_latest().await.unwrap();
    assert_eq!(latest.time, genesis.system_start + latest.slot.unwrap());
    let first = api.blocks_by_id("0").await.unwrap();
    assert_eq!((first.height, first.tx_count, first.slot), (Some(0), 1, Some(0)));
    assert_eq!(api.blocks_by_id(&first.hash).await.unwrap().hash, first.hash);
    assert_eq!(api.blocks_slot(0).await.unwrap().hash, first.hash);
    assert_eq!(api.blocks_txs("0", everything()).await.unwrap().len(), 1);
    let next = eventually("a next block", || async {
        api.blocks_next(&first.hash, everything()).await.unwrap().into_iter().next()
    });
    let next = next.await;
    assert_eq!(next.previous_block, Some(first.hash.clone()));
    assert_eq!(api.blocks_previous(&next.hash, everything()).await.unwrap()[0].next_block, Some(next.hash));

    let epoch = api.epochs_latest().await.unwrap();
    assert_eq!((epoch.epoch, epoch.start_time, epoch.tx_count), (0, genesis.system_start, 1));
    assert_eq!(api.epochs_by_number(0).await.unwrap().end_time, genesis.system_start + genesis.epoch_length);
    devnet.shutdown().await;
}

#[tokio::test]
async fn protocol_parameters_come_with_cost_models_in_the_ledgers_order() {
    let (_devnet, api) = start().await;
    let latest = api.epochs_latest_parameters().await.unwrap();
    assert_eq!((latest.min_fee_a, latest.min_fee_b, latest.max_tx_size), (44, 155_381, 16_384));
    assert_eq!((latest.price_mem, latest.price_step), (Some(0.0577), Some(0.000_072_1)));
    assert_eq!(latest.coins_per_utxo_size.as_deref(), Some("4310"));
    assert_eq!(latest.min_fee_ref_script_cost_per_byte, Some(15.0));
    let raw = latest.cost_models_raw.clone().flatten().unwrap();
    let named = latest.cost_models.clone().unwrap();
    for (language, length) in [("PlutusV1", 166), ("PlutusV2", 175), ("PlutusV3", 297)] {
        let raw = raw[language].as_array().unwrap();
        assert_eq!(raw.len(), length, "{language}");
        let by_name: BTreeMap<_, _> = named[language].as_object().unwrap().iter().collect();
        assert!(by_name.into_values().eq(raw.iter()), "{language}");
    }
    assert_eq!(api.epochs_parameters(0).await.unwrap(), latest);
    assert_eq!(refusal(api.epochs_parameters(1).await).0, 404);
}

#[tokio::test]
async fn a_transfer_is_confirmed_and_its_inputs_know_what_consumed_them() {
    let ((devnet, api), (alice, bob)) = (start().await, owners());
    let (from, _) = funds_of(&devnet, &alice.address);
    let (payment, change) = payment(&devnet, &alice, &bob, 10_000_000);
    let id = payment.id();
    assert_eq!(refusal(api.transaction_by_hash(&id.to_string()).await).0, 404);
    assert_eq!(api.transactions_submit(payment.to_cbor()).await.unwrap(), id.to_string());
    confirmed(&devnet, id).await;

    let found = api.transaction_by_hash(&id.to_string()).await.unwrap();
    assert_eq!((found.fees, found.valid_contract, found.utxo_count), (FEE.to_string(), true, 3));
    assert_eq!(found.output_amount[0].quantity, (change + 10_000_000).to_string());
    let block = api.blocks_by_id(&found.block).await.unwrap();
    assert_eq!((block.height, block.tx_count, block.fees), (Some(found.block_height), 1, Some(FEE.to_string())));
    assert_eq!(api.blocks_txs(&found.block, everything()).await.unwrap(), [id.to_string()]);
    let bytes = api.transactions_cbor(&id.to_string()).await.unwrap().cbor;
    assert_eq!(hex::decode(bytes).unwrap(), payment.to_cbor());

    let made = api.transactions_utxos(&id.to_string()).await.unwrap();
    assert_eq!((&*made.inputs[0].tx_hash, made.inputs[0].output_index), (&*from.tx.to_string(), from.index.into()));
    assert_eq!(made.outputs[0].address, bob.address.to_string());
    assert_eq!(made.outputs[0].consumed_by_tx, Some(None));
    let source = api.transactions_utxos(&from.tx.to_string()).await.unwrap();
    let spent = source.outputs.iter().find(|output| output.output_index == i32::from(from.index)).unwrap();
    assert_eq!(spent.consumed_by_tx, Some(Some(id.to_string())));

    let applied = devnet.transaction(&id).unwrap();
    assert_eq!((applied.consumed[0].0, applied.produced.len()), (from, 2));
    let history = api.addresses_transactions(&bob.address.to_string(), everything()).await.unwrap();
    assert_eq!(history.last().unwrap().tx_hash, id.to_string());
    let later = everything().with_from(found.block_height as u64);
    let later = api.addresses_transactions(&bob.address.to_string(), later).await.unwrap();
    assert_eq!((later.len(), history.len()), (1, 2));
}

#[tokio::test]
async fn unconfirmed_outputs_can_be_spent_and_reads_do_not_show_them() {
    let config = DevnetConfig {
        block_interval: Some(Duration::from_secs(3_600)),
        genesis: common::genesis(),
        ..DevnetConfig::default()
    };
    let devnet = Devnet::start(config).await.unwrap();
    let (api, (alice, bob)) = (client(&devnet), owners());
    let (first, change) = payment(&devnet, &alice, &bob, 10_000_000);
    let second = alice.pay(OutPoint { tx: first.id(), index: 1 }, change, &bob.address, 20_000_000);
    assert_eq!(refusal(api.transactions_submit(second.to_cbor()).await).0, 400);
    api.transactions_submit(first.to_cbor()).await.unwrap();
    api.transactions_submit(second.to_cbor()).await.unwrap();

    let waiting = api.mempool(everything()).await.unwrap();
    let waiting: Vec<_> = waiting.into_iter().map(|entry| entry.tx_hash).collect();
    assert_eq!(waiting, [first.id().to_string(), second.id().to_string()]);
    assert_eq!(refusal(api.transaction_by_hash(&first.id().to_string()).await).0, 404);
    assert_eq!(devnet.latest().height, 0);

    devnet.advance(Duration::from_secs(1)).await.unwrap();
    assert!(api.mempool(everything()).await.unwrap().is_empty());
    let indices = [first.id(), second.id()].map(|id| devnet.transaction(&id).map(|applied| applied.id));
    assert_eq!(indices, [Some(first.id()), Some(second.id())]);
    assert_eq!(api.transaction_by_hash(&second.id().to_string()).await.unwrap().index, 1);
}

#[tokio::test]
async fn a_double_spend_is_refused_in_the_ledgers_words() {
    let ((devnet, api), (alice, bob)) = (start().await, owners());
    let (first, _) = payment(&devnet, &alice, &bob, 10_000_000);
    let (second, _) = payment(&devnet, &alice, &bob, 12_000_000);
    api.transactions_submit(first.to_cbor()).await.unwrap();
    let (status, message) = refusal(api.transactions_submit(second.to_cbor()).await);
    assert_eq!(status, 400);
    assert!(message.contains("BadInputsUTxO"), "{message}");
    let message: serde_json::Value = serde_json::from_str(&message).unwrap();
    assert_eq!(message["tag"], "TxSubmitFail");
    confirmed(&devnet, first.id()).await;
    assert!(devnet.transaction(&second.id()).is_none());
}

#[tokio::test]
async fn addresses_show_what_they_hold_page_by_page() {
    let ((devnet, api), (alice, bob)) = (start().await, owners());
    let address = alice.address.to_string();
    let shown = api.addresses(&address).await.unwrap();
    let amounts: Vec<_> = shown.amount.iter().map(|one| (one.unit.clone(), one.quantity.clone())).collect();
    let (lovelace, tokens) = (("lovelace".to_owned(), FUNDS.0.to_string()), (ntx().to_string(), NTX.to_string()));
    assert_eq!(amounts, [lovelace, tokens]);
    assert!(shown.stake_address.unwrap().starts_with("stake_test1"));

    let all = api.addresses_utxos(&address, everything()).await.unwrap();
    assert_eq!(all.len(), 3);
    let mut paged = Vec::new();
    for page in 1..=4 {
        paged.extend(api.addresses_utxos(&address, Pagination::new(Order::Asc, page, 1)).await.unwrap());
    }
    assert_eq!(paged, all);
    let newest = api.addresses_utxos(&address, Pagination::new(Order::Desc, 1, 2)).await.unwrap();
    assert_eq!(newest, [all[2].clone(), all[1].clone()]);
    let of_ntx = api.addresses_utxos_asset(&address, &ntx().to_string(), everything()).await.unwrap();
    assert_eq!((of_ntx.len(), of_ntx[0].output_index), (1, 1));
    let of_bob = api.addresses_utxos_asset(&bob.address.to_string(), &ntx().to_string(), everything()).await.unwrap();
    assert!(of_bob.is_empty());

    let (status, message) = refusal(api.addresses_utxos(&address, Pagination::new(Order::Asc, 1, 101)).await);
    assert_eq!(status, 400);
    assert!(message.contains("count"), "{message}");

    // Never seen is not found; seen and emptied is an empty list.
    let nobody = Owner::new(77);
    assert_eq!(refusal(api.addresses_utxos(&nobody.address.to_string(), everything()).await).0, 404);
    assert_eq!(refusal(api.addresses(&nobody.address.to_string()).await).0, 404);
    let (paid, _) = payment(&devnet, &alice, &nobody, 10_000_000);
    api.transactions_submit(paid.to_cbor()).await.unwrap();
    confirmed(&devnet, paid.id()).await;
    let sweep = nobody.sign(TxBody {
        inputs: [OutPoint { tx: paid.id(), index: 0 }].into(),
        outputs: vec![TxOut::new(bob.address.clone(), Value::lovelace_only(Lovelace(10_000_000 - FEE)))],
        fee: Lovelace(FEE),
        ..TxBody::default()
    });
    api.transactions_submit(sweep.to_cbor()).await.unwrap();
    confirmed(&devnet, sweep.id()).await;
    assert!(api.addresses_utxos(&nobody.address.to_string(), everything()).await.unwrap().is_empty());
    assert_eq!(api.addresses(&nobody.address.to_string()).await.unwrap().amount[0].quantity, "0");
}

#[tokio::test]
async fn advancing_moves_the_latest_blocks_time_at_once() {
    let (devnet, api) = start().await;
    let before = api.blocks_latest().await.unwrap();
    let tip = devnet.advance(Duration::from_secs(86_400 * 30)).await.unwrap();
    let after = api.blocks_latest().await.unwrap();
    assert!(after.time >= before.time + 86_400 * 30 && after.time <= before.time + 86_400 * 30 + 60);
    assert_eq!(tip.time, devnet.slots().begin(tip.slot));
    assert_eq!(api.epochs_latest().await.unwrap().epoch, 6);
    assert!(matches!(
        devnet.advance(MAX_ADVANCE + Duration::from_secs(1)).await,
        Err(DevnetError::AdvanceTooFar { .. })
    ));
    let still = api.blocks_latest().await.unwrap();
    assert!(still.time <= before.time + 86_400 * 30 + 60);
}

#[tokio::test]
async fn assets_show_their_supply_and_who_holds_it() {
    let ((devnet, api), (alice, _)) = (start().await, owners());
    let minter = Owner::new(9);
    let genesis = devnet.transactions()[0].id;
    let shown = api.assets_by_id(&ntx().to_string()).await.unwrap();
    assert_eq!((shown.quantity, shown.initial_mint_tx_hash), (NTX.to_string(), genesis.to_string()));
    assert_eq!(shown.asset_name.as_deref(), Some("4e5458"));
    let holders = api.assets_addresses(&ntx().to_string(), everything()).await.unwrap();
    assert_eq!((holders.len(), &*holders[0].address), (1, &*alice.address.to_string()));

    // The native policy lets its key, and nobody else, mint more.
    let (paid, _) = payment(&devnet, &alice, &minter, 10_000_000);
    api.transactions_submit(paid.to_cbor()).await.unwrap();
    confirmed(&devnet, paid.id()).await;
    let mint = |owner: &Owner, asset: AssetId| {
        let value = Value::lovelace_only(Lovelace(10_000_000 - FEE)).with(asset.clone(), 7).unwrap();
        let mut mint = owner.sign(TxBody {
            inputs: [OutPoint { tx: paid.id(), index: 0 }].into(),
            outputs: vec![TxOut::new(owner.address.clone(), value)],
            fee: Lovelace(FEE),
            mint: [(asset, 7)].into(),
            ..TxBody::default()
        });
        mint.witnesses.scripts = vec![ntx_policy(minter.key_hash())];
        mint
    };
    let foreign = mint(&alice, ntx());
    assert_eq!(refusal(api.transactions_submit(foreign.to_cbor()).await).0, 400);
    let own = mint(&minter, ntx());
    api.transactions_submit(own.to_cbor()).await.unwrap();
    confirmed(&devnet, own.id()).await;
    let shown = api.assets_by_id(&ntx().to_string()).await.unwrap();
    assert_eq!((shown.quantity, shown.mint_or_burn_count), ((NTX + 7).to_string(), 2));
    let policy = ntx().policy.to_string();
    assert_eq!(api.scripts_by_id(&policy).await.unwrap().script_hash, policy);
    assert_eq!(api.scripts_hash_cbor(&policy).await.unwrap().cbor, None);
    let json = api.scripts_hash_json(&policy).await.unwrap().json.unwrap();
    assert_eq!(json, serde_json::json!({ "type": "sig", "keyHash": minter.key_hash() }));
}

#[tokio::test]
async fn stake_accounts_are_registered_and_removed_for_a_deposit() {
    let ((devnet, api), (alice, _)) = (start().await, owners());
    let stake = api.addresses(&alice.address.to_string()).await.unwrap().stake_address.unwrap();
    let shown = api.accounts(&stake).await.unwrap();
    assert_eq!((shown.registered, shown.controlled_amount), (false, FUNDS.0.to_string()));

    let (from, held) = funds_of(&devnet, &alice.address);
    let change = |lovelace| vec![TxOut::new(alice.address.clone(), Value::lovelace_only(Lovelace(lovelace)))];
    let register = alice.sign(TxBody {
        inputs: [from].into(),
        outputs: change(held - FEE - 2_000_000),
        fee: Lovelace(FEE),
        certificates: vec![Certificate::RegisterStake(alice.stake_credential())],
        ..TxBody::default()
    });
    api.transactions_submit(register.to_cbor()).await.unwrap();
    confirmed(&devnet, register.id()).await;
    assert!(api.accounts(&stake).await.unwrap().registered);
    assert_eq!(api.transaction_by_hash(&register.id().to_string()).await.unwrap().deposit, "2000000");
    assert_eq!(devnet.transaction(&register.id()).unwrap().deposit, 2_000_000);
    assert!(api.transactions_stakes(&register.id().to_string()).await.unwrap()[0].registration);

    let remove = alice.sign(TxBody {
        inputs: [OutPoint { tx: register.id(), index: 0 }].into(),
        outputs: change(held - 2 * FEE),
        fee: Lovelace(FEE),
        certificates: vec![Certificate::DeregisterStake(alice.stake_credential())],
        ..TxBody::default()
    });
    api.transactions_submit(remove.to_cbor()).await.unwrap();
    confirmed(&devnet, remove.id()).await;
    assert!(!api.accounts(&stake).await.unwrap().registered);
    assert_eq!(devnet.transaction(&remove.id()).unwrap().deposit, -2_000_000);

    let nobody = Owner::new(66).address.stake().map(|credential| RewardAccount { network_id: 0, credential }).unwrap();
    let nobody = pallas_addresses::Address::from_bytes(&nobody.to_bytes()).unwrap().to_string();
    assert_eq!(refusal(api.accounts(&nobody).await).0, 404);
    assert_eq!(refusal(api.accounts("stake_test1nonsense").await).0, 400);
}

#[tokio::test]
async fn datums_and_reference_scripts_are_found_by_hash() {
    let ((devnet, api), (alice, _)) = (start().await, owners());
    let (from, held) = funds_of(&devnet, &alice.address);
    // (program 1.1.0 (lam x (con unit ()))) would do; to be stored it need not run.
    let script = Script::PlutusV3(hex::decode("450101002499").unwrap());
    let mut output = TxOut::new(alice.address.clone(), Value::lovelace_only(Lovelace(held - FEE)));
    output.datum = Some(nunet_ledger::Datum::Inline(vec![0x18, 0x2a]));
    output.reference_script = Some(script.clone());
    let store =
        alice.sign(TxBody { inputs: [from].into(), outputs: vec![output], fee: Lovelace(FEE), ..TxBody::default() });
    api.transactions_submit(store.to_cbor()).await.unwrap();
    confirmed(&devnet, store.id()).await;

    let shown = &api.transactions_utxos(&store.id().to_string()).await.unwrap().outputs[0];
    assert_eq!(shown.inline_datum.as_deref(), Some("182a"));
    assert_eq!(shown.reference_script_hash.as_deref(), Some(&*script.hash().to_string()));
    let datum = api.scripts_datum_hash_cbor(shown.data_hash.as_deref().unwrap()).await.unwrap();
    assert_eq!(datum["cbor"], "182a");
    assert_eq!(api.scripts_by_id(&script.hash().to_string()).await.unwrap().serialised_size, Some(6));
    let bytes = api.scripts_hash_cbor(&script.hash().to_string()).await.unwrap().cbor.unwrap();
    assert_eq!(Script::PlutusV3(hex::decode(bytes).unwrap()).hash(), script.hash());
}

#[tokio::test]
async fn evaluation_answers_as_ogmios_does() {
    let ((devnet, api), (alice, bob)) = (start().await, owners());
    let (plain, _) = payment(&devnet, &alice, &bob, 10_000_000);
    let answer = api.utils_tx_evaluate(hex::encode(plain.to_cbor()).into_bytes()).await.unwrap();
    assert_eq!(answer["type"], "jsonwsp/response");
    assert_eq!(answer["result"]["EvaluationResult"], serde_json::json!({}));
    assert_eq!(refusal(api.utils_tx_evaluate(b"no transaction".to_vec()).await).0, 400);
    assert_eq!(refusal(api.utils_tx_evaluate(b"84a0a0f5f6".to_vec()).await).0, 400);
}

#[tokio::test]
async fn a_devnet_starts_only_from_a_sound_genesis() {
    let mainnet = nunet_ledger::Address::new(1, Credential::Key(Owner::new(1).key_hash()), None);
    let genesis = nunet_devnet::Genesis { accounts: vec![(mainnet, Value::lovelace_only(FUNDS))] };
    let refused = Devnet::start(DevnetConfig { genesis, ..DevnetConfig::default() }).await;
    assert!(matches!(refused, Err(DevnetError::Genesis(_))));
    let poor = nunet_devnet::Funding { address: Owner::new(1).address, lovelace: Lovelace(1), ntx: 0 };
    assert!(devnet_genesis(&ntx(), &[poor]).is_err());
    let refused = Devnet::start(DevnetConfig { block_interval: Some(Duration::ZERO), ..DevnetConfig::default() }).await;
    assert!(matches!(refused, Err(DevnetError::NoInterval)));
}

#[tokio::test]
async fn shutting_down_frees_the_port() {
    let (devnet, api) = start().await;
    let listen = devnet.url().trim_start_matches("http://").trim_end_matches("/api/v0").parse().unwrap();
    api.health().await.unwrap();
    devnet.shutdown().await;
    assert!(api.health().await.is_err());
    let again = Devnet::start(DevnetConfig { listen, ..DevnetConfig::default() }).await.unwrap();
    again.shutdown().await;
}
