//! Which scripts a transaction runs, where their redeemers stand, and who has to sign.

use std::collections::{BTreeMap, BTreeSet};

use nunet_contracts::TxPlan;
use nunet_ledger::{
    Credential, ExUnits, KeyHash, Language, OutPoint, Purpose, Redeemer, RewardAccount, Script, ScriptHash, TxBody,
    TxOut,
};
use pallas_primitives::PlutusData;

use super::error::BuildError;
use crate::native::NativeScript;

/// What a script is asked about, independent of where it ends up in the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    /// An input.
    Spend(OutPoint),
    /// A minting policy.
    Mint(ScriptHash),
    /// A withdrawal.
    Withdraw(RewardAccount),
}

/// The scripts of a plan, by hash, and the arguments for those that take one.
#[derive(Clone, Debug)]
pub(super) struct Scripts<'a> {
    arguments: BTreeMap<Subject, &'a PlutusData>,
    /// The Plutus versions that run.
    pub(super) languages: BTreeSet<Language>,
    /// Native scripts that must hold.
    native: Vec<NativeScript>,
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Spend(outpoint) => write!(f, "input {outpoint}"),
            Self::Mint(policy) => write!(f, "minting policy {policy}"),
            Self::Withdraw(account) => write!(f, "the withdrawal from {}", hex::encode(account.to_bytes())),
        }
    }
}

impl<'a> Scripts<'a> {
    /// Finds the script behind everything that a script has to allow.
    pub(super) fn of_plan(plan: &'a TxPlan) -> Result<Self, BuildError> {
        let references = plan.references.iter().map(|(_, output)| output);
        let shown =
            references.chain(plan.spends.iter().map(|spend| &spend.output)).filter_map(|o| o.reference_script.as_ref());
        let available: BTreeMap<ScriptHash, &Script> =
            plan.scripts.iter().chain(shown).map(|s| (s.hash(), s)).collect();
        let mut scripts = Self { arguments: BTreeMap::new(), languages: BTreeSet::new(), native: Vec::new() };
        for (subject, hash, argument) in needs(plan) {
            let Some(hash) = hash else {
                if argument.is_some() {
                    return Err(BuildError::NoScript(subject.to_string()));
                }
                continue;
            };
            let Some(script) = available.get(&hash) else {
                return Err(BuildError::ScriptMissing { hash, needed_by: subject.to_string() });
            };
            if let Some(argument) = argument {
                scripts.arguments.insert(subject, argument);
                scripts.languages.extend(script.language());
            }
            if let Script::Native(bytes) = script {
                // A script that cannot be read asks for no signature; the ledger's check says what is wrong with it.
                scripts.native.extend(NativeScript::from_cbor(bytes));
            }
        }
        Ok(scripts)
    }

    /// Whether any script runs that can fail after its fee is due.
    pub(super) fn run(&self) -> bool {
        !self.arguments.is_empty()
    }

    /// The redeemers at their places in a body, each with the units known for it, in the order of the encoding.
    pub(super) fn redeemers(&self, body: &TxBody, units: &BTreeMap<Subject, ExUnits>) -> Vec<Redeemer> {
        let places = places(body);
        let find =
            |subject: &Subject| places.iter().find(|(_, candidate)| *candidate == subject).map(|(place, _)| *place);
        let mut redeemers: Vec<Redeemer> = self
            .arguments
            .iter()
            .filter_map(|(subject, data)| {
                let (purpose, index) = find(subject)?;
                let units = units.get(subject).copied().unwrap_or_default();
                Some(Redeemer { purpose, index, data: (*data).clone(), units })
            })
            .collect();
        redeemers.sort_by_key(|redeemer| (redeemer.purpose, redeemer.index));
        redeemers
    }

    /// Adds the keys that native scripts need.
    pub(super) fn add_signers(&self, signers: &mut BTreeSet<KeyHash>) {
        self.native.iter().for_each(|script| script.satisfy(signers));
    }
}

/// What each redeemer pointer of a body means (`redeemer_tag` and index in the Conway CDDL): inputs and policies in
/// bytewise order, withdrawals in the ledger's order of accounts, where scripts come before keys.
pub(super) fn places(body: &TxBody) -> BTreeMap<(Purpose, u32), Subject> {
    let policies: BTreeSet<ScriptHash> = body.mint.keys().map(|asset| asset.policy).collect();
    let mut accounts: Vec<RewardAccount> = body.withdrawals.keys().copied().collect();
    accounts.sort_by_key(|account| match account.credential {
        Credential::Script(hash) => (account.network_id, 0, hash.0),
        Credential::Key(hash) => (account.network_id, 1, hash.0),
    });
    let numbered = |purpose| move |(index, subject): (u32, Subject)| ((purpose, index), subject);
    let spends = (0..).zip(body.inputs.iter().copied().map(Subject::Spend)).map(numbered(Purpose::Spend));
    let mints = (0..).zip(policies.into_iter().map(Subject::Mint)).map(numbered(Purpose::Mint));
    let withdrawals = (0..).zip(accounts.into_iter().map(Subject::Withdraw)).map(numbered(Purpose::Withdraw));
    spends.chain(mints).chain(withdrawals).collect()
}

/// Everything that a script has to allow, with the script's hash (`None`: a key's) and the argument given.
fn needs(plan: &TxPlan) -> Vec<(Subject, Option<ScriptHash>, Option<&PlutusData>)> {
    let spends = plan.spends.iter().map(|spend| {
        let hash = spend.output.address.payment().and_then(script_of);
        (Subject::Spend(spend.outpoint), hash, spend.redeemer.as_ref())
    });
    let withdrawals = plan.withdrawals.iter().map(|withdrawal| {
        let account = withdrawal.account;
        (Subject::Withdraw(account), script_of(account.credential), withdrawal.redeemer.as_ref())
    });
    // One argument per policy, whichever of its assets carries it.
    let mut policies: BTreeMap<ScriptHash, Option<&PlutusData>> = BTreeMap::new();
    for mint in &plan.mints {
        let argument = policies.entry(mint.asset.policy).or_default();
        *argument = argument.or(mint.redeemer.as_ref());
    }
    let mints = policies.into_iter().map(|(policy, argument)| (Subject::Mint(policy), Some(policy), argument));
    spends.chain(withdrawals).chain(mints).collect()
}

/// The keys that must sign, whatever funds are chosen: of spends, withdrawals, certificates, and those that the plan
/// asks for.
pub(super) fn plan_signers(plan: &TxPlan) -> BTreeSet<KeyHash> {
    let spends = plan.spends.iter().filter_map(|spend| signer_of(&spend.output));
    let withdrawals = plan.withdrawals.iter().filter_map(|withdrawal| key_of(withdrawal.account.credential));
    // Plain registration needs no witness, so that anybody can register a script's account.
    let certificates = plan.certificates.iter().filter_map(|certificate| certificate.witness().and_then(key_of));
    plan.required_signers.iter().copied().chain(spends).chain(withdrawals).chain(certificates).collect()
}

/// The key that unlocks an output.
pub(crate) fn signer_of(output: &TxOut) -> Option<KeyHash> {
    output.address.payment().and_then(key_of)
}

fn key_of(credential: Credential) -> Option<KeyHash> {
    match credential {
        Credential::Key(hash) => Some(hash),
        Credential::Script(_) => None,
    }
}

fn script_of(credential: Credential) -> Option<ScriptHash> {
    match credential {
        Credential::Key(_) => None,
        Credential::Script(hash) => Some(hash),
    }
}
