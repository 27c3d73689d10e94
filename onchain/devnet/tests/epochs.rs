//! Epochs begin with the block that opens them, and end with it when it is rolled back.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{path::Path, time::Duration};

use common::{FEE, Owner, client, funds_of, genesis, owners};
use minicbor::{Decoder, Encoder};
use nunet_devnet::{Devnet, DevnetConfig, DroppedTransactions, EPOCH_LENGTH};
use nunet_ledger::{Lovelace, ProtocolParameters, RewardAccount, TxBody, TxOut, Value, hash::blake2b_256};

async fn start(folder: &Path) -> Devnet {
    let config = DevnetConfig {
        block_interval: None,
        genesis: genesis(),
        data: Some(folder.to_owned()),
        ..DevnetConfig::default()
    };
    Devnet::start(config).await.unwrap()
}

type Bytes<'a> = Encoder<&'a mut Vec<u8>>;

/// A pool of the owner's payment key, with the owner's stake account for its deposit.
fn registers_pool(owner: &Owner, certificate: &mut Bytes<'_>) {
    let account = RewardAccount { network_id: 0, credential: owner.stake_credential() };
    let key = owner.key_hash().0;
    let margin = minicbor::data::Tag::new(30);
    certificate.array(10).unwrap().u8(3).unwrap().bytes(&key).unwrap().bytes(&[5; 32]).unwrap();
    certificate.u64(0).unwrap().u64(ProtocolParameters::mainnet().min_pool_cost.0).unwrap();
    certificate.tag(margin).unwrap().array(2).unwrap().u8(1).unwrap().u8(20).unwrap();
    certificate.bytes(&account.to_bytes()).unwrap().array(1).unwrap().bytes(&key).unwrap();
    certificate.array(0).unwrap().null().unwrap();
}

fn retires_pool(owner: &Owner, epoch: u64, certificate: &mut Bytes<'_>) {
    certificate.array(3).unwrap().u8(4).unwrap().bytes(&owner.key_hash().0).unwrap().u64(epoch).unwrap();
}

/// Takes `deposit` and the fee from the owner's funds, with a certificate that the typed transactions lack.
fn certified(devnet: &Devnet, owner: &Owner, deposit: u64, write: impl FnOnce(&mut Bytes<'_>)) -> Vec<u8> {
    let (from, held) = funds_of(devnet, &owner.address);
    let rest = Value::lovelace_only(Lovelace(held - FEE - deposit));
    let plain = owner.sign(TxBody {
        inputs: [from].into(),
        outputs: vec![TxOut::new(owner.address.clone(), rest)],
        fee: Lovelace(FEE),
        ..TxBody::default()
    });
    let cbor = plain.to_cbor();
    let mut decoder = Decoder::new(&cbor);
    decoder.array().unwrap();
    let body_start = decoder.position();
    decoder.skip().unwrap();
    let mut body = cbor[body_start..decoder.position()].to_vec();
    assert_eq!(body[0], 0xa3, "inputs, outputs and fee");
    body[0] = 0xa4;
    let mut fields = Encoder::new(&mut body);
    fields.u8(4).unwrap().array(1).unwrap();
    write(&mut fields);
    let witness = owner.witness(&blake2b_256(&body));
    let mut bytes = vec![0x84];
    bytes.extend_from_slice(&body);
    let mut rest = Encoder::new(&mut bytes);
    rest.map(1).unwrap().u8(0).unwrap().array(1).unwrap().array(2).unwrap();
    rest.bytes(&witness.key).unwrap().bytes(&witness.signature).unwrap().bool(true).unwrap().null().unwrap();
    bytes
}

#[tokio::test]
async fn a_retired_pools_deposit_comes_back_with_its_epoch_and_goes_with_a_rollback() {
    let folder = tempfile::tempdir().unwrap();
    let (devnet, (alice, _)) = (start(folder.path()).await, owners());
    let deposit = ProtocolParameters::mainnet().pool_deposit.0;
    let api = client(&devnet);
    let submit = |cbor: Vec<u8>| async {
        api.transactions_submit(cbor).await.unwrap();
        devnet.make_blocks(1).await.unwrap();
    };
    let register = alice.registers(&devnet);
    submit(register.to_cbor()).await;
    submit(certified(&devnet, &alice, deposit, |bytes| registers_pool(&alice, bytes))).await;
    assert_eq!(u64::try_from(devnet.transactions().last().unwrap().deposit).unwrap(), deposit);
    submit(certified(&devnet, &alice, 0, |bytes| retires_pool(&alice, 1, bytes))).await;

    let stake = api.addresses(&alice.address.to_string()).await.unwrap().stake_address.unwrap();
    let rewards = |devnet: &Devnet| {
        let (api, stake) = (client(devnet), stake.clone());
        async move { api.accounts(&stake).await.unwrap().withdrawable_amount }
    };
    assert_eq!(rewards(&devnet).await, "0");
    let opened = devnet.advance(Duration::from_secs(EPOCH_LENGTH)).await.unwrap();
    assert_eq!(rewards(&devnet).await, deposit.to_string());
    assert_eq!(devnet.make_blocks(3).await.unwrap().height, opened.height + 3);
    assert_eq!(rewards(&devnet).await, deposit.to_string(), "an epoch begins once");

    devnet.rollback(4, DroppedTransactions::Return).await.unwrap();
    assert_eq!(rewards(&devnet).await, "0");
    devnet.make_blocks(1).await.unwrap();
    assert_eq!(rewards(&devnet).await, deposit.to_string(), "the next block opens the epoch again");

    let tip = devnet.latest();
    devnet.shutdown().await;
    let devnet = start(folder.path()).await;
    assert_eq!((devnet.latest(), rewards(&devnet).await), (tip, deposit.to_string()));
    devnet.rollback(1, DroppedTransactions::Return).await.unwrap();
    assert_eq!(rewards(&devnet).await, "0");
}
