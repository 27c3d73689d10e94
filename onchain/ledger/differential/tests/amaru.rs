//! Generated transactions, good ones and ones with a flaw, are judged by these rules and by amaru-ledger's.
//!
//! Where both have the rule, both refuse by the same predicate. Where only one has it, [`Flaw::known_difference`] says
//! so with the reason, and the test holds it to that: a difference that goes away has to leave the list.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "../../tests/support/mod.rs"]
mod support;

use std::{collections::BTreeMap, sync::LazyLock};

use amaru_kernel::{
    EraHistory, MemoizedTransactionOutput, NetworkName, PREPROD_INITIAL_PROTOCOL_PARAMETERS, PROTOCOL_VERSION_10,
    ProtocolParameters, Slot as TheirSlot, Transaction as TheirTransaction, TransactionInput, TransactionPointer, cbor,
};
use amaru_ledger::{
    context::{DefaultValidationContext, WitnessSlice},
    rules::transaction::{
        phase_one::{
            self, InvalidCollateral, InvalidFees, InvalidInputs, InvalidScripts, InvalidTransactionMetadata,
            InvalidVKeyWitness, PhaseOneError,
        },
        phase_two::{self, PhaseTwoError},
    },
    store::GovernanceActivity,
};
use amaru_plutus::arena_pool::ArenaPool;
use nunet_ledger::{
    Address, Credential, ExUnits, Lovelace, Purpose, Slot, TxOut, Value,
    hash::blake2b_256,
    rules::{LedgerError, LedgerState},
};
use proptest::prelude::*;
use support::*;

/// The end of their test network's first epoch: slots up to it have a certain time for both.
const HORIZON: u64 = 86_400;

/// What amaru-ledger says: nothing, or the predicate under cardano-ledger's name.
fn theirs(bytes: &[u8], state: &LedgerState) -> Result<(), String> {
    static ARENAS: LazyLock<ArenaPool> = LazyLock::new(|| ArenaPool::new(2, 1 << 20));
    let tx: TheirTransaction = cbor::decode(bytes).map_err(|error| format!("DecodingFailure: {error}"))?;
    let mut utxo = BTreeMap::new();
    for (outpoint, output) in &state.utxo {
        let input = TransactionInput { transaction_id: outpoint.tx.0.into(), index: outpoint.index.into() };
        let output: MemoizedTransactionOutput = cbor::decode(&output.to_cbor()).unwrap();
        utxo.insert(input, output);
    }
    let (params, network) = (their_parameters(state), NetworkName::Testnet(42));
    let history = <&EraHistory>::from(network);
    let pointer = TransactionPointer { slot: TheirSlot::from(NOW.0), transaction_index: 0 };
    let mut context = DefaultValidationContext::new(utxo);
    // Their block rule asks for these before it judges a transaction.
    for key in tx.body.required_signers.as_deref().unwrap_or(&[]) {
        context.require_vkey_witness(*key);
    }
    phase_one::execute(
        &mut context,
        &network,
        &params,
        history,
        &GovernanceActivity { consecutive_dormant_epochs: 0 },
        pointer,
        tx.is_expected_valid,
        tx.body.clone(),
        &tx.witnesses,
        tx.auxiliary_data.as_ref(),
    )
    .map_err(|error| phase_one_predicate(&error))?;
    phase_two::execute(
        &mut context,
        &ARENAS,
        &network,
        &params,
        history,
        pointer,
        tx.is_expected_valid,
        &tx.body,
        &tx.witnesses,
    )
    .map_err(|error| match error {
        PhaseTwoError::UplcMachineError(_) | PhaseTwoError::ValidityStateError => "ValidationTagMismatch".to_owned(),
        other => format!("CollectErrors: {other}"),
    })
}

fn their_parameters(state: &LedgerState) -> ProtocolParameters {
    let ours = &state.params;
    let mut params = PREPROD_INITIAL_PROTOCOL_PARAMETERS.clone();
    params.protocol_version = PROTOCOL_VERSION_10;
    params.max_value_size = ours.max_value_size;
    params.max_collateral_inputs = u16::try_from(ours.max_collateral_inputs).unwrap();
    params.collateral_percentage = u16::try_from(ours.collateral_percent).unwrap();
    params.lovelace_per_utxo_byte = ours.coins_per_utxo_byte;
    params.cost_models.plutus_v1 = Some(ours.cost_models.v1.clone());
    params.cost_models.plutus_v2 = Some(ours.cost_models.v2.clone());
    params.cost_models.plutus_v3 = Some(ours.cost_models.v3.clone());
    params
}

