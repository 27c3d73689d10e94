//! What the devnet's tests share: owners with keys, signed transfers, and a client.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::BTreeSet, future::Future, time::Duration};

use blockfrost::{BlockFrostSettings, BlockfrostAPI, BlockfrostError};
use nunet_devnet::{Devnet, DevnetConfig, Funding, devnet_genesis, ntx_asset};
use nunet_ledger::{
    Address, AssetId, Certificate, Credential, KeyHash, Lovelace, OutPoint, Slot, Transaction, TxBody, TxId, TxOut,
    VKeyWitness, Value, Witnesses, hash::blake2b_224,
};
use pallas_crypto::key::ed25519::SecretKey;

/// More than any transaction here needs.
pub const FEE: u64 = 300_000;

/// What every owner starts with.
pub const FUNDS: Lovelace = Lovelace(1_000_000_000);

/// The NTX that the first owner starts with.
pub const NTX: u64 = 50_000_000_000;

/// Somebody with a payment key and a stake key.
pub struct Owner {
    key: SecretKey,
    stake: SecretKey,
    pub address: Address,
}

impl Owner {
    pub fn new(seed: u8) -> Self {
        let (key, stake) = (SecretKey::from([seed; 32]), SecretKey::from([seed | 0x80; 32]));
        let hash = |key: &SecretKey| KeyHash(blake2b_224(key.public_key().as_ref()));
        let address = Address::new(0, Credential::Key(hash(&key)), Some(Credential::Key(hash(&stake))));
        Self { key, stake, address }
    }

    pub fn key_hash(&self) -> KeyHash {
        KeyHash(blake2b_224(self.key.public_key().as_ref()))
    }

    pub fn stake_credential(&self) -> Credential {
        self.address.stake().unwrap()
    }

    /// The payment key's signature over a body's hash.
    pub fn witness(&self, body_hash: &[u8; 32]) -> VKeyWitness {
        VKeyWitness {
            key: self.key.public_key().as_ref().try_into().unwrap(),
            signature: self.key.sign(body_hash).as_ref().try_into().unwrap(),
        }
    }

    /// Signs a body with the payment key, and with the stake key too when a certificate needs it.
    pub fn sign(&self, body: TxBody) -> Transaction {
        let id = body.id();
        let witness = |key: &SecretKey| VKeyWitness {
            key: key.public_key().as_ref().try_into().unwrap(),
            signature: key.sign(id.0).as_ref().try_into().unwrap(),
        };
        let mut vkeys = vec![witness(&self.key)];
        if body.certificates.iter().any(|one| matches!(one, Certificate::DeregisterStake(_))) {
            vkeys.push(witness(&self.stake));
        }
        Transaction { body, witnesses: Witnesses { vkeys, ..Witnesses::default() } }
    }

    /// Registers the stake credential, for its deposit of 2 ADA.
    pub fn registers(&self, devnet: &Devnet) -> Transaction {
        let (from, held) = funds_of(devnet, &self.address);
        let rest = Value::lovelace_only(Lovelace(held - FEE - 2_000_000));
        self.sign(TxBody {
            inputs: [from].into(),
            outputs: vec![TxOut::new(self.address.clone(), rest)],
            fee: Lovelace(FEE),
            certificates: vec![Certificate::RegisterStake(self.stake_credential())],
            ..TxBody::default()
        })
    }

    /// Pays `amount` out of one output of lovelace only; the change is output 1.
    pub fn pay(&self, from: OutPoint, held: u64, to: &Address, amount: u64) -> Transaction {
        self.pay_until(from, held, to, amount, None)
    }

    /// The same, valid only before a slot.
    pub fn pay_until(&self, from: OutPoint, held: u64, to: &Address, amount: u64, until: Option<Slot>) -> Transaction {
        let output =
            |address: &Address, lovelace| TxOut::new(address.clone(), Value::lovelace_only(Lovelace(lovelace)));
        self.sign(TxBody {
            inputs: BTreeSet::from([from]),
            outputs: vec![output(to, amount), output(&self.address, held - amount - FEE)],
            fee: Lovelace(FEE),
            valid_until: until,
            ..TxBody::default()
        })
    }
}

/// Two owners: the first has NTX.
pub fn owners() -> (Owner, Owner) {
    (Owner::new(1), Owner::new(2))
}

pub fn ntx() -> AssetId {
    ntx_asset(Owner::new(9).key_hash())
}

/// Both owners funded.
pub fn genesis() -> nunet_devnet::Genesis {
    let (alice, bob) = owners();
    let funding = |owner: Owner, ntx| Funding { address: owner.address, lovelace: FUNDS, ntx };
    devnet_genesis(&ntx(), &[funding(alice, NTX), funding(bob, 0)]).unwrap()
}

/// A devnet with fast blocks, and a client of it.
pub async fn start() -> (Devnet, BlockfrostAPI) {
    let config =
        DevnetConfig { block_interval: Some(Duration::from_millis(50)), genesis: genesis(), ..DevnetConfig::default() };
    let devnet = Devnet::start(config).await.unwrap();
    let api = client(&devnet);
    (devnet, api)
}

pub fn client(devnet: &Devnet) -> BlockfrostAPI {
    let mut settings = BlockFrostSettings::new();
    settings.base_url = Some(devnet.url());
    BlockfrostAPI::new("devnet", settings)
}

/// The largest output of lovelace only at an address, with its amount.
pub fn funds_of(devnet: &Devnet, address: &Address) -> (OutPoint, u64) {
    let unspent = devnet.snapshot().into_iter();
    let plain = unspent.filter(|(_, output)| output.address == *address && output.value.assets().len() == 0);
    plain.map(|(outpoint, output)| (outpoint, output.value.lovelace().0)).max_by_key(|(_, held)| *held).unwrap()
}

/// Waits until a condition gives something; fails after ten seconds.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut condition: impl FnMut() -> F) -> T {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(tokio::time::Instant::now() < deadline, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until a transaction is in a block.
pub async fn confirmed(devnet: &Devnet, id: TxId) {
    eventually("confirmation", || async { devnet.transaction(&id).map(|_| ()) }).await;
}

/// The status and message of a refusal.
pub fn refusal<T>(answer: Result<T, BlockfrostError>) -> (u16, String) {
    match answer {
        Err(BlockfrostError::Response { reason, .. }) => (reason.status_code, reason.message),
        Err(other) => panic!("not a refusal: {other}"),
        Ok(_) => panic!("not refused"),
    }
}
