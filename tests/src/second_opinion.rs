//! A second evaluator's opinion of a transaction's scripts.
//!
//! The devnet and the wallets evaluate with `uplc`. Here `amaru-uplc` runs the same scripts: another machine with its own
//! builtins, its own reading of the cost model and its own decoder of scripts and data, on a script context that is
//! written here from the ledger's definition. What the two share is the reading of the transaction, `nunet-ledger`'s.
//!
//! Of scripts that succeed, memory and steps must be the same; of scripts that fail, which one fails first. What a
//! failure used is not compared: `uplc` does not say.

mod context;
mod data;

use std::{collections::BTreeMap, thread};

use amaru_uplc::{
    arena::Arena,
    binder::DeBruijn,
    constant::Constant,
    data::PlutusData,
    flat,
    machine::{ExBudget, PlutusVersion},
    program::Program,
    term::Term,
};
use anyhow::{Context, bail, ensure};
use nunet_devnet::Devnet;
use nunet_ledger::{
    ExUnits, OutPoint, ProtocolParameters, Purpose, Script, ScriptHash, SlotConfig, TxOut,
    evaluate::{EvaluateError, UsedUnits, evaluate},
    received::ReceivedTx,
};

use self::context::ScriptContext;

/// Stack for decoding scripts, which recurses.
const STACK_BYTES: usize = 1 << 28;

/// What became of one script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opinion {
    /// It allows the transaction, and used this much.
    Allows(ExUnits),
    /// It does not.
    Refuses(String),
}

/// What both evaluators say of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// All of its scripts allow it.
    Allowed {
        /// How many there are.
        scripts: usize,
    },
    /// One of them does not.
    Refused,
}

/// Has both evaluators judge a transaction.
///
/// # Errors
/// When they differ, or one of them cannot judge it.
pub fn judge(
    tx: &[u8],
    resolved: &BTreeMap<OutPoint, TxOut>,
    params: &ProtocolParameters,
    slots: &SlotConfig,
) -> anyhow::Result<Agreement> {
    compare(evaluate(tx, resolved, params, slots), &second_opinion(tx, resolved, params, slots)?)
}

fn compare(first: Result<UsedUnits, EvaluateError>, second: &[(Purpose, u32, Opinion)]) -> anyhow::Result<Agreement> {
    match first {
        Ok(used) => {
            let expected = used.iter().map(|(purpose, index, units)| (*purpose, *index, Opinion::Allows(*units)));
            ensure!(second.iter().cloned().eq(expected), "uplc measures {used:?}, amaru-uplc says {second:?}");
            Ok(Agreement::Allowed { scripts: used.len() })
        }
        Err(EvaluateError::ScriptFailed { purpose, index, reason, .. }) => {
            let refusing = second.iter().find(|(_, _, opinion)| matches!(opinion, Opinion::Refuses(_)));
            let refusing = refusing.map(|(purpose, index, _)| (*purpose, *index));
            let agrees = refusing == Some((purpose, index));
            ensure!(agrees, "uplc has {purpose:?} {index} refuse ({reason}), amaru-uplc says {second:?}");
            Ok(Agreement::Refused)
        }
        Err(error) => Err(error).context("uplc cannot judge it"),
    }
}

/// Has both evaluators judge every transaction that a devnet applied; returns how many scripts they ran.
///
/// # Errors
/// When they differ about one, or differ from what the devnet let pass.
pub fn judge_all(devnet: &Devnet, params: &ProtocolParameters) -> anyhow::Result<usize> {
    let transactions = devnet.transactions();
    let outputs: BTreeMap<OutPoint, TxOut> = transactions.iter().flat_map(|applied| applied.produced.clone()).collect();
    let slots = devnet.slots();
    let mut all = 0;
    for applied in transactions.iter().filter(|applied| !applied.units.is_empty()) {
        let agreement =
            judge(&applied.cbor, &outputs, params, &slots).with_context(|| format!("transaction {}", applied.id))?;
        match agreement {
            Agreement::Allowed { scripts } if applied.valid && scripts == applied.units.len() => all += scripts,
            Agreement::Refused if !applied.valid => {}
            other => {
                bail!("the devnet applied {} (valid: {}), the evaluators say {other:?}", applied.id, applied.valid)
            }
        }
    }
    Ok(all)
}

/// What `amaru-uplc` says of each script, in the redeemers' order. Each may use what is left of the limit for a transaction.
fn second_opinion(
    tx: &[u8],
    resolved: &BTreeMap<OutPoint, TxOut>,
    params: &ProtocolParameters,
    slots: &SlotConfig,
) -> anyhow::Result<Vec<(Purpose, u32, Opinion)>> {
    thread::scope(|scope| {
        let work = || run_all(tx, resolved, params, slots);
        let worker = thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work)?;
        worker.join().map_err(|_| anyhow::anyhow!("amaru-uplc panicked on this transaction"))?
    })
}