/// Their errors under cardano-ledger's names.
fn phase_one_predicate(error: &PhaseOneError) -> String {
    let name = match error {
        PhaseOneError::Inputs(InvalidInputs::UnknownInput(_))
        | PhaseOneError::Fees(InvalidFees::UnknownCollateralInput { .. })
        | PhaseOneError::Collateral(InvalidCollateral::UnknownInput(_)) => "BadInputsUTxO",
        PhaseOneError::Inputs(InvalidInputs::NonDisjointRefInputs { .. }) => "BabbageNonDisjointRefInputs",
        PhaseOneError::Inputs(InvalidInputs::EmptyInputSet) => "InputSetEmptyUTxO",
        PhaseOneError::Fees(InvalidFees::CollateralReturnOverflow { .. }) => "InsufficientCollateral",
        PhaseOneError::Collateral(InvalidCollateral::TooManyInputs { .. }) => "TooManyCollateralInputs",
        PhaseOneError::Collateral(InvalidCollateral::LockedAtScriptAddress(_)) => "ScriptsNotPaidUTxO",
        PhaseOneError::Collateral(InvalidCollateral::InsufficientBalance { .. }) => "InsufficientCollateral",
        PhaseOneError::Collateral(InvalidCollateral::IncorrectTotalCollateral { .. }) => {
            "IncorrectTotalCollateralField"
        }
        PhaseOneError::Collateral(InvalidCollateral::NoCollateral) => "NoCollateralInputs",
        PhaseOneError::Collateral(InvalidCollateral::ValueNotConserved(_)) => "CollateralContainsNonADA",
        PhaseOneError::Metadata(InvalidTransactionMetadata::MissingTransactionMetadata(_)) => "MissingTxMetadata",
        PhaseOneError::Metadata(InvalidTransactionMetadata::MissingTransactionAuxiliaryDataHash(_)) => {
            "MissingTxBodyMetadataHash"
        }
        PhaseOneError::Metadata(InvalidTransactionMetadata::ConflictingMetadataHash { .. }) => {
            "ConflictingMetadataHash"
        }
        PhaseOneError::VKeyWitness(InvalidVKeyWitness::MissingRequiredKeysOrRoots { .. }) => {
            "MissingVKeyWitnessesUTXOW"
        }
        PhaseOneError::VKeyWitness(InvalidVKeyWitness::InvalidSignatures { .. }) => "InvalidWitnessesUTXOW",
        PhaseOneError::Scripts(InvalidScripts::MissingRequiredScripts(_)) => "MissingScriptWitnessesUTXOW",
        PhaseOneError::Scripts(InvalidScripts::ExtraneousScriptWitnesses(_)) => "ExtraneousScriptWitnessesUTXOW",
        PhaseOneError::Scripts(InvalidScripts::UnspendableInputsNoDatums(_)) => "UnspendableUTxONoDatumHash",
        PhaseOneError::Scripts(InvalidScripts::MissingRequiredDatums { .. }) => "MissingRequiredDatums",
        PhaseOneError::Scripts(InvalidScripts::ExtraneousSupplementalDatums { .. }) => "NotAllowedSupplementalDatums",
        PhaseOneError::Scripts(InvalidScripts::ExtraneousRedeemers(_)) => "ExtraRedeemers",
        PhaseOneError::Scripts(InvalidScripts::MissingRedeemers(_)) => "MissingRedeemers",
        // What is wrong with an output is private to them, but not its text.
        PhaseOneError::Outputs(outputs) => {
            let text = format!("{outputs:?}");
            let names = [
                ("TooSmall", "BabbageOutputTooSmallUTxO"),
                ("ValueTooLarge", "OutputTooBigUTxO"),
                ("WrongNetwork", "WrongNetwork"),
            ];
            return names
                .iter()
                .find(|(theirs, _)| text.contains(theirs))
                .map_or(text.clone(), |(_, name)| (*name).to_owned());
        }
        other => return format!("{other:?}"),
    };
    name.to_owned()
}

