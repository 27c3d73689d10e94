//! The state that transactions are checked against, what changes it, and what takes a change back.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    address::Credential,
    certificate::{DRep, PoolParams},
    parameters::ProtocolParameters,
    transaction::{Purpose, TxOut},
    units::{Epoch, EpochConfig, ExUnits, Lovelace, NetworkMagic, OutPoint, PoolId, SlotConfig, TxId},
};

/// How far ahead slots can be put into time: three times the security parameter over the active slots coefficient.
const STABILITY_WINDOW: u64 = 129_600;

/// The state that transactions are checked against and change.
#[derive(Clone, Debug)]
pub struct LedgerState {
    /// The protocol parameters.
    pub params: ProtocolParameters,
    /// Slots in time.
    pub slots: SlotConfig,
    /// Epochs in slots.
    pub epochs: EpochConfig,
    /// The network.
    pub magic: NetworkMagic,
    /// Slots ahead of the tip for which time is certain.
    pub stability_window: u64,
    /// Unspent outputs.
    pub utxo: BTreeMap<OutPoint, TxOut>,
    /// Registered stake accounts.
    pub accounts: BTreeMap<Credential, Account>,
    /// Registered stake pools.
    pub pools: BTreeMap<PoolId, Pool>,
    /// Registered representatives. No transaction that these rules accept changes them.
    pub dreps: BTreeSet<Credential>,
    /// Fees collected.
    pub fees: Lovelace,
    /// Deposits that nobody could be given back.
    pub treasury: Lovelace,
}

/// A registered stake account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// What its registration took, and its removal gives back.
    pub deposit: Lovelace,
    /// What it can withdraw.
    pub rewards: Lovelace,
    /// The pool that it delegates its stake to.
    pub pool: Option<PoolId>,
    /// Whom it lets vote.
    pub drep: Option<DRep>,
}

/// A registered stake pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// What it is registered with.
    pub params: PoolParams,
    /// What its registration took, and its retirement gives back.
    pub deposit: Lovelace,
    /// What it is registered with from the next epoch on, when that changes.
    pub next: Option<PoolParams>,
    /// The epoch that begins without it.
    pub retires: Option<Epoch>,
}

/// What a valid transaction changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effects {
    /// The transaction's id.
    pub id: TxId,
    /// False when its scripts failed, as it said they would, and its collateral is taken.
    pub valid: bool,
    /// Outputs that are no more: the inputs, or the collateral.
    pub consumed: Vec<OutPoint>,
    /// New outputs, with where to find them: the outputs, or the collateral's return.
    pub produced: Vec<(OutPoint, TxOut)>,
    /// Stake accounts as they are afterwards; `None` for one that is removed.
    pub accounts: Vec<(Credential, Option<Account>)>,
    /// Stake pools as they are afterwards.
    pub pools: Vec<(PoolId, Option<Pool>)>,
    /// What goes to the fee pot: the fee, or the collateral taken.
    pub fee: Lovelace,
    /// The size in bytes that fees count.
    pub size: usize,
    /// What each redeemer declares. Fees and block limits count these.
    pub units: Vec<(Purpose, u32, ExUnits)>,
}

/// What takes a change back: see [`LedgerState::apply`] and [`LedgerState::begin_epoch`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Undo {
    /// The outputs that were consumed.
    pub consumed: Vec<(OutPoint, TxOut)>,
    /// The outputs that were made.
    pub produced: Vec<OutPoint>,
    /// The stake accounts that changed, as they were before.
    pub accounts: Vec<(Credential, Option<Account>)>,
    /// The stake pools that changed, as they were before.
    pub pools: Vec<(PoolId, Option<Pool>)>,
    /// What went to the fee pot.
    pub fee: Lovelace,
    /// What went to the treasury.
    pub treasury: Lovelace,
}

impl LedgerState {
    /// An empty state, with mainnet's epochs counted from slot 0.
    pub fn new(params: ProtocolParameters, slots: SlotConfig, magic: NetworkMagic) -> Self {
        Self {
            params,
            slots,
            epochs: EpochConfig::FROM_ZERO,
            magic,
            stability_window: STABILITY_WINDOW,
            utxo: BTreeMap::new(),
            accounts: BTreeMap::new(),
            pools: BTreeMap::new(),
            dreps: BTreeSet::new(),
            fees: Lovelace(0),
            treasury: Lovelace(0),
        }
    }

    /// Makes a transaction's changes, which [`LedgerState::validate`] found on this state, and says how to take them
    /// back.
    pub fn apply(&mut self, effects: Effects) -> Undo {
        let take = |outpoint: OutPoint| Some((outpoint, self.utxo.remove(&outpoint)?));
        let consumed = effects.consumed.into_iter().filter_map(take).collect();
        let produced = effects.produced.iter().map(|(outpoint, _)| *outpoint).collect();
        self.utxo.extend(effects.produced);
        let accounts = exchange(&mut self.accounts, effects.accounts);
        let pools = exchange(&mut self.pools, effects.pools);
        self.fees.0 = self.fees.0.saturating_add(effects.fee.0);
        Undo { consumed, produced, accounts, pools, fee: effects.fee, treasury: Lovelace(0) }
    }

    /// Takes back the change that was made last.
    pub fn revert(&mut self, undo: Undo) {
        self.treasury.0 = self.treasury.0.saturating_sub(undo.treasury.0);
        self.fees.0 = self.fees.0.saturating_sub(undo.fee.0);
        exchange(&mut self.pools, undo.pools);
        exchange(&mut self.accounts, undo.accounts);
        for outpoint in &undo.produced {
            self.utxo.remove(outpoint);
        }
        self.utxo.extend(undo.consumed);
    }
}

/// Sets entries, removes those that are `None`, and returns them as they were before.
pub(super) fn exchange<K: Ord + Copy, V>(
    map: &mut BTreeMap<K, V>,
    entries: Vec<(K, Option<V>)>,
) -> Vec<(K, Option<V>)> {
    let set = |(key, value): (K, Option<V>)| {
        let before = match value {
            Some(value) => map.insert(key, value),
            None => map.remove(&key),
        };
        (key, before)
    };
    entries.into_iter().map(set).collect()
}
