//! Why a transaction is refused: one variant for each predicate of the ledger, under the ledger's name.

use crate::{
    address::{Address, Credential, RewardAccount},
    cbor::CborError,
    certificate::Delegation,
    evaluate::EvaluateError,
    stack::StackError,
    transaction::Purpose,
    units::{Epoch, ExUnits, KeyHash, Lovelace, OutPoint, PoolId, ScriptHash, Slot},
    value::AssetId,
};

/// Why the ledger refuses a transaction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The bytes are no transaction of the Conway era.
    #[error("the bytes are no Conway transaction: {0}")]
    DecodingFailure(CborError),
    /// A vote, a proposal, or another part of governance that these rules do not cover.
    #[error("{0} are not supported here: leave them out")]
    Unsupported(String),
    /// No inputs.
    #[error("the transaction has no inputs: add one, it makes the transaction unique")]
    InputSetEmptyUTxO,
    /// Inputs, reference inputs or collateral that are not unspent outputs.
    #[error("inputs are not unspent outputs: {}; they are spent already or not yet on chain", list(.0))]
    BadInputsUTxO(Vec<OutPoint>),
    /// The same output as input and reference input.
    #[error("outputs are both consumed and read: {}; drop the reference inputs", list(.0))]
    BabbageNonDisjointRefInputs(Vec<OutPoint>),
    /// The slot is outside the validity interval.
    #[error("slot {} is outside the validity interval [{}, {})", .slot.0, bound(.from), bound(.until))]
    OutsideValidityIntervalUTxO {
        /// First slot in which it is valid.
        from: Option<Slot>,
        /// First slot in which it no longer is.
        until: Option<Slot>,
        /// The slot of the block.
        slot: Slot,
    },
    /// The end of validity is too far ahead to be put into time.
    #[error(
        "slot {} is past {}, the last that can be put into time for scripts: end the validity earlier",
        .until.0, .horizon.0
    )]
    OutsideForecast {
        /// The end of validity.
        until: Slot,
        /// The last slot whose time is certain.
        horizon: Slot,
    },
    /// Too many bytes.
    #[error("the transaction has {size} bytes, the limit is {limit}: split it")]
    MaxTxSizeUTxO {
        /// Bytes as the ledger counts them.
        size: u64,
        /// The most allowed.
        limit: u64,
    },
    /// The fee is too small.
    #[error("the fee is {fee}, it must be at least {minimum}")]
    FeeTooSmallUTxO {
        /// The fee stated.
        fee: Lovelace,
        /// The least allowed.
        minimum: Lovelace,
    },
    /// What goes in is not what goes out.
    #[error("value is not conserved, consumed less produced is: {}", differences(.lovelace, .assets))]
    ValueNotConservedUTxO {
        /// Lovelace consumed less lovelace produced.
        lovelace: i128,
        /// The same for each asset that is off.
        assets: Vec<(AssetId, i128)>,
    },
    /// An output holds too little lovelace.
    #[error("output {index} holds {lovelace}, it must hold at least {minimum}")]
    BabbageOutputTooSmallUTxO {
        /// Index of the output; the number of outputs for the collateral's return.
        index: usize,
        /// What it holds.
        lovelace: Lovelace,
        /// The least allowed.
        minimum: Lovelace,
    },
    /// An output's value is too long.
    #[error("the value of output {index} has {size} bytes, the limit is {limit}: spread its assets over outputs")]
    OutputTooBigUTxO {
        /// Index of the output.
        index: usize,
        /// Bytes of the value.
        size: u64,
        /// The most allowed.
        limit: u64,
    },
    /// A Byron address with long attributes.
    #[error("output {index} has a Byron address with {size} bytes of attributes, the limit is 64")]
    OutputBootAddrAttrsTooBig {
        /// Index of the output.
        index: usize,
        /// Bytes of the attributes.
        size: usize,
    },
    /// Addresses of another network.
    #[error("outputs go to addresses of another network (this one has id {network_id}): {}", list(.addresses))]
    WrongNetwork {
        /// The id of this network.
        network_id: u8,
        /// The addresses.
        addresses: Vec<Address>,
    },
    /// Stake accounts of another network.
    #[error("withdrawals name accounts of another network (this one has id {network_id}): {}", account_list(.accounts))]
    WrongNetworkWithdrawal {
        /// The id of this network.
        network_id: u8,
        /// The accounts.
        accounts: Vec<RewardAccount>,
    },
    /// The body names another network.
    #[error("the body is for network {stated}, this one has id {network_id}")]
    WrongNetworkInTxBody {
        /// The id of this network.
        network_id: u8,
        /// The id in the body.
        stated: u8,
    },
    /// Signatures are missing.
    #[error("signatures are missing of the keys {}", list(.0))]
    MissingVKeyWitnessesUTXOW(Vec<KeyHash>),
    /// Signatures are wrong.
    #[error("signatures do not verify for the keys {}: sign the body's final bytes", hexes(.0))]
    InvalidWitnessesUTXOW(Vec<[u8; 32]>),
    /// Scripts are missing.
    #[error("scripts are missing: {}; add them or inputs that hold them by reference", list(.0))]
    MissingScriptWitnessesUTXOW(Vec<ScriptHash>),
    /// Scripts that nothing needs.
    #[error("scripts are not needed in the witness set, or are there by reference: {}; remove them", list(.0))]
    ExtraneousScriptWitnessesUTXOW(Vec<ScriptHash>),
    /// Native scripts that do not allow the transaction.
    #[error("native scripts do not allow this transaction: {}; check signatures and the validity interval", list(.0))]
    ScriptWitnessNotValidatingUTXOW(Vec<ScriptHash>),
    /// Scripts in the witness set whose bytes are none.
    #[error("scripts in the witness set do not decode: {}", list(.0))]
    MalformedScriptWitnesses(Vec<ScriptHash>),
    /// Reference scripts in outputs whose bytes are none.
    #[error("reference scripts in outputs do not decode: {}", list(.0))]
    MalformedReferenceScripts(Vec<ScriptHash>),
    /// More bytes of reference scripts than allowed.
    #[error("inputs bring in {size} bytes of reference scripts, the limit is {limit}")]
    ConwayTxRefScriptsSizeTooBig {
        /// Bytes brought in.
        size: u64,
        /// The most allowed.
        limit: u64,
    },
    /// Script outputs without a datum, of a language that needs one.
    #[error("script outputs without a datum cannot be spent: {}", list(.0))]
    UnspendableUTxONoDatumHash(Vec<OutPoint>),
    /// Datums known by hash only.
    #[error("datums are missing: {}; add them to the witness set", hexes(.0))]
    MissingRequiredDatums(Vec<[u8; 32]>),
    /// Datums that nothing refers to.
    #[error("datums in the witness set belong to nothing: {}; remove them", hexes(.0))]
    NotAllowedSupplementalDatums(Vec<[u8; 32]>),
    /// Redeemers that no script takes.
    #[error(
        "redeemers belong to no Plutus script: {}, and {governance} for votes or proposals; remove them",
        pointers(.redeemers)
    )]
    ExtraRedeemers {
        /// What they are for.
        redeemers: Vec<(Purpose, u32)>,
        /// How many there are for votes and proposals.
        governance: usize,
    },
    /// Scripts without a redeemer.
    #[error("scripts have no redeemer: {}; add them", pointers(.0))]
    MissingRedeemers(Vec<(Purpose, u32)>),
    /// The script data hash is not that of redeemers, datums and cost models.
    #[error(
        "the script data hash is {}, it must be {}: the cost models may have changed",
        optional_hash(.stated), optional_hash(.expected)
    )]
    PPViewHashesDontMatch {
        /// In the body.
        stated: Option<[u8; 32]>,
        /// As it must be.
        expected: Option<[u8; 32]>,
    },
    /// The redeemers declare too much.
    #[error(
        "redeemers declare {} memory and {} steps, the limits are {} and {}",
        .declared.mem, .declared.steps, .limit.mem, .limit.steps
    )]
    ExUnitsTooBigUTxO {
        /// The sum declared.
        declared: ExUnits,
        /// The most allowed.
        limit: ExUnits,
    },
    /// Scripts run, but nothing pays when they fail.
    #[error("a transaction with Plutus scripts needs collateral: add an input of a key's with only ADA")]
    NoCollateralInputs,
    /// Too many collateral inputs.
    #[error("there are {count} collateral inputs, the limit is {limit}")]
    TooManyCollateralInputs {
        /// How many.
        count: u64,
        /// The most allowed.
        limit: u64,
    },
    /// Collateral locked by scripts.
    #[error("collateral is locked by scripts: {}; take outputs of a key", list(.0))]
    ScriptsNotPaidUTxO(Vec<OutPoint>),
    /// Collateral takes other assets than ADA.
    #[error("collateral would take {} kinds of assets: return them in the collateral return", .0.len())]
    CollateralContainsNonADA(Vec<(AssetId, i128)>),
    /// Too little collateral.
    #[error("collateral is {balance} lovelace, it must be at least {required} for this fee")]
    InsufficientCollateral {
        /// Collateral less its return.
        balance: i128,
        /// The least allowed.
        required: Lovelace,
    },
    /// The stated collateral is not the actual one.
    #[error("total collateral is stated as {stated}, it is {balance} lovelace")]
    IncorrectTotalCollateralField {
        /// Collateral less its return.
        balance: i128,
        /// In the body.
        stated: Lovelace,
    },
    /// Auxiliary data without its hash in the body.
    #[error("there is auxiliary data, but no hash of it in the body")]
    MissingTxBodyMetadataHash,
    /// A hash of auxiliary data that is not there.
    #[error("the body has a hash of auxiliary data, but there is none")]
    MissingTxMetadata,
    /// Auxiliary data of another hash.
    #[error("the auxiliary data has another hash than the body says")]
    ConflictingMetadataHash,
    /// Auxiliary data with strings that are too long, or with scripts that are none.
    #[error("the auxiliary data is not valid: {0}")]
    InvalidMetadata(&'static str),
    /// A credential that is registered already.
    #[error("stake credential {} is registered already: leave the certificate out", holder(.0))]
    StakeKeyRegisteredDELEG(Credential),
    /// A credential that is not registered.
    #[error("stake credential {} is not registered: register it first", holder(.credential))]
    StakeKeyNotRegisteredDELEG {
        /// Whose account is missing.
        credential: Credential,
        /// What its certificate would have delegated; `None` when it would have given the account up.
        delegates: Option<Delegation>,
    },
    /// A delegation of stake to a pool that is not registered.
    #[error("stake pool {0} is not registered: delegate to one that is")]
    DelegateeStakePoolNotRegisteredDELEG(PoolId),
    /// A delegation of a vote to a representative who is not registered.
    #[error("representative {} is not registered: delegate to one who is, or to abstain", holder(.0))]
    DelegateeDRepNotRegisteredDELEG(Credential),
    /// A pool whose rewards would go to another network.
    #[error("pool {pool} names the reward account {account} of another network (this one has id {network_id})")]
    WrongNetworkPOOL {
        /// The id of this network.
        network_id: u8,
        /// The pool.
        pool: PoolId,
        /// Its reward account.
        account: RewardAccount,
    },
    /// A pool whose description has too long a hash.
    #[error("the hash of pool {pool}'s description has {size} bytes, it must have at most 32")]
    PoolMedataHashTooBig {
        /// The pool.
        pool: PoolId,
        /// Bytes of the hash.
        size: usize,
    },
    /// A pool that costs too little.
    #[error("pool {pool} has a fixed cost of {cost}, it must be at least {minimum}")]
    StakePoolCostTooLowPOOL {
        /// The pool.
        pool: PoolId,
        /// Its cost.
        cost: Lovelace,
        /// The least allowed.
        minimum: Lovelace,
    },
    /// A pool that would retire but is not registered.
    #[error("stake pool {0} is not registered, so it cannot retire")]
    StakePoolNotRegisteredOnKeyPOOL(PoolId),
    /// A pool that would retire too early or too late.
    #[error(
        "pool {pool} would retire in epoch {}, it must be after epoch {} and not after epoch {}",
        .stated.0, .current.0, .last.0
    )]
    StakePoolRetirementWrongEpochPOOL {
        /// The pool.
        pool: PoolId,
        /// The epoch in the certificate.
        stated: Epoch,
        /// The current epoch.
        current: Epoch,
        /// The last epoch allowed.
        last: Epoch,
    },
    /// An account with rewards.
    #[error("the account of {} holds {balance}: withdraw it in the same transaction", holder(.credential))]
    StakeKeyHasNonZeroAccountBalanceDELEG {
        /// Whose account.
        credential: Credential,
        /// What it holds.
        balance: Lovelace,
    },
    /// A deposit or refund that is not the right amount.
    #[error("a certificate states a deposit of {stated}, it is {expected}")]
    IncorrectDepositDELEG {
        /// In the certificate.
        stated: Lovelace,
        /// As it must be.
        expected: Lovelace,
    },
    /// Withdrawals of another amount than an account holds, or from none.
    #[error("withdrawals must take all of a registered account: {}", account_list(.0))]
    WithdrawalsNotInRewardsCERTS(Vec<RewardAccount>),
    /// Withdrawals by keys that are delegated to no representative.
    #[error("accounts must be delegated to a representative (or to abstain) before they withdraw: {}", list(.0))]
    ConwayWdrlNotDelegatedToDRep(Vec<KeyHash>),
    /// The scripts cannot be shown this transaction.
    #[error("scripts cannot run: {0}")]
    CollectErrors(EvaluateError),
    /// The scripts' verdict is not what the transaction says.
    #[error("{}", mismatch(.0))]
    ValidationTagMismatch(Option<EvaluateError>),
}

