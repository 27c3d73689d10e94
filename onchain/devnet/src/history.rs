//! The index of confirmed blocks that the API's questions are answered from.

pub(crate) mod lookups;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use nunet_ledger::{
    Address, AssetId, Credential, Datum, Lovelace, OutPoint, PosixMs, Script, ScriptHash, Slot, TxId, TxOut,
    hash::blake2b_256, rules::Account,
};

use crate::{
    chain::{Applied, Block, SLOT_LENGTH_MS, Tip},
    details::StakeEvent,
};
use lookups::Lookups;

/// Slots in an epoch: five days, as on mainnet.
pub const EPOCH_LENGTH: u64 = 432_000;

/// The epoch that a slot belongs to.
pub(crate) fn epoch_of(slot: Slot) -> u64 {
    slot.0 / EPOCH_LENGTH
}

/// Everything confirmed so far.
#[derive(Debug)]
pub(crate) struct History {
    start: PosixMs,
    blocks: Vec<BlockRecord>,
    block_by_hash: HashMap<[u8; 32], usize>,
    transactions: Vec<TxRecord>,
    transaction_by_id: HashMap<TxId, usize>,
    outputs: HashMap<OutPoint, OutputRecord>,
    addresses: HashMap<Address, AddressRecord>,
    stakes: HashMap<Credential, StakeRecord>,
    accounts: BTreeMap<Credential, Account>,
    assets: HashMap<AssetId, AssetRecord>,
    scripts: HashMap<ScriptHash, Script>,
    datums: HashMap<[u8; 32], Vec<u8>>,
    epochs: BTreeMap<u64, EpochRecord>,
    lookups: Lookups,
}

/// A block, with what it sums up to.
#[derive(Debug)]
pub(crate) struct BlockRecord {
    pub(crate) tip: Tip,
    pub(crate) previous: Option<[u8; 32]>,
    /// Its transactions, as positions among all.
    pub(crate) transactions: std::ops::Range<usize>,
    pub(crate) size: usize,
    pub(crate) output: u128,
    pub(crate) fees: u128,
}

/// A transaction and the height of its block.
#[derive(Debug)]
pub(crate) struct TxRecord {
    pub(crate) applied: Arc<Applied>,
    pub(crate) height: usize,
    /// Its index in the block.
    pub(crate) index: usize,
}

/// An output that was ever made.
#[derive(Debug)]
pub(crate) struct OutputRecord {
    pub(crate) output: TxOut,
    /// The position of its transaction among all.
    pub(crate) position: usize,
    pub(crate) spent_by: Option<TxId>,
}

/// An address that ever had an output.
#[derive(Debug, Default)]
pub(crate) struct AddressRecord {
    /// Unspent outputs in the chain's order: position of the transaction, then index.
    pub(crate) unspent: BTreeSet<(usize, OutPoint)>,
    /// Positions of the transactions that touch it.
    pub(crate) transactions: BTreeSet<usize>,
}

/// A stake credential that was ever seen.
#[derive(Debug, Default)]
pub(crate) struct StakeRecord {
    pub(crate) addresses: BTreeSet<Address>,
    pub(crate) withdrawn: u128,
    /// The epoch of its latest registration.
    pub(crate) registered_in: Option<u64>,
}

/// An asset that was ever minted.
#[derive(Debug)]
pub(crate) struct AssetRecord {
    pub(crate) quantity: i128,
    pub(crate) first: TxId,
    pub(crate) changes: u32,
}

/// What an epoch sums up to.
#[derive(Debug, Default)]
pub(crate) struct EpochRecord {
    pub(crate) first_block_time: u64,
    pub(crate) last_block_time: u64,
    pub(crate) blocks: u64,
    pub(crate) transactions: u64,
    pub(crate) output: u128,
    pub(crate) fees: u128,
}

impl History {
    /// The history of a chain whose slot 0 begins at `start`; its first block comes by [`History::append`].
    pub(crate) fn new(start: PosixMs) -> Self {
        Self {
            start,
            blocks: Vec::new(),
            block_by_hash: HashMap::new(),
            transactions: Vec::new(),
            transaction_by_id: HashMap::new(),
            outputs: HashMap::new(),
            addresses: HashMap::new(),
            stakes: HashMap::new(),
            accounts: BTreeMap::new(),
            assets: HashMap::new(),
            scripts: HashMap::new(),
            datums: HashMap::new(),
            epochs: BTreeMap::new(),
            lookups: Lookups::default(),
        }
    }

