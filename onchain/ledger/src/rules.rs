//! The rules of the Conway era: whether a transaction is valid on a state, and what it changes.
//!
//! [`LedgerState::validate`] runs the rules in order and stops at the first that is broken. Each family of rules is a
//! file; each rule a small function that names its predicate as the ledger does. The specification they follow is the
//! [Conway formal ledger specification](https://intersectmbo.github.io/formal-ledger-specifications/) with the
//! Shelley, Mary, Alonzo and Babbage documents under it; where those leave freedom, the node's implementation decides.
//!
//! Delegation, pools, representatives, votes and proposals are refused by name as unsupported.

mod accounts;
mod auxiliary;
mod collateral;
mod error;
mod inputs;
mod outputs;
mod phase_two;
pub(crate) mod scripts;
mod value;
mod witnesses;

use std::collections::BTreeMap;

pub use accounts::{Account, DRep};
pub use error::LedgerError;

use crate::{
    address::Credential,
    parameters::ProtocolParameters,
    received::ReceivedTx,
    transaction::{Purpose, TxOut},
    units::{ExUnits, Lovelace, NetworkMagic, OutPoint, Slot, SlotConfig, TxId},
};
use scripts::ScriptView;

/// How far ahead slots can be put into time: three times the security parameter over the active slots coefficient.
const STABILITY_WINDOW: u64 = 129_600;
/// Slots in an epoch of mainnet.
const EPOCH_LENGTH: u64 = 432_000;

/// The state that transactions are checked against and change.
#[derive(Clone, Debug)]
pub struct LedgerState {
    /// The protocol parameters.
    pub params: ProtocolParameters,
    /// Slots in time.
    pub slots: SlotConfig,
    /// The network.
    pub magic: NetworkMagic,
    /// Slots ahead of the tip for which time is certain.
    pub stability_window: u64,
    /// Slots in an epoch.
    pub epoch_length: u64,
    /// Unspent outputs.
    pub utxo: BTreeMap<OutPoint, TxOut>,
    /// Registered stake accounts.
    pub accounts: BTreeMap<Credential, Account>,
    /// Fees collected.
    pub fees: Lovelace,
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
    /// What goes to the fee pot: the fee, or the collateral taken.
    pub fee: Lovelace,
    /// The size in bytes that fees count.
    pub size: usize,
    /// What each redeemer declares. Fees and block limits count these.
    pub units: Vec<(Purpose, u32, ExUnits)>,
}

/// What takes a transaction's changes back: see [`LedgerState::apply`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undo {
    /// The outputs that it consumed.
    pub consumed: Vec<(OutPoint, TxOut)>,
    /// The outputs that it made.
    pub produced: Vec<OutPoint>,
    /// The stake accounts that it changed, as they were before.
    pub accounts: Vec<(Credential, Option<Account>)>,
    /// What went to the fee pot.
    pub fee: Lovelace,
}

/// A transaction under the rules.
struct Case<'a> {
    state: &'a LedgerState,
    tx: &'a ReceivedTx<'a>,
    slot: Slot,
}

/// Which rules a transaction still has to pass.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rules {
    /// All of them.
    All,
    /// Those whose verdict depends on the state or the slot.
    OfTheMoment,
}

impl LedgerState {
    /// An empty state, with mainnet's epochs.
    pub fn new(params: ProtocolParameters, slots: SlotConfig, magic: NetworkMagic) -> Self {
        Self {
            params,
            slots,
            magic,
            stability_window: STABILITY_WINDOW,
            epoch_length: EPOCH_LENGTH,
            utxo: BTreeMap::new(),
            accounts: BTreeMap::new(),
            fees: Lovelace(0),
        }
    }

    /// Whether a transaction is valid in that slot, its scripts included, and what it then changes.
    pub fn validate(&self, tx: &[u8], slot: Slot) -> Result<Effects, LedgerError> {
        self.judge(tx, slot, Rules::All)
    }