impl From<StackError> for LedgerError {
    fn from(error: StackError) -> Self {
        Self::CollectErrors(EvaluateError::Stack(error))
    }
}

macro_rules! names {
    ($error:expr, $($name:ident),* $(,)?) => {
        match $error {
            $(LedgerError::$name { .. } => stringify!($name),)*
        }
    };
}

impl LedgerError {
    /// The name of the broken rule's predicate, as cardano-ledger has it.
    pub fn predicate(&self) -> &'static str {
        names!(
            self,
            DecodingFailure,
            Unsupported,
            InputSetEmptyUTxO,
            BadInputsUTxO,
            BabbageNonDisjointRefInputs,
            OutsideValidityIntervalUTxO,
            OutsideForecast,
            MaxTxSizeUTxO,
            FeeTooSmallUTxO,
            ValueNotConservedUTxO,
            BabbageOutputTooSmallUTxO,
            OutputTooBigUTxO,
            OutputBootAddrAttrsTooBig,
            WrongNetwork,
            WrongNetworkWithdrawal,
            WrongNetworkInTxBody,
            MissingVKeyWitnessesUTXOW,
            InvalidWitnessesUTXOW,
            MissingScriptWitnessesUTXOW,
            ExtraneousScriptWitnessesUTXOW,
            ScriptWitnessNotValidatingUTXOW,
            MalformedScriptWitnesses,
            MalformedReferenceScripts,
            ConwayTxRefScriptsSizeTooBig,
            UnspendableUTxONoDatumHash,
            MissingRequiredDatums,
            NotAllowedSupplementalDatums,
            ExtraRedeemers,
            MissingRedeemers,
            PPViewHashesDontMatch,
            ExUnitsTooBigUTxO,
            NoCollateralInputs,
            TooManyCollateralInputs,
            ScriptsNotPaidUTxO,
            CollateralContainsNonADA,
            InsufficientCollateral,
            IncorrectTotalCollateralField,
            MissingTxBodyMetadataHash,
            MissingTxMetadata,
            ConflictingMetadataHash,
            InvalidMetadata,
            StakeKeyRegisteredDELEG,
            StakeKeyNotRegisteredDELEG,
            DelegateeStakePoolNotRegisteredDELEG,
            DelegateeDRepNotRegisteredDELEG,
            WrongNetworkPOOL,
            PoolMedataHashTooBig,
            StakePoolCostTooLowPOOL,
            StakePoolNotRegisteredOnKeyPOOL,
            StakePoolRetirementWrongEpochPOOL,
            StakeKeyHasNonZeroAccountBalanceDELEG,
            IncorrectDepositDELEG,
            WithdrawalsNotInRewardsCERTS,
            ConwayWdrlNotDelegatedToDRep,
            CollectErrors,
            ValidationTagMismatch,
        )
    }
}