    /// Adds the next block.
    pub(crate) fn append(&mut self, block: Block) {
        let height = self.blocks.len();
        let first = self.transactions.len();
        let mut record = BlockRecord {
            tip: block.tip,
            previous: block.previous,
            transactions: first..first + block.transactions.len(),
            size: 0,
            output: 0,
            fees: 0,
        };
        for (index, applied) in block.transactions.into_iter().enumerate() {
            record.size += applied.cbor.len();
            record.output +=
                applied.produced.iter().map(|(_, output)| u128::from(output.value.lovelace().0)).sum::<u128>();
            record.fees += u128::from(applied.fee.0);
            self.add_transaction(applied, height, index, epoch_of(block.tip.slot));
        }
        let time = block.tip.time.0 / 1_000;
        let epoch = self.epochs.entry(epoch_of(block.tip.slot)).or_default();
        if epoch.blocks == 0 {
            epoch.first_block_time = time;
        }
        epoch.last_block_time = time;
        epoch.blocks += 1;
        epoch.transactions += record.transactions.len() as u64;
        epoch.output += record.output;
        epoch.fees += record.fees;
        self.accounts = block.accounts;
        self.block_by_hash.insert(block.tip.hash, height);
        self.blocks.push(record);
    }

    fn add_transaction(&mut self, applied: Arc<Applied>, height: usize, index: usize, epoch: u64) {
        let position = self.transactions.len();
        self.transaction_by_id.insert(applied.id, position);
        for (outpoint, output) in &applied.consumed {
            self.spend(*outpoint, output, applied.id, position);
        }
        for (outpoint, output) in &applied.produced {
            self.produce(*outpoint, output, position);
        }
        for script in &applied.details.scripts {
            self.scripts.insert(script.hash(), script.clone());
        }
        for datum in &applied.details.datums {
            self.datums.insert(blake2b_256(datum), datum.clone());
        }
        if applied.valid {
            self.add_stake_events(&applied, epoch);
            self.add_mints(&applied);
        }
        self.lookups.append(position, &applied, |outpoint| self.outputs.get(outpoint).map(|record| &record.output));
        self.transactions.push(TxRecord { applied, height, index });
    }

    fn spend(&mut self, outpoint: OutPoint, output: &TxOut, by: TxId, position: usize) {
        let made_at = self.outputs.get_mut(&outpoint).map(|record| {
            record.spent_by = Some(by);
            record.position
        });
        let address = self.addresses.entry(output.address.clone()).or_default();
        address.transactions.insert(position);
        if let Some(made_at) = made_at {
            address.unspent.remove(&(made_at, outpoint));
        }
    }

    fn produce(&mut self, outpoint: OutPoint, output: &TxOut, position: usize) {
        let address = self.addresses.entry(output.address.clone()).or_default();
        address.transactions.insert(position);
        address.unspent.insert((position, outpoint));
        if let Some(stake) = output.address.stake() {
            self.stakes.entry(stake).or_default().addresses.insert(output.address.clone());
        }
        if let Some(Datum::Inline(datum)) = &output.datum {
            self.datums.insert(blake2b_256(datum), datum.clone());
        }
        if let Some(script) = &output.reference_script {
            self.scripts.insert(script.hash(), script.clone());
        }
        self.outputs.insert(outpoint, OutputRecord { output: output.clone(), position, spent_by: None });
    }

    fn add_stake_events(&mut self, applied: &Applied, epoch: u64) {
        for (_, credential, event) in applied.details.stake_events() {
            let stake = self.stakes.entry(credential).or_default();
            if event == StakeEvent::Registered {
                stake.registered_in = Some(epoch);
            }
        }
        for (account, Lovelace(amount)) in &applied.details.withdrawals {
            self.stakes.entry(account.credential).or_default().withdrawn += u128::from(*amount);
        }
    }

