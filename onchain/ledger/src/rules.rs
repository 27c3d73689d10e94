//! The rules of the Conway era: whether a transaction is valid on a state, and what it changes.
//!
//! [`LedgerState::validate`] runs the rules in order and stops at the first that is broken. Each rule is a file: a
//! sentence, a link to what it follows, a function. Its error bears the ledger's name for the predicate. The files lie as the
//! ledger's own rules do: `LEDGER` over `CERTS` (with `DELEG` and `POOL`), `UTXOW`, `UTXO` and `UTXOS`. The specification
//! is the [Conway formal ledger specification](https://intersectmbo.github.io/formal-ledger-specifications/) with the
//! Shelley, Mary, Alonzo and Babbage documents under it; where those leave freedom, the node's implementation decides,
//! and the links lead there.
//!
//! Votes, proposals, and certificates of representatives and the committee are refused by name as unsupported.

mod balance;
mod case;
mod certs;
mod changes;
mod epoch;
mod error;
mod ledger;
pub(crate) mod scripts;
mod state;
mod supported;
mod utxo;
mod utxos;
mod utxow;

pub use error::LedgerError;
pub use state::{Account, Effects, LedgerState, Pool, Undo};

use crate::{
    received::ReceivedTx,
    units::{OutPoint, Slot},
};
use case::Case;
use changes::Changes;
use scripts::ScriptView;

/// Which rules a transaction still has to pass.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rules {
    /// All of them.
    All,
    /// Those whose verdict depends on the state or the slot.
    OfTheMoment,
}

impl LedgerState {
    /// Whether a transaction is valid in that slot, its scripts included, and what it then changes.
    pub fn validate(&self, tx: &[u8], slot: Slot) -> Result<Effects, LedgerError> {
        self.judge(tx, slot, Rules::All)
    }

    /// Validates a transaction that was valid on another state of this ledger already, with the same parameters (the
    /// specification's `reapplyTx`): signatures and scripts, whose verdict depends on nothing but the transaction and
    /// the outputs that it names, are not tried again.
    pub fn revalidate(&self, tx: &[u8], slot: Slot) -> Result<Effects, LedgerError> {
        self.judge(tx, slot, Rules::OfTheMoment)
    }

    fn judge(&self, tx: &[u8], slot: Slot, rules: Rules) -> Result<Effects, LedgerError> {
        let received = ReceivedTx::decode(tx).map_err(LedgerError::DecodingFailure)?;
        let view = ScriptView::of(&received, &self.utxo);
        let case = Case { state: self, tx: &received, view: &view, slot };
        let everything = rules == Rules::All;
        in_place(&case)?;
        let changes = if received.valid { certified(&case)? } else { Changes::of(self) };
        if everything {
            proved(&case)?;
        }
        utxo::fee::check(&case)?;
        utxo::value_conserved::check(&case)?;
        if everything {
            bounded(&case)?;
            utxos::check(&case, tx)?;
        }
        Ok(self.effects(&received, changes))
    }

    fn effects(&self, tx: &ReceivedTx<'_>, changes: Changes<'_>) -> Effects {
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
            (tx.body.collateral.iter().copied().collect(), produced, utxo::collateral::taken(self, tx))
        };
        let accounts = changes.accounts.into_iter().collect();
        let pools = changes.pools.into_iter().collect();
        Effects { id: tx.id, valid: tx.valid, consumed, produced, accounts, pools, fee, size: tx.size, units }
    }
}

/// It is of a kind that can be judged, what it names is there, and it comes at its time.
fn in_place(case: &Case<'_>) -> Result<(), LedgerError> {
    supported::check(case)?;
    utxo::max_tx_size::check(case)?;
    utxo::input_set_empty::check(case)?;
    utxo::bad_inputs::check(case)?;
    utxo::disjoint_ref_inputs::check(case)?;
    utxo::validity_interval::check(case)?;
    utxo::forecast::check(case)?;
    utxo::withdrawal_network::check(case)
}

/// Its withdrawals and certificates fit the accounts and pools, which they then change.
fn certified<'a>(case: &Case<'a>) -> Result<Changes<'a>, LedgerError> {
    ledger::ref_scripts_size::check(case)?;
    certs::withdrawals_in_rewards::check(case)?;
    ledger::withdrawals_represented::check(case)?;
    certs::check(case)
}

/// Scripts, signatures and hashes prove that it is allowed.
fn proved(case: &Case<'_>) -> Result<(), LedgerError> {
    utxow::missing_scripts::check(case)?;
    utxow::extraneous_scripts::check(case)?;
    utxow::native_scripts::check(case)?;
    utxow::unspendable_no_datum::check(case)?;
    utxow::missing_datums::check(case)?;
    utxow::supplemental_datums::check(case)?;
    utxow::extra_redeemers::check(case)?;
    utxow::missing_redeemers::check(case)?;
    utxow::malformed_witness_scripts::check(case)?;
    utxow::malformed_reference_scripts::check(case)?;
    utxow::verified_witnesses::check(case)?;
    utxow::needed_witnesses::check(case)?;
    utxow::metadata_hash::check(case)?;
    utxow::valid_metadata::check(case)?;
    utxow::integrity_hash::check(case)
}

/// Its collateral is enough, and its parts are within their limits.
fn bounded(case: &Case<'_>) -> Result<(), LedgerError> {
    utxo::too_many_collateral_inputs::check(case)?;
    utxo::collateral::check(case)?;
    utxo::body_network::check(case)?;
    utxo::output_network::check(case)?;
    utxo::output_too_small::check(case)?;
    utxo::output_too_big::check(case)?;
    utxo::boot_attributes::check(case)?;
    utxo::ex_units::check(case)
}
