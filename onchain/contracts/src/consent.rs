//! How the principals of a job or lease say yes in a transaction: keys by required signers, scripts by a withdrawal.
//!
//! A validator cannot see that a script which guards nothing in the transaction agrees, but a withdrawal from the
//! script's own stake account runs the script. So multisigs and DAOs can rent and provide.

use std::collections::{BTreeMap, BTreeSet};

use nunet_ledger::{Address, Credential, KeyHash, Lovelace, OutPoint, RewardAccount, Script, ScriptHash, TxOut};
use pallas_primitives::PlutusData;

use crate::{
    data::DataError,
    plan::{TxPlan, Withdrawal},
    transactions::PlanError,
};

const WHAT: &str = "consent of a script";

/// Where a script is found that must run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScriptSource {
    /// The transaction carries it.
    Attached(Script),
    /// This output carries it as a reference script.
    Reference(OutPoint, TxOut),
}

impl ScriptSource {
    fn script(&self) -> Option<&Script> {
        match self {
            Self::Attached(script) => Some(script),
            Self::Reference(_, output) => output.reference_script.as_ref(),
        }
    }
}

/// What convinces a script.
#[derive(Clone, Debug, PartialEq)]
pub enum Argument {
    /// Signatures, for a native script. Name the keys that will sign where the script leaves a choice (two of three);
    /// with none named, those are taken that sign anyway, then the first in the script.
    Signers(BTreeSet<KeyHash>),
    /// A redeemer, for a Plutus script.
    Redeemer(PlutusData),
}

/// One script's consent: a withdrawal of all that its stake account holds.
#[derive(Clone, Debug, PartialEq)]
pub struct ScriptConsent {
    script: ScriptHash,
    source: ScriptSource,
    balance: Lovelace,
    argument: Argument,
}

impl ScriptConsent {
    /// Consent of the script at `source`. `balance` is exactly what its stake account holds: the ledger takes a
    /// withdrawal of nothing less, and none from an account that is not registered.
    ///
    /// # Errors
    /// When the output of a reference carries no script, or the argument is not of the script's kind.
    pub fn new(source: ScriptSource, balance: Lovelace, argument: Argument) -> Result<Self, DataError> {
        let script = source.script().ok_or_else(|| DataError::new(WHAT, "the output carries no reference script"))?;
        match (script, &argument) {
            (Script::Native(_), Argument::Redeemer(_)) => {
                return Err(DataError::new(WHAT, "a native script takes no redeemer; name the keys that sign"));
            }
            (Script::Native(_), Argument::Signers(_)) | (_, Argument::Redeemer(_)) => {}
            (_, Argument::Signers(_)) => {
                return Err(DataError::new(WHAT, "a Plutus script needs a redeemer, not signers"));
            }
        }
        Ok(Self { script: script.hash(), source, balance, argument })
    }
}

/// The consents of all scripts that take part in a transaction. Keys need none: they sign.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Consents(BTreeMap<ScriptHash, ScriptConsent>);

impl Consents {
    /// No script takes part.
    pub fn none() -> Self {
        Self::default()
    }

    /// These and one more; a script's earlier consent is replaced.
    #[must_use]
    pub fn with(mut self, consent: ScriptConsent) -> Self {
        self.0.insert(consent.script, consent);
        self
    }

    /// Adds to a plan what makes these principals consent; a principal who appears twice consents once.
    ///
    /// It can add reference inputs, so positions among these are to be counted after it.
    ///
    /// # Errors
    /// When a principal is a script whose consent is not here.
    pub fn add_to<'a>(
        &self,
        plan: &mut TxPlan,
        network_id: u8,
        principals: impl IntoIterator<Item = &'a Address>,
    ) -> Result<(), PlanError> {
        for address in principals {
            match address.payment() {
                Some(Credential::Key(key)) => {
                    plan.required_signers.insert(key);
                }
                Some(Credential::Script(script)) => {
                    let consent = self.0.get(&script).ok_or(PlanError::ConsentMissing { script })?;
                    consent.add_to(plan, network_id);
                }
                None => {
                    let problem = format!("{address} is a Byron address, which cannot consent");
                    return Err(DataError::new("principal", problem).into());
                }
            }
        }
        Ok(())
    }
}

impl ScriptConsent {
    fn add_to(&self, plan: &mut TxPlan, network_id: u8) {
        let account = RewardAccount { network_id, credential: Credential::Script(self.script) };
        if plan.withdrawals.iter().any(|withdrawal| withdrawal.account == account) {
            return;
        }
        let redeemer = match &self.argument {
            Argument::Redeemer(redeemer) => Some(redeemer.clone()),
            Argument::Signers(keys) => {
                plan.required_signers.extend(keys);
                None
            }
        };
        plan.withdrawals.push(Withdrawal { account, amount: self.balance, redeemer });
        match &self.source {
            ScriptSource::Attached(script) if plan.scripts.contains(script) => {}
            ScriptSource::Attached(script) => plan.scripts.push(script.clone()),
            ScriptSource::Reference(outpoint, output) => {
                // An output that is consumed or read already shows its script; the ledger takes it once.
                let shown = plan.references.iter().any(|(shown, _)| shown == outpoint)
                    || plan.spends.iter().any(|spend| spend.outpoint == *outpoint);
                if !shown {
                    plan.references.push((*outpoint, output.clone()));
                }
            }
        }
    }
}