fn run_all(
    tx: &[u8],
    resolved: &BTreeMap<OutPoint, TxOut>,
    params: &ProtocolParameters,
    slots: &SlotConfig,
) -> anyhow::Result<Vec<(Purpose, u32, Opinion)>> {
    let received = ReceivedTx::decode(tx)?;
    let scripts = scripts_of(&received, resolved);
    let context = ScriptContext::new(&received, resolved, slots)?;
    let mut left = params.max_tx_ex_units;
    let mut opinions = Vec::new();
    for (purpose, index) in received.witnesses.redeemers.keys().copied() {
        let hash = context.script_for(purpose, index)?;
        let script = scripts.get(&hash).with_context(|| format!("script {hash} is missing"))?;
        let Script::PlutusV3(script) = script else { bail!("script {hash} is not of Plutus V3") };
        let argument = context.for_script(purpose, index)?.to_cbor()?;
        let opinion = run(script, &argument, params, left).with_context(|| format!("{purpose:?} {index}"))?;
        if let Opinion::Allows(units) = &opinion {
            left = ExUnits { mem: left.mem - units.mem, steps: left.steps - units.steps };
        }
        opinions.push((purpose, index, opinion));
    }
    Ok(opinions)
}

fn scripts_of<'a>(tx: &'a ReceivedTx<'_>, resolved: &'a BTreeMap<OutPoint, TxOut>) -> BTreeMap<ScriptHash, &'a Script> {
    let referred = tx.body.inputs.iter().chain(&tx.body.reference_inputs);
    let shown = referred.filter_map(|outpoint| resolved.get(outpoint)?.reference_script.as_ref());
    shown.chain(tx.witnesses.scripts.values()).map(|script| (script.hash(), script)).collect()
}

/// Runs one script (flat in a CBOR byte string) on its argument.
fn run(script: &[u8], argument: &[u8], params: &ProtocolParameters, limit: ExUnits) -> anyhow::Result<Opinion> {
    let arena = Arena::new();
    let bytes = minicbor::Decoder::new(script).bytes().context("a script is no byte string")?;
    let version = params.protocol_version.major.into();
    let program: &Program<'_, DeBruijn> =
        flat::decode(&arena, bytes, PlutusVersion::V3, version).context("decoding a script")?;
    let argument = PlutusData::from_cbor(&arena, argument).context("decoding a script context")?;
    let program = program.apply(&arena, Term::data(&arena, argument));
    let budget = ExBudget::new(i64::try_from(limit.mem)?, i64::try_from(limit.steps)?);
    let result = program.eval_with_params(&arena, PlutusVersion::V3, &params.cost_models.v3, budget);
    Ok(match result.term {
        Ok(Term::Constant(Constant::Unit)) => {
            let used = result.info.consumed_budget;
            Opinion::Allows(ExUnits { mem: u64::try_from(used.mem)?, steps: u64::try_from(used.cpu)? })
        }
        Ok(_) => Opinion::Refuses("it returned something other than unit".into()),
        // Its text never holds terms, which could be large.
        Err(error) => Opinion::Refuses(error.to_string()),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const UNITS: ExUnits = ExUnits { mem: 100, steps: 2_000 };

    fn failed(index: u32) -> Result<UsedUnits, EvaluateError> {
        Err(EvaluateError::ScriptFailed { purpose: Purpose::Spend, index, reason: "no".into(), logs: Vec::new() })
    }

    #[test]
    fn a_difference_of_one_unit_or_of_one_opinion_is_seen() {
        let allows = |mem| (Purpose::Spend, 0, Opinion::Allows(ExUnits { mem, ..UNITS }));
        let refuses = |index| (Purpose::Spend, index, Opinion::Refuses("no".into()));
        let used = || Ok(vec![(Purpose::Spend, 0, UNITS)]);
        assert_eq!(compare(used(), &[allows(100)]).unwrap(), Agreement::Allowed { scripts: 1 });
        assert!(compare(used(), &[allows(101)]).is_err());
        assert!(compare(used(), &[]).is_err());
        assert!(compare(used(), &[refuses(0)]).is_err());
        assert_eq!(compare(failed(1), &[allows(100), refuses(1), refuses(2)]).unwrap(), Agreement::Refused);
        assert!(compare(failed(1), &[allows(100), refuses(2)]).is_err());
        assert!(compare(failed(0), &[allows(100)]).is_err());
        assert!(compare(Err(EvaluateError::Context("strange".into())), &[refuses(0)]).is_err());
    }
}