    fn add_mints(&mut self, applied: &Applied) {
        let funded =
            applied.genesis.iter().flat_map(|value| value.assets()).map(|(asset, all)| (asset, i128::from(all)));
        let minted = applied.details.mint.iter().map(|(asset, quantity)| (asset, i128::from(*quantity)));
        for (asset, quantity) in funded.chain(minted) {
            let record = self.assets.entry(asset.clone());
            let record = record.or_insert(AssetRecord { quantity: 0, first: applied.id, changes: 0 });
            record.quantity += quantity;
            record.changes += 1;
        }
    }

    /// The latest block. A history always has one: the genesis comes with the chain.
    pub(crate) fn tip(&self) -> Tip {
        let genesis = Tip { height: 0, slot: Slot(0), time: self.start, hash: [0; 32] };
        self.blocks.last().map_or(genesis, |block| block.tip)
    }

    /// When slot 0 began.
    pub(crate) fn start(&self) -> PosixMs {
        self.start
    }

    pub(crate) fn block(&self, height: usize) -> Option<&BlockRecord> {
        self.blocks.get(height)
    }

    pub(crate) fn height_of(&self, hash: &[u8; 32]) -> Option<usize> {
        self.block_by_hash.get(hash).copied()
    }

    /// The height of the first block of a slot or a later one; one past the latest when there is none.
    pub(crate) fn first_at_or_after(&self, slot: u64) -> usize {
        self.blocks.partition_point(|block| block.tip.slot.0 < slot)
    }

    pub(crate) fn transactions(&self) -> &[TxRecord] {
        &self.transactions
    }

    pub(crate) fn transaction(&self, id: &TxId) -> Option<&TxRecord> {
        self.transactions.get(*self.transaction_by_id.get(id)?)
    }

    pub(crate) fn output(&self, outpoint: &OutPoint) -> Option<&OutputRecord> {
        self.outputs.get(outpoint)
    }

    pub(crate) fn address(&self, address: &Address) -> Option<&AddressRecord> {
        self.addresses.get(address)
    }

    pub(crate) fn stake(&self, credential: &Credential) -> Option<&StakeRecord> {
        self.stakes.get(credential)
    }

    pub(crate) fn account(&self, credential: &Credential) -> Option<&Account> {
        self.accounts.get(credential)
    }

    pub(crate) fn asset(&self, asset: &AssetId) -> Option<&AssetRecord> {
        self.assets.get(asset)
    }

    pub(crate) fn script(&self, hash: &ScriptHash) -> Option<&Script> {
        self.scripts.get(hash)
    }

    pub(crate) fn datum(&self, hash: &[u8; 32]) -> Option<&[u8]> {
        self.datums.get(hash).map(Vec::as_slice)
    }

    pub(crate) fn lookups(&self) -> &Lookups {
        &self.lookups
    }

    pub(crate) fn epoch(&self, epoch: u64) -> Option<&EpochRecord> {
        self.epochs.get(&epoch)
    }

    /// Every unspent output, in the order of outpoints.
    pub(crate) fn unspent(&self) -> BTreeMap<OutPoint, TxOut> {
        let unspent = self.outputs.iter().filter(|(_, record)| record.spent_by.is_none());
        unspent.map(|(outpoint, record)| (*outpoint, record.output.clone())).collect()
    }

    /// Of these outpoints, the ones that are unspent, with their outputs.
    pub(crate) fn resolve(&self, outpoints: impl IntoIterator<Item = OutPoint>) -> BTreeMap<OutPoint, TxOut> {
        let unspent = |outpoint| {
            let record = self.outputs.get(&outpoint).filter(|record| record.spent_by.is_none())?;
            Some((outpoint, record.output.clone()))
        };
        outpoints.into_iter().filter_map(unspent).collect()
    }

    /// When an epoch begins, in seconds since 1970.
    pub(crate) fn epoch_start(&self, epoch: u64) -> u64 {
        let slots = epoch.saturating_mul(EPOCH_LENGTH);
        (self.start.0 / 1_000).saturating_add(slots.saturating_mul(u64::from(SLOT_LENGTH_MS)) / 1_000)
    }
}