/// What can be wrong with a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    UnknownInput,
    UnknownCollateral,
    UnknownReference,
    NoInput,
    ReadAndConsumed,
    NoSignature,
    WrongSignature,
    UnsignedNamedKey,
    SmallOutput,
    ForeignOutput,
    NoScript,
    IdleScript,
    NoRedeemer,
    IdleRedeemer,
    NoCollateral,
    ManyCollateral,
    ScriptCollateral,
    AssetCollateral,
    LittleCollateral,
    MisstatedCollateral,
    DatumForNothing,
    NoDatum,
    NoMetadataHash,
    NoMetadata,
    OtherMetadataHash,
    FailingScript,
    PassingScriptMarkedInvalid,
    Unbalanced,
    SmallFee,
    Late,
    OtherIntegrityHash,
    MuchDeclared,
    RefusingNativeScript,
    ForeignBody,
    LongMetadata,
    UnregisteredWithdrawal,
}

const FLAWS: [Flaw; 36] = [
    Flaw::UnknownInput,
    Flaw::UnknownCollateral,
    Flaw::UnknownReference,
    Flaw::NoInput,
    Flaw::ReadAndConsumed,
    Flaw::NoSignature,
    Flaw::WrongSignature,
    Flaw::UnsignedNamedKey,
    Flaw::SmallOutput,
    Flaw::ForeignOutput,
    Flaw::NoScript,
    Flaw::IdleScript,
    Flaw::NoRedeemer,
    Flaw::IdleRedeemer,
    Flaw::NoCollateral,
    Flaw::ManyCollateral,
    Flaw::ScriptCollateral,
    Flaw::AssetCollateral,
    Flaw::LittleCollateral,
    Flaw::MisstatedCollateral,
    Flaw::DatumForNothing,
    Flaw::NoDatum,
    Flaw::NoMetadataHash,
    Flaw::NoMetadata,
    Flaw::OtherMetadataHash,
    Flaw::FailingScript,
    Flaw::PassingScriptMarkedInvalid,
    Flaw::Unbalanced,
    Flaw::SmallFee,
    Flaw::Late,
    Flaw::OtherIntegrityHash,
    Flaw::MuchDeclared,
    Flaw::RefusingNativeScript,
    Flaw::ForeignBody,
    Flaw::LongMetadata,
    Flaw::UnregisteredWithdrawal,
];

