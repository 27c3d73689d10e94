//! Running Plutus scripts (phase two): what each redeemer's script uses, or why it fails.

mod forms;
mod machine;
mod shown;

use std::collections::BTreeMap;

pub(crate) use machine::run;
use pallas_primitives::PlutusData;
use uplc::tx::apply_params_to_script;

use crate::{
    cbor::{CborError, Writer},
    encode::plutus_data_to_cbor,
    parameters::ProtocolParameters,
    received::ReceivedTx,
    rules::scripts::{Needed, ScriptView},
    stack::{StackError, with_large_stack},
    transaction::{Purpose, Script, TxOut},
    units::{ExUnits, OutPoint, ScriptHash, SlotConfig},
};

/// What each redeemer's script used.
pub type UsedUnits = Vec<(Purpose, u32, ExUnits)>;

/// Why scripts were not run to a good end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvaluateError {
    /// The bytes are no Conway transaction.
    #[error("the bytes are no Conway transaction: {0}")]
    Decoding(#[from] CborError),
    /// An input or reference input is not among the outputs given.
    #[error("input {0} is unknown: it is spent, not yet on chain, or was not looked up")]
    UnknownInput(OutPoint),
    /// A redeemer belongs to no script of the transaction.
    #[error("redeemer {purpose:?} {index} belongs to no Plutus script of the transaction: remove it or add the script")]
    ExtraRedeemer {
        /// The part of the transaction.
        purpose: Purpose,
        /// The index within that part.
        index: u32,
    },
    /// A script has no redeemer.
    #[error("script {script} for {purpose:?} {index} has no redeemer: add one")]
    MissingRedeemer {
        /// The part of the transaction.
        purpose: Purpose,
        /// The index within that part.
        index: u32,
        /// The script.
        script: ScriptHash,
    },
    /// A needed script is neither in the witness set nor on an input or reference input.
    #[error("script {script} for {purpose:?} {index} is missing: add it or an input that holds it by reference")]
    MissingScript {
        /// The part of the transaction.
        purpose: Purpose,
        /// The index within that part.
        index: u32,
        /// The script.
        script: ScriptHash,
    },
    /// A script used more than the transaction may, or declares.
    #[error("script for {purpose:?} {index} went over its budget")]
    OverBudget {
        /// The part of the transaction.
        purpose: Purpose,
        /// The index within that part.
        index: u32,
    },
    /// A script said no, or crashed.
    #[error("script for {purpose:?} {index} failed: {reason}{}", log_text(.logs))]
    ScriptFailed {
        /// The part of the transaction.
        purpose: Purpose,
        /// The index within that part.
        index: u32,
        /// Why.
        reason: String,
        /// What it traced.
        logs: Vec<String>,
    },
    /// The transaction cannot be shown to a script: a form that its language does not know, a datum that is missing.
    #[error("no script context for this transaction: {0}")]
    Context(String),
    /// The evaluator itself gave up.
    #[error(transparent)]
    Stack(#[from] StackError),
}

fn log_text(logs: &[String]) -> String {
    if logs.is_empty() { String::new() } else { format!("; it traced: {}", logs.join(" | ")) }
}

/// Runs every Plutus script of a transaction and returns what each used, in the redeemers' order.
///
/// `resolved` has the outputs behind the inputs and reference inputs. Scripts run within the parameters' limit for a
/// transaction, whatever their redeemers declare, so a draft may declare anything up to the maximum; its signatures,
/// fee and script data hash are not looked at. Costs are those of the parameters' cost models.
pub fn evaluate(
    tx: &[u8],
    resolved: &BTreeMap<OutPoint, TxOut>,
    params: &ProtocolParameters,
    slots: &SlotConfig,
) -> Result<UsedUnits, EvaluateError> {
    let received = ReceivedTx::decode(tx)?;
    let inputs = received.body.inputs.iter().chain(&received.body.reference_inputs);
    for outpoint in inputs {
        if !resolved.contains_key(outpoint) {
            return Err(EvaluateError::UnknownInput(*outpoint));
        }
    }
    let view = ScriptView::of(&received, resolved);
    for Needed { purpose, index, script } in &view.needed {
        let (purpose, index, script) = (*purpose, *index, *script);
        match view.provided.get(&script) {
            None => return Err(EvaluateError::MissingScript { purpose, index, script }),
            Some(Script::Native(_)) => {}
            Some(_) if !received.witnesses.redeemers.contains_key(&(purpose, index)) => {
                return Err(EvaluateError::MissingRedeemer { purpose, index, script });
            }
            Some(_) => {}
        }
    }
    if let Some((purpose, index)) = received.witnesses.redeemers.keys().find(|key| view.script_of(**key).is_none()) {
        return Err(EvaluateError::ExtraRedeemer { purpose: *purpose, index: *index });
    }
    run(tx, &received, &view, resolved, params, slots, params.max_tx_ex_units)
}

/// Applies parameters to a script that takes some, as blueprints have them (`compiledCode`).
///
/// Takes and returns the flat bytes inside one CBOR byte string, the form that [`Script`] holds.
pub fn apply_params(script: &[u8], params: &[PlutusData]) -> Result<Vec<u8>, ApplyParamsError> {
    let mut list = Writer::default();
    list.array(params.len());
    for param in params {
        list.raw(&plutus_data_to_cbor(param));
    }
    let list = list.into_bytes();
    let applied = with_large_stack(|| apply_params_to_script(&list, script).map_err(|error| error.to_string()));
    applied.map_err(|error| ApplyParamsError(error.to_string()))?.map_err(ApplyParamsError)
}

/// Why parameters were not applied to a script.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("parameters cannot be applied to these bytes, which must be a compiled script in a CBOR byte string: {0}")]
pub struct ApplyParamsError(String);
