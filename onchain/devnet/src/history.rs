//! The index of confirmed blocks that the API's questions are answered from.

pub(crate) mod lookups;
mod undo;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque, hash_map::Entry},
    sync::Arc,
};

use nunet_ledger::{
    Address, AssetId, Credential, Datum, Lovelace, OutPoint, PosixMs, Script, ScriptHash, Slot, TxId, TxOut,
    hash::blake2b_256, rules::Account,
};

use crate::{
    chain::{Applied, Block, Changes, MAX_ROLLBACK, SLOT_LENGTH_MS, Tip},
    details::StakeEvent,
};
use lookups::Lookups;
use undo::Change;

/// Slots in an epoch: five days, as on mainnet.
pub const EPOCH_LENGTH: u64 = 432_000;

/// The epoch that a slot belongs to.
pub(crate) fn epoch_of(slot: Slot) -> u64 {
    slot.0 / EPOCH_LENGTH
}

/// Everything confirmed so far.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, PartialEq))]
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
    /// What the latest blocks changed, oldest first: as many as the chain can go back.
    changes: VecDeque<Vec<Change>>,
    lookups: Lookups,
}

/// A block, with what it sums up to.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, PartialEq))]
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
#[cfg_attr(test, derive(Clone, PartialEq))]
pub(crate) struct TxRecord {
    pub(crate) applied: Arc<Applied>,
    pub(crate) height: usize,
    /// Its index in the block.
    pub(crate) index: usize,
}

/// An output that was ever made.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, PartialEq))]
pub(crate) struct OutputRecord {
    pub(crate) output: TxOut,
    /// The position of its transaction among all.
    pub(crate) position: usize,
    pub(crate) spent_by: Option<TxId>,
}

/// An address that ever had an output.
#[derive(Debug, Default)]
#[cfg_attr(test, derive(Clone, PartialEq))]
pub(crate) struct AddressRecord {
    /// Unspent outputs in the chain's order: position of the transaction, then index.
    pub(crate) unspent: BTreeSet<(usize, OutPoint)>,
    /// Positions of the transactions that touch it.
    pub(crate) transactions: BTreeSet<usize>,
}

/// A stake credential that was ever seen.
#[derive(Debug, Default)]
#[cfg_attr(test, derive(Clone, PartialEq))]
pub(crate) struct StakeRecord {
    pub(crate) addresses: BTreeSet<Address>,
    pub(crate) withdrawn: u128,
    /// The epoch of its latest registration.
    pub(crate) registered_in: Option<u64>,
}

/// An asset that was ever minted.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, PartialEq))]
pub(crate) struct AssetRecord {
    pub(crate) quantity: i128,
    pub(crate) first: TxId,
    pub(crate) changes: u32,
}