impl Flaw {
    /// Why amaru-ledger 0.1.2 accepts a transaction with this flaw; `None` where it has the rule.
    fn known_difference(self) -> Option<&'static str> {
        match self {
            Self::Unbalanced => Some("it does not compare what is consumed with what is produced yet"),
            Self::SmallFee => Some("it does not compute the least fee yet"),
            Self::Late => Some("it does not look at the validity interval yet"),
            Self::OtherIntegrityHash => Some("it does not compute the script data hash yet"),
            Self::MuchDeclared => Some("it limits the units of a block, not those of a transaction"),
            Self::RefusingNativeScript => Some("it does not run native scripts yet"),
            Self::ForeignBody => Some("it does not look at the body's network id yet"),
            Self::LongMetadata => Some("it checks metadata by hash only"),
            Self::UnregisteredWithdrawal => Some("it does not look at what accounts hold yet"),
            _ => None,
        }
    }

    /// Whether a transaction needs a Plutus script to have it.
    fn needs_script(self) -> bool {
        matches!(
            self,
            Self::NoScript
                | Self::NoRedeemer
                | Self::IdleRedeemer
                | Self::NoCollateral
                | Self::ManyCollateral
                | Self::ScriptCollateral
                | Self::AssetCollateral
                | Self::LittleCollateral
                | Self::MisstatedCollateral
                | Self::UnknownCollateral
                | Self::DatumForNothing
                | Self::NoDatum
                | Self::FailingScript
                | Self::PassingScriptMarkedInvalid
                | Self::OtherIntegrityHash
                | Self::MuchDeclared
        )
    }

    /// Puts it into a good transaction.
    fn spoil(self, draft: &mut Draft) {
        let body = &mut draft.tx.body;
        let nothing = [0x07, 0x58, 0x20].iter().chain(&[0; 32]).copied().collect::<Vec<u8>>();
        match self {
            Self::UnknownInput => drop(body.inputs.insert(outpoint(99))),
            Self::UnknownCollateral => drop(body.collateral.insert(outpoint(99))),
            Self::UnknownReference => drop(body.reference_inputs.insert(outpoint(99))),
            Self::NoInput => body.inputs.clear(),
            Self::ReadAndConsumed => drop(body.reference_inputs.insert(outpoint(1))),
            Self::NoSignature => draft.signers.retain(|seed| *seed != 1),
            Self::WrongSignature => draft.signers.push(200),
            Self::UnsignedNamedKey => drop(body.required_signers.insert(key_hash(77))),
            Self::SmallOutput => {
                draft.pay(-1_000);
                draft.tx.body.outputs.push(TxOut::new(address(3), Value::lovelace_only(Lovelace(1_000))));
            }
            Self::ForeignOutput => body.outputs[0].address = Address::new(1, Credential::Key(key_hash(3)), None),
            Self::NoScript => draft.tx.witnesses.scripts.clear(),
            Self::IdleScript => draft.tx.witnesses.scripts.push(needs(1)),
            Self::NoRedeemer => {
                draft.tx.witnesses.redeemers.clear();
                draft.bind();
            }
            Self::IdleRedeemer => {
                let mut redeemer = draft.tx.witnesses.redeemers[0].clone();
                redeemer.purpose = Purpose::Mint;
                draft.tx.witnesses.redeemers.push(redeemer);
                draft.bind();
            }
            Self::NoCollateral => body.collateral.clear(),
            Self::ManyCollateral => {
                body.collateral = (20..24).map(outpoint).collect();
            }
            Self::ScriptCollateral => body.collateral = [outpoint(4)].into(),
            Self::AssetCollateral => drop(body.collateral.insert(outpoint(6))),
            Self::LittleCollateral => body.collateral_return = Some(TxOut::new(address(1), ada(9))),
            Self::MisstatedCollateral => body.total_collateral = Some(Lovelace(1)),
            Self::DatumForNothing => draft.extra_witnesses.push(vec![0x04, 0x81, 0x18, 0x2a]),
            Self::NoDatum => {
                draft.tx.body.inputs.remove(&outpoint(3));
                draft.tx.body.inputs.insert(outpoint(8));
                draft.tx.witnesses.scripts = vec![yes_v2()];
                draft.bind();
            }
            Self::NoMetadataHash => draft.auxiliary = Some(vec![0xa0]),
            Self::NoMetadata => draft.extra_fields.push(nothing),
            Self::OtherMetadataHash => {
                draft.auxiliary = Some(vec![0xa0]);
                draft.extra_fields.push(nothing);
            }
            Self::LongMetadata => {
                let long = [&[0xa1, 0x01, 0x58, 65][..], &[0; 65]].concat();
                draft.extra_fields.push([&[0x07, 0x58, 0x20], &blake2b_256(&long)[..]].concat());
                draft.auxiliary = Some(long);
            }
            Self::FailingScript => {
                draft.tx.body.inputs.remove(&outpoint(3));
                draft.tx.body.inputs.insert(outpoint(4));
                draft.tx.witnesses.scripts = vec![no()];
            }
            Self::PassingScriptMarkedInvalid => draft.valid = false,
            Self::Unbalanced => draft.pay(-1),
            Self::SmallFee => {
                draft.pay(2 * ADA as i64 - 1);
                draft.tx.body.fee = Lovelace(1);
            }
            Self::Late => body.valid_until = Some(NOW),
            Self::OtherIntegrityHash => body.script_data_hash = Some([7; 32]),
            Self::MuchDeclared => {
                draft.tx.witnesses.redeemers[0].units = ExUnits { mem: 20_000_000, steps: 10_000_000 };
                draft.bind();
            }
            Self::RefusingNativeScript => {
                draft.tx.body.mint.insert(asset(from_slot(200).hash()), 5);
                draft.tx.body.outputs[0].value.add_asset(asset(from_slot(200).hash()), 5).unwrap();
                draft.tx.body.valid_from = None;
                draft.tx.witnesses.scripts.push(from_slot(200));
            }
            Self::ForeignBody => draft.extra_fields.push(vec![0x0f, 0x01]),
            Self::UnregisteredWithdrawal => {
                draft.tx.body.withdrawals.insert(key_account(1), Lovelace(0));
            }
        }
    }
}