    /// Validates a transaction that was valid on another state of this ledger already, with the same parameters (the
    /// specification's `reapplyTx`): signatures and scripts, whose verdict depends on nothing but the transaction and the
    /// outputs that it names, are not tried again.
    pub fn revalidate(&self, tx: &[u8], slot: Slot) -> Result<Effects, LedgerError> {
        self.judge(tx, slot, Rules::OfTheMoment)
    }

    fn judge(&self, tx: &[u8], slot: Slot, rules: Rules) -> Result<Effects, LedgerError> {
        let received = ReceivedTx::decode(tx).map_err(LedgerError::DecodingFailure)?;
        let case = Case { state: self, tx: &received, slot };
        inputs::check(&case)?;
        let view = ScriptView::of(&received, &self.utxo);
        scripts::check_reference_size(&case, &view)?;
        let accounts = if received.valid { accounts::check(&case)? } else { BTreeMap::new() };
        if rules == Rules::All {
            scripts::check(&case, &view)?;
            witnesses::check(&case)?;
            auxiliary::check(&case)?;
            scripts::check_integrity(&case, &view)?;
        }
        value::check(&case, &view)?;
        if rules == Rules::All {
            collateral::check(&case)?;
            outputs::check(&case)?;
            phase_two::check(&case, tx, &view)?;
        }
        Ok(self.effects(&received, accounts))
    }

    /// Makes a transaction's changes, which [`LedgerState::validate`] found on this state, and says how to take them
    /// back.
    pub fn apply(&mut self, effects: Effects) -> Undo {
        let take = |outpoint: OutPoint| Some((outpoint, self.utxo.remove(&outpoint)?));
        let consumed = effects.consumed.into_iter().filter_map(take).collect();
        let produced = effects.produced.iter().map(|(outpoint, _)| *outpoint).collect();
        self.utxo.extend(effects.produced);
        let accounts = self.set_accounts(effects.accounts);
        self.fees.0 = self.fees.0.saturating_add(effects.fee.0);
        Undo { consumed, produced, accounts, fee: effects.fee }
    }

    /// Takes back the changes of the transaction that was applied last.
    pub fn revert(&mut self, undo: Undo) {
        self.fees.0 = self.fees.0.saturating_sub(undo.fee.0);
        self.set_accounts(undo.accounts);
        for outpoint in &undo.produced {
            self.utxo.remove(outpoint);
        }
        self.utxo.extend(undo.consumed);
    }

    /// Sets accounts and returns them as they were before.
    fn set_accounts(&mut self, accounts: Vec<(Credential, Option<Account>)>) -> Vec<(Credential, Option<Account>)> {
        let set = |(credential, account): (Credential, Option<Account>)| {
            let before = match account {
                Some(account) => self.accounts.insert(credential, account),
                None => self.accounts.remove(&credential),
            };
            (credential, before)
        };
        accounts.into_iter().map(set).collect()
    }

    fn effects(&self, tx: &ReceivedTx<'_>, accounts: BTreeMap<Credential, Option<Account>>) -> Effects {
        let units = tx
            .witnesses
            .redeemers
            .iter()
            .map(|((purpose, index), redeemer)| (*purpose, *index, redeemer.units))
            .collect();
        let outpoint = |index: usize| OutPoint { tx: tx.id, index: u16::try_from(index).unwrap_or(u16::MAX) };
        let (consumed, produced, fee) = if tx.valid {
            let outputs = tx.body.outputs.iter().enumerate();
            let produced = outputs.map(|(index, sized)| (outpoint(index), sized.output.clone())).collect();
            (tx.body.inputs.iter().copied().collect(), produced, tx.body.fee)
        } else {
            let back = tx.body.collateral_return.iter().map(|sized| sized.output.clone());
            let produced = back.map(|output| (outpoint(tx.body.outputs.len()), output)).collect();
            (tx.body.collateral.iter().copied().collect(), produced, collateral::taken(self, tx))
        };
        Effects {
            id: tx.id,
            valid: tx.valid,
            consumed,
            produced,
            accounts: accounts.into_iter().collect(),
            fee,
            size: tx.size,
            units,
        }
    }
}
