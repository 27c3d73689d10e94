//! Evaluations as [Ogmios](https://ogmios.dev/mini-protocols/local-tx-submission/) answers them, in its two versions.

use nunet_ledger::{
    Purpose,
    evaluate::{EvaluateError, UsedUnits},
};
use serde_json::{Map, Value, json};

/// The version of Ogmios whose answer a client reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// JSON-WSP, what Blockfrost answers with unless asked otherwise.
    Five,
    /// JSON-RPC.
    Six,
}

impl Version {
    /// What each script used.
    pub(super) fn success(self, units: UsedUnits) -> Value {
        match self {
            Self::Five => {
                let budget = |(purpose, index, units): (Purpose, u32, nunet_ledger::ExUnits)| {
                    (pointer(purpose, index), json!({ "memory": units.mem, "steps": units.steps }))
                };
                jsonwsp(json!({ "EvaluationResult": units.into_iter().map(budget).collect::<Map<_, _>>() }))
            }
            Self::Six => {
                let budget = |(purpose, index, units): (Purpose, u32, nunet_ledger::ExUnits)| {
                    let budget = json!({ "memory": units.mem, "cpu": units.steps });
                    json!({ "validator": validator(purpose, index), "budget": budget })
                };
                jsonrpc("result", units.into_iter().map(budget).collect())
            }
        }
    }

    /// Why scripts cannot run, or say no.
    pub(super) fn failure(self, error: &EvaluateError) -> Value {
        match self {
            Self::Five => jsonwsp(json!({ "EvaluationFailure": failure_five(error) })),
            Self::Six => jsonrpc("error", failure_six(error)),
        }
    }
}

fn jsonwsp(result: Value) -> Value {
    json!({
        "type": "jsonwsp/response",
        "version": "1.0",
        "servicename": "ogmios",
        "methodname": "EvaluateTx",
        "result": result,
        "reflection": null,
    })
}

fn jsonrpc(outcome: &str, value: Value) -> Value {
    json!({ "jsonrpc": "2.0", "method": "evaluateTransaction", (outcome): value, "id": null })
}

fn failure_five(error: &EvaluateError) -> Value {
    let at = |purpose: &Purpose, index: &u32, failure: Value| json!({ "ScriptFailures": { (pointer(*purpose, *index)): [failure] } });
    match error {
        EvaluateError::ScriptFailed { purpose, index, reason, logs } => {
            at(purpose, index, json!({ "validatorFailed": { "error": reason, "traces": logs } }))
        }
        EvaluateError::OverBudget { purpose, index } => {
            at(purpose, index, json!({ "validatorFailed": { "error": error.to_string(), "traces": [] } }))
        }
        EvaluateError::ExtraRedeemer { purpose, index } => {
            at(purpose, index, json!({ "extraRedeemers": [pointer(*purpose, *index)] }))
        }
        EvaluateError::MissingRedeemer { purpose, index, script }
        | EvaluateError::MissingScript { purpose, index, script } => {
            let missing = json!({ "missing": [script], "reason": error.to_string() });
            at(purpose, index, json!({ "missingRequiredScripts": missing }))
        }
        other => json!({ "CannotCreateEvaluationContext": { "reason": other.to_string() } }),
    }
}

/// The codes are those of Ogmios 6 (`evaluateTransaction` and `submitTransaction` share them).
fn failure_six(error: &EvaluateError) -> Value {
    let at = |purpose: &Purpose, index: &u32, code: u32, data: Value| {
        let cause = json!({ "code": code, "message": error.to_string(), "data": data });
        json!({
            "code": 3_010,
            "message": "Some scripts of the transactions terminated with error(s).",
            "data": [{ "validator": validator(*purpose, *index), "error": cause }],
        })
    };
    match error {
        EvaluateError::ScriptFailed { purpose, index, reason, logs } => {
            at(purpose, index, 3_012, json!({ "validationError": reason, "traces": logs }))
        }
        EvaluateError::OverBudget { purpose, index } => {
            at(purpose, index, 3_012, json!({ "validationError": error.to_string(), "traces": [] }))
        }
        EvaluateError::ExtraRedeemer { purpose, index } => {
            at(purpose, index, 3_110, json!({ "extraneousRedeemers": [validator(*purpose, *index)] }))
        }
        EvaluateError::MissingRedeemer { purpose, index, .. } | EvaluateError::MissingScript { purpose, index, .. } => {
            at(purpose, index, 3_011, json!({ "missingScripts": [validator(*purpose, *index)] }))
        }
        EvaluateError::UnknownInput(outpoint) => {
            let unknown = json!([{ "transaction": { "id": outpoint.tx }, "index": outpoint.index }]);
            json!({ "code": 3_117, "message": error.to_string(), "data": { "unknownOutputReferences": unknown } })
        }
        other => json!({
            "code": 3_004,
            "message": "Unable to create the evaluation context from the given transaction.",
            "data": { "reason": other.to_string() },
        }),
    }
}

/// How Ogmios 5 names a redeemer.
fn pointer(purpose: Purpose, index: u32) -> String {
    let purpose = match purpose {
        Purpose::Spend => "spend",
        Purpose::Mint => "mint",
        Purpose::Certify => "certificate",
        Purpose::Withdraw => "withdrawal",
    };
    format!("{purpose}:{index}")
}

/// How Ogmios 6 names a redeemer.
fn validator(purpose: Purpose, index: u32) -> Value {
    let purpose = match purpose {
        Purpose::Spend => "spend",
        Purpose::Mint => "mint",
        Purpose::Certify => "publish",
        Purpose::Withdraw => "withdraw",
    };
    json!({ "purpose": purpose, "index": index })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use nunet_ledger::{ExUnits, OutPoint, TxId};

    use super::*;

    #[test]
    fn used_units_are_shown_in_the_shape_of_either_version() {
        let units = vec![(Purpose::Withdraw, 1, ExUnits { mem: 7, steps: 9 })];
        let five = Version::Five.success(units.clone());
        assert_eq!(five["result"]["EvaluationResult"]["withdrawal:1"], json!({ "memory": 7, "steps": 9 }));
        let six = Version::Six.success(units);
        let expected =
            json!({ "validator": { "purpose": "withdraw", "index": 1 }, "budget": { "memory": 7, "cpu": 9 } });
        assert_eq!(six["result"], json!([expected]));
    }

    #[test]
    fn failures_are_shown_in_the_shape_of_either_version() {
        let failed = EvaluateError::ScriptFailed {
            purpose: Purpose::Spend,
            index: 0,
            reason: "said no".into(),
            logs: vec!["trace".into()],
        };
        let five = Version::Five.failure(&failed);
        let cause = &five["result"]["EvaluationFailure"]["ScriptFailures"]["spend:0"][0];
        assert_eq!(cause["validatorFailed"], json!({ "error": "said no", "traces": ["trace"] }));
        let six = Version::Six.failure(&failed);
        assert_eq!(six["error"]["code"], 3_010);
        let cause = &six["error"]["data"][0]["error"];
        assert_eq!((&cause["code"], &cause["data"]["validationError"]), (&json!(3_012), &json!("said no")));
        let unknown = EvaluateError::UnknownInput(OutPoint { tx: TxId([7; 32]), index: 2 });
        let six = Version::Six.failure(&unknown);
        assert_eq!(six["error"]["data"]["unknownOutputReferences"][0]["index"], 2);
    }
}