/// What an epoch sums up to.
#[derive(Clone, Debug, Default, PartialEq)]
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
            changes: VecDeque::new(),
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
        let mut changes = Vec::new();
        self.set_accounts(&block.accounts, &mut changes);
        for (index, applied) in block.transactions.into_iter().enumerate() {
            record.size += applied.cbor.len();
            record.output +=
                applied.produced.iter().map(|(_, output)| u128::from(output.value.lovelace().0)).sum::<u128>();
            record.fees += u128::from(applied.fee.0);
            self.add_transaction(applied, height, index, epoch_of(block.tip.slot), &mut changes);
        }
        self.add_to_epoch(&record, &mut changes);
        self.block_by_hash.insert(block.tip.hash, height);
        self.blocks.push(record);
        self.changes.push_back(changes);
        if self.changes.len() as u64 > MAX_ROLLBACK {
            self.changes.pop_front();
        }
    }

    fn add_to_epoch(&mut self, block: &BlockRecord, changes: &mut Vec<Change>) {
        let number = epoch_of(block.tip.slot);
        changes.push(Change::Epoch(number, self.epochs.get(&number).cloned()));
        let time = block.tip.time.0 / 1_000;
        let epoch = self.epochs.entry(number).or_default();
        if epoch.blocks == 0 {
            epoch.first_block_time = time;
        }
        epoch.last_block_time = time;
        epoch.blocks += 1;
        epoch.transactions += block.transactions.len() as u64;
        epoch.output += block.output;
        epoch.fees += block.fees;
    }

    fn add_transaction(
        &mut self,
        applied: Arc<Applied>,
        height: usize,
        index: usize,
        epoch: u64,
        changes: &mut Vec<Change>,
    ) {
        let position = self.transactions.len();
        self.transaction_by_id.insert(applied.id, position);
        for (outpoint, output) in &applied.consumed {
            self.spend(*outpoint, output, applied.id, position, changes);
        }
        for (outpoint, output) in &applied.produced {
            self.produce(*outpoint, output, position, changes);
        }
        for script in &applied.details.scripts {
            self.add_script(script, changes);
        }
        for datum in &applied.details.datums {
            self.add_datum(datum, changes);
        }
        if applied.valid {
            self.add_stake_events(&applied, epoch, changes);
            self.add_mints(&applied, changes);
        }
        self.set_accounts(&applied.accounts, changes);
        self.lookups.append(position, &applied, |outpoint| self.outputs.get(outpoint).map(|record| &record.output));
        self.transactions.push(TxRecord { applied, height, index });
    }

    fn spend(&mut self, outpoint: OutPoint, output: &TxOut, by: TxId, position: usize, changes: &mut Vec<Change>) {
        self.touch(&output.address, position, changes);
        if let Some(record) = self.outputs.get_mut(&outpoint) {
            record.spent_by = Some(by);
            let made_at = record.position;
            self.addresses.entry(output.address.clone()).or_default().unspent.remove(&(made_at, outpoint));
            changes.push(Change::Spent(outpoint));
        }
    }

    fn produce(&mut self, outpoint: OutPoint, output: &TxOut, position: usize, changes: &mut Vec<Change>) {
        self.touch(&output.address, position, changes);
        self.addresses.entry(output.address.clone()).or_default().unspent.insert((position, outpoint));
        if let Some(stake) = output.address.stake()
            && self.stake_mut(stake, changes).addresses.insert(output.address.clone())
        {
            changes.push(Change::StakeAddress(stake, output.address.clone()));
        }
        if let Some(Datum::Inline(datum)) = &output.datum {
            self.add_datum(datum, changes);
        }
        if let Some(script) = &output.reference_script {
            self.add_script(script, changes);
        }
        self.outputs.insert(outpoint, OutputRecord { output: output.clone(), position, spent_by: None });
        changes.push(Change::Produced(outpoint));
    }

    /// Notes that a transaction touches an address.
    fn touch(&mut self, address: &Address, position: usize, changes: &mut Vec<Change>) {
        if self.addresses.entry(address.clone()).or_default().transactions.insert(position) {
            changes.push(Change::Touched(address.clone(), position));
        }
    }

    fn stake_mut(&mut self, credential: Credential, changes: &mut Vec<Change>) -> &mut StakeRecord {
        self.stakes.entry(credential).or_insert_with(|| {
            changes.push(Change::StakeSeen(credential));
            StakeRecord::default()
        })
    }

    fn add_script(&mut self, script: &Script, changes: &mut Vec<Change>) {
        let hash = script.hash();
        if let Entry::Vacant(place) = self.scripts.entry(hash) {
            place.insert(script.clone());
            changes.push(Change::Script(hash));
        }
    }

    fn add_datum(&mut self, datum: &[u8], changes: &mut Vec<Change>) {
        let hash = blake2b_256(datum);
        if let Entry::Vacant(place) = self.datums.entry(hash) {
            place.insert(datum.to_vec());
            changes.push(Change::Datum(hash));
        }
    }

    fn add_stake_events(&mut self, applied: &Applied, epoch: u64, changes: &mut Vec<Change>) {
        for (_, credential, event) in applied.details.stake_events() {
            let stake = self.stake_mut(credential, changes);
            if event == StakeEvent::Registered {
                let before = stake.registered_in.replace(epoch);
                changes.push(Change::RegisteredIn(credential, before));
            }
        }
        for (account, Lovelace(amount)) in &applied.details.withdrawals {
            self.stake_mut(account.credential, changes).withdrawn += u128::from(*amount);
            changes.push(Change::Withdrawn(account.credential, *amount));
        }
    }

    fn add_mints(&mut self, applied: &Applied, changes: &mut Vec<Change>) {
        let funded =
            applied.genesis.iter().flat_map(|value| value.assets()).map(|(asset, all)| (asset, i128::from(all)));
        let minted = applied.details.mint.iter().map(|(asset, quantity)| (asset, i128::from(*quantity)));
        for (asset, quantity) in funded.chain(minted) {
            let record = self.assets.entry(asset.clone());
            let record = record.or_insert(AssetRecord { quantity: 0, first: applied.id, changes: 0 });
            record.quantity += quantity;
            record.changes += 1;
            changes.push(Change::Minted(asset.clone(), quantity));
        }
    }

    fn set_accounts(&mut self, accounts: &Changes, changes: &mut Vec<Change>) {
        for (credential, after) in accounts {
            let before = match after {
                Some(account) => self.accounts.insert(*credential, *account),
                None => self.accounts.remove(credential),
            };
            changes.push(Change::Account(*credential, before));
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
