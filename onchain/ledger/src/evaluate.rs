//! Running Plutus scripts (phase two): what each redeemer's script uses, or why it fails.

mod forms;

use std::collections::BTreeMap;

use pallas_primitives::PlutusData;
use uplc::{
    machine::{Error as MachineError, Trace, eval_result::EvalResult},
    tx::{apply_params_to_script, error::Error as UplcError, eval_phase_two_raw_with_protocol},
};

use crate::{
    cbor::{CborError, Reader, Writer},
    encode::plutus_data_to_cbor,
    integrity::Language,
    parameters::{CostModels, ProtocolParameters},
    received::ReceivedTx,
    rules::scripts::{Needed, ScriptView},
    stack::{StackError, with_large_stack},
    transaction::{Purpose, Script, TxOut},
    units::{ExUnits, OutPoint, ScriptHash, SlotConfig},
};

/// Most traces of a script that an error keeps.
const MAX_LOGS: usize = 64;
/// Longest text of a trace or reason that an error keeps, in characters.
const MAX_TEXT: usize = 1_024;

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
    if let Some((purpose, index)) = received.witnesses.redeemers.keys().find(|key| view.language_of(**key).is_none()) {
        return Err(EvaluateError::ExtraRedeemer { purpose: *purpose, index: *index });
    }
    run(tx, &received, &view, resolved, params, slots, params.max_tx_ex_units)
}