/// The usual state with more outputs of key 1, for collateral.
fn ground() -> LedgerState {
    let mut on = state();
    (20..24).for_each(|number| drop(on.utxo.insert(outpoint(number), TxOut::new(address(1), ada(10)))));
    on
}

/// What a good transaction does beside what all of them do.
#[derive(Clone, Debug)]
struct Shape {
    scripted: bool,
    /// Lovelace that goes to further outputs of their own.
    outputs: Vec<u64>,
    from: Option<u64>,
    until: Option<u64>,
    reads: bool,
    tokens: u8,
    named: bool,
}

fn shape() -> impl Strategy<Value = Shape> {
    let outputs = proptest::collection::vec(1_000_000..5_000_000_u64, 0..5);
    let slots = (proptest::option::of(0..=1_000_u64), proptest::option::of(1_001..HORIZON));
    (any::<bool>(), outputs, slots, any::<bool>(), 0..=50_u8, any::<bool>()).prop_map(
        |(scripted, outputs, (from, until), reads, tokens, named)| Shape {
            scripted,
            outputs,
            from,
            until,
            reads,
            tokens,
            named,
        },
    )
}

impl Shape {
    fn draft(&self) -> Draft {
        let mut draft = if self.scripted { Draft::scripted() } else { Draft::payment() };
        for lovelace in &self.outputs {
            draft.pay(-i64::try_from(*lovelace).unwrap());
            draft.tx.body.outputs.push(TxOut::new(address(9), Value::lovelace_only(Lovelace(*lovelace))));
        }
        draft.tx.body.valid_from = self.from.map(Slot);
        draft.tx.body.valid_until = self.until.map(Slot);
        if self.reads {
            draft.tx.body.reference_inputs.insert(outpoint(10));
        }
        if self.tokens > 0 {
            let policy = needs(2);
            draft.signers.push(2);
            draft.tx.body.mint.insert(asset(policy.hash()), self.tokens.into());
            draft.tx.body.outputs[0].value.add_asset(asset(policy.hash()), self.tokens.into()).unwrap();
            draft.tx.witnesses.scripts.push(policy);
        }
        if self.named {
            draft.tx.body.required_signers.insert(key_hash(1));
        }
        draft
    }
}

fn ours(bytes: &[u8], state: &LedgerState) -> Result<(), LedgerError> {
    state.validate(bytes, NOW).map(|_| ())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_accept_good_transactions(shape in shape()) {
        let (bytes, on) = (shape.draft().bytes(), ground());
        prop_assert_eq!(ours(&bytes, &on), Ok(()));
        prop_assert_eq!(theirs(&bytes, &on), Ok(()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_refuse_a_flaw_by_the_same_predicate(shape in shape()) {
        for flaw in FLAWS {
            let mut shape = shape.clone();
            shape.scripted |= flaw.needs_script();
            let (mut draft, on) = (shape.draft(), ground());
            flaw.spoil(&mut draft);
            let mut bytes = draft.bytes();
            if flaw == Flaw::WrongSignature {
                // The last signature is that of key 200, which nothing needs.
                let signature = key(200).sign(draft.tx.id().0);
                let at = bytes.windows(64).position(|window| window == signature.as_ref()).unwrap();
                bytes[at] ^= 1;
            }
            let (ours, theirs) = (ours(&bytes, &on), theirs(&bytes, &on));
            let predicate = ours.as_ref().map_err(LedgerError::predicate);
            prop_assert!(predicate.is_err(), "{flaw:?} is accepted");
            match flaw.known_difference() {
                Some(reason) => prop_assert_eq!(theirs, Ok(()), "{:?}: no longer so: {}", flaw, reason),
                None => {
                    let theirs = theirs.as_ref().map_err(String::as_str);
                    prop_assert_eq!(predicate.map(|_| ()), theirs.map(|_| ()), "{:?}: {:?}", flaw, ours);
                }
            }
        }
    }
}
