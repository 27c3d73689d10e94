//! The transactions that the bench submits, signed beforehand; see the bench's first page for their definition.

use std::{collections::BTreeSet, sync::OnceLock};

use nunet_devnet::{COLLATERAL_OUTPUT, Genesis};
use nunet_ledger::{
    Address, Credential, Datum, ExUnits, KeyHash, Language, Lovelace, OutPoint, ProtocolParameters, Purpose, Redeemer,
    Script, Transaction, TxBody, TxId, TxOut, VKeyWitness, Value, Witnesses, hash::blake2b_224, script_data_hash,
};
use pallas_crypto::key::ed25519::SecretKey;
use pallas_primitives::{BigInt, PlutusData};

const ADA: u64 = 1_000_000;

/// Outputs of [`HELD`] in the genesis.
const SINGLE: usize = 20_000;

/// What each of them holds.
const HELD: u64 = 10 * ADA;

/// The output after them, which pays for a whole chain of payments, or for what the scripts lock.
const LARGE: u64 = 1_000_000 * ADA;

const PAYMENT_FEE: u64 = 200_000;
const SCRIPT_FEE: u64 = 300_000;
const LOCKED: u64 = 5 * ADA;

/// Outputs of one transaction that locks at the script.
const LOCKED_PER_TRANSACTION: usize = 100;

/// `(program 1.1.0 (lam context (con unit ())))`
const SCRIPT: [u8; 6] = [0x45, 0x01, 0x01, 0x00, 0x24, 0x99];

const UNITS: ExUnits = ExUnits { mem: 100_000, steps: 100_000_000 };

/// Transactions to submit in order, each as CBOR.
pub(crate) struct Work {
    /// Before the clock runs, each in a block of its own.
    pub(crate) setup: Vec<Vec<u8>>,
    pub(crate) transactions: Vec<Vec<u8>>,
}

struct Owner {
    key: SecretKey,
    address: Address,
}

impl Owner {
    fn new(seed: u8) -> Self {
        let key = SecretKey::from([seed; 32]);
        let hash = KeyHash(blake2b_224(key.public_key().as_ref()));
        Self { key, address: Address::new(0, Credential::Key(hash), None) }
    }

    fn sign(&self, body: TxBody) -> Transaction {
        let witness = VKeyWitness {
            key: self.key.public_key().as_ref().try_into().unwrap(),
            signature: self.key.sign(body.id().0).as_ref().try_into().unwrap(),
        };
        Transaction { body, witnesses: Witnesses { vkeys: vec![witness], ..Witnesses::default() } }
    }

    fn pay(&self, from: OutPoint, held: u64) -> Transaction {
        let outputs = vec![plain(&Self::new(2).address, 2 * ADA), plain(&self.address, held - 2 * ADA - PAYMENT_FEE)];
        self.sign(TxBody { inputs: [from].into(), outputs, fee: Lovelace(PAYMENT_FEE), ..TxBody::default() })
    }
}

fn payer() -> Owner {
    Owner::new(1)
}

fn plain(address: &Address, lovelace: u64) -> TxOut {
    TxOut::new(address.clone(), Value::lovelace_only(Lovelace(lovelace)))
}

/// The payer's outputs: many small ones, a large one, and one for collateral.
pub(crate) fn genesis() -> Genesis {
    let lovelace = std::iter::repeat_n(HELD, SINGLE).chain([LARGE, 20 * COLLATERAL_OUTPUT.0]);
    let address = payer().address;
    let accounts = lovelace.map(|held| (address.clone(), Value::lovelace_only(Lovelace(held)))).collect();
    Genesis { accounts }
}

/// An output of the genesis, whose transaction is the one without inputs.
fn funded(index: usize) -> OutPoint {
    static GENESIS: OnceLock<TxId> = OnceLock::new();
    let tx = GENESIS.get_or_init(|| {
        let outputs = genesis().accounts.into_iter().map(|(address, value)| TxOut::new(address, value)).collect();
        Transaction { body: TxBody { outputs, ..TxBody::default() }, ..Transaction::default() }.id()
    });
    OutPoint { tx: *tx, index: u16::try_from(index).unwrap() }
}

impl Work {
    pub(crate) fn independent(count: usize) -> Self {
        assert!(count <= SINGLE);
        let payer = payer();
        let transactions = (0..count).map(|index| payer.pay(funded(index), HELD).to_cbor()).collect();
        Self { setup: Vec::new(), transactions }
    }

    pub(crate) fn chained(count: usize) -> Self {
        let payer = payer();
        let (mut from, mut held) = (funded(SINGLE), LARGE);
        let next = |_| {
            let payment = payer.pay(from, held);
            (from, held) = (OutPoint { tx: payment.id(), index: 1 }, held - 2 * ADA - PAYMENT_FEE);
            payment.to_cbor()
        };
        Self { setup: Vec::new(), transactions: (0..count).map(next).collect() }
    }

    pub(crate) fn scripts(count: usize) -> Self {
        let payer = payer();
        let script = Script::PlutusV3(SCRIPT.to_vec());
        let mut locked = plain(&Address::new(0, Credential::Script(script.hash()), None), LOCKED);
        // 42 in CBOR.
        locked.datum = Some(Datum::Inline(vec![0x18, 0x2a]));
        let (mut from, mut held) = (funded(SINGLE), LARGE);
        let (mut setup, mut transactions) = (Vec::new(), Vec::new());
        for _ in 0..count / LOCKED_PER_TRANSACTION {
            held -= LOCKED * LOCKED_PER_TRANSACTION as u64 + ADA;
            let mut outputs = vec![locked.clone(); LOCKED_PER_TRANSACTION];
            outputs.push(plain(&payer.address, held));
            let lock = payer.sign(TxBody { inputs: [from].into(), outputs, fee: Lovelace(ADA), ..TxBody::default() });
            let outpoint = |index| OutPoint { tx: lock.id(), index: u16::try_from(index).unwrap() };
            from = outpoint(LOCKED_PER_TRANSACTION);
            transactions
                .extend((0..LOCKED_PER_TRANSACTION).map(|index| unlock(&payer, &script, outpoint(index)).to_cbor()));
            setup.push(lock.to_cbor());
        }
        Self { setup, transactions }
    }
}

fn unlock(payer: &Owner, script: &Script, from: OutPoint) -> Transaction {
    let data = PlutusData::BigInt(BigInt::Int(42.into()));
    let redeemers = vec![Redeemer { purpose: Purpose::Spend, index: 0, data, units: UNITS }];
    let languages = BTreeSet::from([Language::PlutusV3]);
    let body = TxBody {
        inputs: [from].into(),
        outputs: vec![plain(&payer.address, LOCKED - SCRIPT_FEE)],
        fee: Lovelace(SCRIPT_FEE),
        collateral: [funded(SINGLE + 1)].into(),
        script_data_hash: Some(script_data_hash(&redeemers, &[], &languages, &ProtocolParameters::mainnet())),
        ..TxBody::default()
    };
    let mut transaction = payer.sign(body);
    transaction.witnesses.redeemers = redeemers;
    transaction.witnesses.scripts = vec![script.clone()];
    transaction
}