/// Runs the scripts of a transaction whose redeemers were checked to be exactly those needed.
pub(crate) fn run(
    tx: &[u8],
    received: &ReceivedTx<'_>,
    view: &ScriptView<'_>,
    resolved: &BTreeMap<OutPoint, TxOut>,
    params: &ProtocolParameters,
    slots: &SlotConfig,
    budget: ExUnits,
) -> Result<UsedUnits, EvaluateError> {
    if received.witnesses.redeemers.is_empty() {
        return Ok(Vec::new());
    }
    forms::check(received, resolved, &view.plutus().map(|(_, language)| language).collect())?;
    let outputs: Vec<(Vec<u8>, Vec<u8>)> = received
        .body
        .inputs
        .union(&received.body.reference_inputs)
        .filter_map(|outpoint| Some((outpoint_to_cbor(*outpoint), resolved.get(outpoint)?.to_cbor())))
        .collect();
    let costs = cost_models_to_cbor(&params.cost_models);
    let limit = |units: u64| units.min(i64::MAX as u64);
    with_large_stack(|| {
        let results = eval_phase_two_raw_with_protocol(
            tx,
            &outputs,
            Some(&costs),
            (limit(budget.steps), limit(budget.mem)),
            (slots.zero_time.0, slots.zero_slot.0, slots.slot_length_ms),
            params.protocol_version.major,
            false,
            |_| (),
        )
        .map_err(failure)?;
        results.iter().map(|(redeemer, result)| used(redeemer, result, view)).collect()
    })?
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

/// Reads what one script used, and whether what it returned counts as a yes.
fn used(redeemer: &[u8], result: &EvalResult, view: &ScriptView<'_>) -> Result<(Purpose, u32, ExUnits), EvaluateError> {
    let mut reader = Reader::new(redeemer);
    reader.array()?;
    let purpose = purpose_of_tag(reader.uint()?).ok_or_else(|| reader.error("a known purpose"))?;
    let index = u32::try_from(reader.uint()?).map_err(|_| reader.error("an index of 32 bits"))?;
    let language = match view.language_of((purpose, index)) {
        Some(Language::PlutusV1) => uplc::Language::PlutusV1,
        Some(Language::PlutusV2) => uplc::Language::PlutusV2,
        Some(Language::PlutusV3) => uplc::Language::PlutusV3,
        None => return Err(EvaluateError::ExtraRedeemer { purpose, index }),
    };
    if result.failed(false, &language) {
        let reason = "it returned something other than unit".to_owned();
        return Err(EvaluateError::ScriptFailed { purpose, index, reason, logs: kept(result.logs().into_iter()) });
    }
    let cost = result.cost();
    let units = ExUnits { mem: cost.mem.max(0).unsigned_abs(), steps: cost.cpu.max(0).unsigned_abs() };
    Ok((purpose, index, units))
}

fn failure(error: UplcError) -> EvaluateError {
    let UplcError::RedeemerError { tag, index, err } = error else {
        return EvaluateError::Context(shortened(&error.to_string()));
    };
    let purpose = match tag.as_str() {
        "Spend" => Purpose::Spend,
        "Mint" => Purpose::Mint,
        "Publish" => Purpose::Certify,
        "Withdraw" => Purpose::Withdraw,
        _ => return EvaluateError::Context(format!("{tag} {index}: {}", shortened(&err.to_string()))),
    };
    match *err {
        UplcError::Machine(MachineError::OutOfExError(_), ..) => EvaluateError::OverBudget { purpose, index },
        UplcError::Machine(error, _, traces) => EvaluateError::ScriptFailed {
            purpose,
            index,
            reason: reason(&error),
            logs: kept(traces.into_iter().filter_map(Trace::unwrap_log)),
        },
        other => EvaluateError::Context(format!("{purpose:?} {index}: {}", shortened(&other.to_string()))),
    }
}

/// Why the machine stopped. Errors that hold terms or values are named without them: printing those can take time that
/// grows with the square of their depth, or without bound where they share parts.
fn reason(error: &MachineError) -> String {
    match error {
        MachineError::EvaluationFailure => "it refused (a check failed or it reached an error)".to_owned(),
        MachineError::EmptyList(_) => "it took the head or tail of an empty list".to_owned(),
        MachineError::DivideByZero(..) => "it divided by zero".to_owned(),
        MachineError::ByteStringOutOfBounds(..) => "it read past the end of bytes".to_owned(),
        MachineError::MissingCaseBranch(..) => "it met a constructor that it has no branch for".to_owned(),
        MachineError::NonFunctionalApplication(..) => "it applied something that is no function".to_owned(),
        MachineError::TypeMismatch(..)
        | MachineError::ListTypeMismatch(_)
        | MachineError::PairTypeMismatch(_)
        | MachineError::NotAConstant(_)
        | MachineError::DeserialisationError(..) => "it met a value of another type than it expects".to_owned(),
        MachineError::BuiltinNotAvailable(builtin) => format!("builtin {builtin} is not available in this version"),
        MachineError::UnexpectedEd25519PublicKeyLength(_)
        | MachineError::UnexpectedEd25519SignatureLength(_)
        | MachineError::OverflowError
        | MachineError::Utf8(_)
        | MachineError::Blst(_)
        | MachineError::Secp256k1(_) => shortened(&error.to_string()),
        _ => "it is ill-typed or called a builtin with arguments out of range".to_owned(),
    }
}

/// What a script traced, cut where a stranger's script could flood its reader.
fn kept(logs: impl Iterator<Item = String>) -> Vec<String> {
    logs.take(MAX_LOGS).map(|log| shortened(&log)).collect()
}

/// A text on one line, and not a long one.
fn shortened(text: &str) -> String {
    let line: Vec<_> = text.split_whitespace().take(MAX_TEXT / 2).collect();
    line.join(" ").chars().take(MAX_TEXT).collect()
}

fn purpose_of_tag(tag: u64) -> Option<Purpose> {
    [Purpose::Spend, Purpose::Mint, Purpose::Certify, Purpose::Withdraw]
        .into_iter()
        .find(|purpose| *purpose as u64 == tag)
}

fn outpoint_to_cbor(outpoint: OutPoint) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.array(2);
    writer.bytes(&outpoint.tx.0);
    writer.uint(outpoint.index.into());
    writer.into_bytes()
}

fn cost_models_to_cbor(costs: &CostModels) -> Vec<u8> {
    let models = [(0, &costs.v1), (1, &costs.v2), (2, &costs.v3)];
    let known: Vec<_> = models.into_iter().filter(|(_, costs)| !costs.is_empty()).collect();
    let mut writer = Writer::default();
    writer.map(known.len());
    for (language, costs) in known {
        writer.uint(language);
        writer.array(costs.len());
        costs.iter().for_each(|cost| writer.int(*cost));
    }
    writer.into_bytes()
}