fn mismatch(failure: &Option<EvaluateError>) -> String {
    match failure {
        Some(error) => error.to_string(),
        None => "the transaction says that its scripts fail, but they pass".to_owned(),
    }
}

fn list(items: &[impl ToString]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn hexes<const N: usize>(items: &[[u8; N]]) -> String {
    items.iter().map(hex::encode).collect::<Vec<_>>().join(", ")
}

fn pointers(items: &[(Purpose, u32)]) -> String {
    items.iter().map(|(purpose, index)| format!("{purpose:?} {index}")).collect::<Vec<_>>().join(", ")
}

fn bound(slot: &Option<Slot>) -> String {
    slot.map_or_else(|| "…".to_owned(), |slot| slot.0.to_string())
}

fn optional_hash(hash: &Option<[u8; 32]>) -> String {
    hash.map_or_else(|| "absent".to_owned(), hex::encode)
}

fn holder(credential: &Credential) -> String {
    match credential {
        Credential::Key(hash) => format!("key {hash}"),
        Credential::Script(hash) => format!("script {hash}"),
    }
}

fn account_list(accounts: &[RewardAccount]) -> String {
    accounts.iter().map(|account| holder(&account.credential)).collect::<Vec<_>>().join(", ")
}

fn differences(lovelace: &i128, assets: &[(AssetId, i128)]) -> String {
    let ada = (*lovelace != 0).then(|| format!("{lovelace} lovelace"));
    let others = assets.iter().map(|(asset, quantity)| format!("{quantity} of {asset}"));
    ada.into_iter().chain(others).collect::<Vec<_>>().join(", ")
}
