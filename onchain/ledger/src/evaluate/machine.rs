//! Runs a transaction's scripts, each applied to what it is shown.

use std::collections::BTreeMap;

use uplc::{
    PlutusData,
    ast::{FakeNamedDeBruijn, NamedDeBruijn, Program},
    machine::{Error as MachineError, Trace, cost_model::ExBudget, eval_result::EvalResult},
    tx::{script_context::ScriptContext, to_plutus_data::ToPlutusData},
};

use crate::{
    evaluate::{
        EvaluateError, UsedUnits, forms,
        shown::{Shown, data},
    },
    integrity::Language,
    parameters::ProtocolParameters,
    received::ReceivedTx,
    rules::scripts::ScriptView,
    stack::with_large_stack,
    transaction::{Datum, Purpose, Script, TxOut},
    units::{ExUnits, OutPoint, SlotConfig},
};

/// Most traces of a script that an error keeps.
const MAX_LOGS: usize = 64;
/// Longest text of a trace or reason that an error keeps, in characters.
const MAX_TEXT: usize = 1_024;

/// Runs the scripts of a transaction whose redeemers were checked to be exactly those needed, until one fails or all of
/// them together have used the budget.
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
    let languages = view.plutus().map(|(_, language)| language).collect();
    forms::check(received, resolved, &languages)?;
    with_large_stack(|| {
        let shown = Shown::of(tx, received, resolved, slots, &languages)?;
        let machine = Machine { received, view, resolved, params, shown };
        let mut left = budget;
        let mut all = UsedUnits::new();
        for (purpose, index) in received.witnesses.redeemers.keys() {
            let used = machine.run(*purpose, *index, left)?;
            left.mem = left.mem.saturating_sub(used.mem);
            left.steps = left.steps.saturating_sub(used.steps);
            all.push((*purpose, *index, used));
        }
        Ok(all)
    })?
}

/// What running a transaction's scripts needs.
struct Machine<'a> {
    received: &'a ReceivedTx<'a>,
    view: &'a ScriptView<'a>,
    resolved: &'a BTreeMap<OutPoint, TxOut>,
    params: &'a ProtocolParameters,
    shown: Shown,
}

impl Machine<'_> {
    /// Runs a redeemer's script and says what it used.
    fn run(&self, purpose: Purpose, index: u32, budget: ExUnits) -> Result<ExUnits, EvaluateError> {
        let script = self.view.script_of((purpose, index));
        let redeemer = self.received.witnesses.redeemers.get(&(purpose, index));
        let (Some((script, language)), Some(redeemer)) = (script, redeemer) else {
            return Err(EvaluateError::ExtraRedeemer { purpose, index });
        };
        let costs = self.params.cost_models.of(language);
        if costs.is_empty() {
            return Err(EvaluateError::Context(format!("the network has no cost model for {language:?}")));
        }
        let (datum, redeemer) = (self.datum(purpose, index)?, data(redeemer.data)?);
        let context = self.shown.context(language, (purpose, index), &redeemer, datum.as_ref())?;
        let program = applied(script, datum, redeemer, &context)?;
        let limit = |units: u64| i64::try_from(units).unwrap_or(i64::MAX);
        let budget = ExBudget { mem: limit(budget.mem), cpu: limit(budget.steps) };
        let language = match language {
            Language::PlutusV1 => uplc::Language::PlutusV1,
            Language::PlutusV2 => uplc::Language::PlutusV2,
            Language::PlutusV3 => uplc::Language::PlutusV3,
        };
        let version = self.params.protocol_version.major;
        used(program.eval_as_with_protocol(&language, version, costs, Some(&budget)), &language, purpose, index)
    }

    /// The datum of the output that a script locks.
    fn datum(&self, purpose: Purpose, index: u32) -> Result<Option<PlutusData>, EvaluateError> {
        let spent = self.received.body.inputs.iter().nth(index as usize).filter(|_| purpose == Purpose::Spend);
        let output = spent.and_then(|outpoint| self.resolved.get(outpoint));
        match output.and_then(|output| output.datum.as_ref()) {
            None => Ok(None),
            Some(Datum::Inline(bytes)) => data(bytes).map(Some),
            Some(Datum::Hash(hash)) => match self.received.witnesses.datums.get(hash) {
                Some(bytes) => data(bytes).map(Some),
                None => Err(EvaluateError::Context(format!("the datum with hash {} is missing", hex::encode(hash)))),
            },
        }
    }
}

/// A script applied to its arguments: Plutus V3 takes the context, earlier ones also datum and redeemer before it.
fn applied(
    script: &Script,
    datum: Option<PlutusData>,
    redeemer: PlutusData,
    context: &ScriptContext,
) -> Result<Program<NamedDeBruijn>, EvaluateError> {
    let mut buffer = Vec::new();
    let program = Program::<FakeNamedDeBruijn>::from_cbor(script.bytes(), &mut buffer)
        .map_err(|error| EvaluateError::Context(shortened(&error.to_string())))?;
    let mut program = Program::<NamedDeBruijn>::from(program);
    if matches!(context, ScriptContext::V1V2 { .. }) {
        if let Some(datum) = datum {
            program = program.apply_data(datum);
        }
        program = program.apply_data(redeemer);
    }
    Ok(program.apply_data(context.to_plutus_data()))
}

/// What a script used, or why its run counts as a no.
fn used(result: EvalResult, language: &uplc::Language, purpose: Purpose, index: u32) -> Result<ExUnits, EvaluateError> {
    let cost = result.cost();
    let reason = match &result.result {
        Err(MachineError::OutOfExError(_)) => return Err(EvaluateError::OverBudget { purpose, index }),
        Err(error) => reason(error),
        Ok(_) if result.failed(false, language) => "it returned something other than unit".to_owned(),
        Ok(_) => {
            return Ok(ExUnits { mem: cost.mem.max(0).unsigned_abs(), steps: cost.cpu.max(0).unsigned_abs() });
        }
    };
    let logs = kept(result.traces.into_iter().filter_map(Trace::unwrap_log));
    Err(EvaluateError::ScriptFailed { purpose, index, reason, logs })
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
pub(super) fn shortened(text: &str) -> String {
    let line: Vec<_> = text.split_whitespace().take(MAX_TEXT / 2).collect();
    line.join(" ").chars().take(MAX_TEXT).collect()
}
