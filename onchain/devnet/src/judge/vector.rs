//! Reading a vector: JSON with the CBOR of its parts in hexadecimal digits.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use minicbor::Decoder;
use nunet_ledger::{
    Credential, DRep, Epoch, EpochConfig, KeyHash, Lovelace, NetworkMagic, OutPoint, PoolId, PoolParams, PosixMs,
    ProtocolParameters, RewardAccount, ScriptHash, Slot, SlotConfig, TxId, TxOut,
    parameters::Rational,
    rules::{Account, LedgerState, Pool},
};
use serde_json::{Map, Value as Json};

use crate::judge::{Case, JudgeError, MAX_BYTES};

/// Picoseconds, the unit of times in era histories, in a millisecond.
const PICOSECONDS: f64 = 1e9;

/// Reads a vector and what it refers to.
pub(super) fn read(path: &Path) -> Result<Case, JudgeError> {
    let json = read_json(path)?;
    let file = VectorFile { path };
    let vector = file.object(&json, "the vector")?;
    let era = file.resolve(vector.get("eraHistory"))?;
    let params = file.resolve(vector.get("protocolParameters"))?;
    let slot = Slot(file.number(json.pointer("/point/slot"), "point.slot")?);
    let network = file.network(vector.get("network"))?;
    let (slots, epochs) = time(&era, slot, network);
    let mut state = LedgerState::new(file.parameters(&params)?, slots, network.magic);
    state.epochs = epochs;
    if let Some(window) = era.get("stabilityWindow").and_then(Json::as_u64) {
        state.stability_window = window;
    }
    file.fill(&mut state, vector.get("initialState").unwrap_or(&Json::Null))?;
    Ok(Case { transaction: file.bytes(vector.get("transaction"), "transaction")?, state, slot })
}

fn read_json(path: &Path) -> Result<Json, JudgeError> {
    let unreadable = |source| JudgeError::Unreadable { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(unreadable)?.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(JudgeError::TooLong { path: path.to_owned() });
    }
    serde_json::from_slice(&bytes).map_err(|source| JudgeError::Json { path: path.to_owned(), source })
}

/// A network that a vector can be about.
#[derive(Clone, Copy)]
struct Network {
    magic: NetworkMagic,
    /// When its slot 0 began.
    start: PosixMs,
}

/// The times of an era history's era that a slot falls into, or one era from slot 0 on when there is none.
fn time(history: &Json, slot: Slot, network: Network) -> (SlotConfig, EpochConfig) {
    let eras = history.get("eras").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    let start = |era: &Json| era.pointer("/start/slot").and_then(Json::as_u64).unwrap_or(0);
    let era = eras.iter().rfind(|era| start(era) <= slot.0).unwrap_or(&Json::Null);
    let number = |pointer: &str| era.pointer(pointer).and_then(Json::as_u64);
    let elapsed = era.pointer("/start/time").and_then(Json::as_f64).unwrap_or(0.0) / PICOSECONDS;
    let slots = SlotConfig {
        zero_time: PosixMs(network.start.0.saturating_add(elapsed as u64)),
        zero_slot: Slot(start(era)),
        slot_length_ms: number("/params/slotLengthMs").and_then(|length| u32::try_from(length).ok()).unwrap_or(1_000),
    };
    let epochs = EpochConfig {
        zero_slot: Slot(start(era)),
        zero_epoch: Epoch(number("/start/epoch").unwrap_or(0)),
        length: number("/params/epochSizeSlots").unwrap_or(EpochConfig::FROM_ZERO.length),
    };
    (slots, epochs)
}

/// The file being read, for errors and for what it refers to.
struct VectorFile<'a> {
    path: &'a Path,
}

impl VectorFile<'_> {
    fn malformed(&self, field: impl Into<String>, expected: &'static str) -> JudgeError {
        JudgeError::Malformed { path: self.path.to_owned(), field: field.into(), expected }
    }

    fn object<'j>(&self, json: &'j Json, field: &str) -> Result<&'j Map<String, Json>, JudgeError> {
        json.as_object().ok_or_else(|| self.malformed(field, "an object"))
    }

    fn number(&self, json: Option<&Json>, field: &str) -> Result<u64, JudgeError> {
        json.and_then(Json::as_u64).ok_or_else(|| self.malformed(field, "a whole number"))
    }

    fn bytes(&self, json: Option<&Json>, field: &str) -> Result<Vec<u8>, JudgeError> {
        let text = json.and_then(Json::as_str);
        text.and_then(|text| hex::decode(text).ok()).ok_or_else(|| self.malformed(field, "hexadecimal digits"))
    }

    /// A part, with the file that it refers to and what it overrides there; nothing for a part that is left out.
    fn resolve(&self, json: Option<&Json>) -> Result<Json, JudgeError> {
        let json = json.unwrap_or(&Json::Null);
        let Some(reference) = json.get("$ref").and_then(Json::as_str) else { return Ok(json.clone()) };
        let folder = self.path.canonicalize().unwrap_or_else(|_| self.path.to_owned());
        let root: PathBuf = folder.parent().and_then(Path::parent).unwrap_or(Path::new("")).to_owned();
        let mut value = read_json(&root.join(reference))?;
        if let Some(overrides) = json.get("$override").and_then(Json::as_object) {
            let target = value.as_object_mut().ok_or_else(|| self.malformed(reference, "an object"))?;
            target.extend(overrides.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
        Ok(value)
    }

    fn network(&self, json: Option<&Json>) -> Result<Network, JudgeError> {
        let network = |magic, start| Ok(Network { magic: NetworkMagic(magic), start: PosixMs(start) });
        match json.map_or(Some("preprod"), Json::as_str) {
            Some("mainnet") => network(NetworkMagic::MAINNET.0, 1_506_203_091_000),
            Some("preprod") => network(1, 1_654_041_600_000),
            Some("preview") => network(2, 1_666_656_000_000),
            Some(name) if name.starts_with("testnet") => {
                let magic = name.trim_start_matches(|letter: char| !letter.is_ascii_digit());
                network(magic.parse().unwrap_or(NetworkMagic::DEVNET.0), 0)
            }
            _ => Err(self.malformed("network", "mainnet, preprod, preview or testnet_MAGIC")),
        }
    }

    fn parameters(&self, json: &Json) -> Result<ProtocolParameters, JudgeError> {
        let mut params = ProtocolParameters::mainnet();
        let at =
            |pointer: &str| json.pointer(&format!("/{}", pointer.replace('.', "/"))).filter(|json| !json.is_null());
        let number = |name: &str, target: &mut u64| match at(name) {
            Some(json) => self.number(Some(json), name).map(|value| *target = value),
            None => Ok(()),
        };
        number("minFeeCoefficient", &mut params.min_fee_a)?;
        number("minFeeConstant", &mut params.min_fee_b)?;
        number("maxTransactionSize", &mut params.max_tx_size)?;
        number("maxValueSize", &mut params.max_value_size)?;
        number("minUtxoDepositCoefficient", &mut params.coins_per_utxo_byte)?;
        number("stakeCredentialDeposit", &mut params.key_deposit.0)?;
        number("stakePoolDeposit", &mut params.pool_deposit.0)?;
        number("minStakePoolCost", &mut params.min_pool_cost.0)?;
        number("stakePoolRetirementEpochBound", &mut params.e_max)?;
        number("collateralPercentage", &mut params.collateral_percent)?;
        number("maxCollateralInputs", &mut params.max_collateral_inputs)?;
        number("maxReferenceScriptsSize", &mut params.max_ref_scripts_size)?;
        number("minFeeReferenceScripts.range", &mut params.ref_script_tier_bytes)?;
        number("maxExecutionUnitsPerTransaction.memory", &mut params.max_tx_ex_units.mem)?;
        number("maxExecutionUnitsPerTransaction.cpu", &mut params.max_tx_ex_units.steps)?;
        let mut version = u64::from(params.protocol_version.major);
        number("version.major", &mut version)?;
        params.protocol_version.major = u16::try_from(version).unwrap_or(u16::MAX);
        let fraction = |name: &str, target: &mut Rational| match at(name) {
            Some(json) => self.fraction(json, name).map(|value| *target = value),
            None => Ok(()),
        };
        fraction("minFeeReferenceScripts.base", &mut params.min_fee_ref_script_coins_per_byte)?;
        fraction("minFeeReferenceScripts.multiplier", &mut params.ref_script_tier_factor)?;
        fraction("scriptExecutionPrices.memory", &mut params.price_mem)?;
        fraction("scriptExecutionPrices.cpu", &mut params.price_step)?;
        if let Some(models) = at("plutusCostModels") {
            params.cost_models.v1 = self.costs(models, "plutusV1")?;
            params.cost_models.v2 = self.costs(models, "plutusV2")?;
            params.cost_models.v3 = self.costs(models, "plutusV3")?;
        }
        Ok(params)
    }

    /// A fraction, as an object of two numbers, as text of two numbers, or as one number.
    fn fraction(&self, json: &Json, field: &str) -> Result<Rational, JudgeError> {
        let parts = |(up, down): (&str, &str)| Some((up.trim().parse().ok()?, down.trim().parse().ok()?));
        let (up, down) = match json {
            Json::Object(parts) => {
                let part = |name| parts.get(name).and_then(Json::as_u64);
                part("numerator").zip(part("denominator"))
            }
            Json::String(text) => text.split_once('/').and_then(parts),
            other => Rational::from_decimal(&other.to_string()).map(|value| (value.numerator, value.denominator)),
        }
        .filter(|(_, down)| *down != 0)
        .ok_or_else(|| self.malformed(field, "a fraction"))?;
        Ok(Rational::new(up, down))
    }

    /// A language's costs; none when the network has none for it.
    fn costs(&self, models: &Json, language: &str) -> Result<Vec<i64>, JudgeError> {
        let costs = models.get(language).and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let cost = |json: &Json| json.as_i64().ok_or_else(|| self.malformed(language, "a list of whole numbers"));
        costs.iter().map(cost).collect()
    }

    fn fill(&self, state: &mut LedgerState, json: &Json) -> Result<(), JudgeError> {
        let entries = |name: &str| json.get(name).and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        for (index, entry) in entries("utxo").iter().enumerate() {
            let field = |part| format!("initialState.utxo[{index}].{part}");
            let input = self.bytes(entry.get("input"), &field("input"))?;
            let input = outpoint(&input).ok_or_else(|| self.malformed(field("input"), "an input"))?;
            let output = self.bytes(entry.get("output"), &field("output"))?;
            let output = TxOut::from_cbor(&output).map_err(|_| self.malformed(field("output"), "an output"))?;
            state.utxo.insert(input, output);
        }
        for (index, entry) in entries("accounts").iter().enumerate() {
            let field = format!("initialState.accounts[{index}]");
            let holder = entry.get("credential").unwrap_or(entry);
            let holder = hex_of(holder).and_then(|bytes| credential(&bytes));
            let holder = holder.ok_or_else(|| self.malformed(format!("{field}.credential"), "a credential"))?;
            state.accounts.insert(holder, self.account(entry, &field, state.params.key_deposit)?);
        }
        for (index, entry) in entries("pools").iter().enumerate() {
            let field = format!("initialState.pools[{index}]");
            let id = pool_id(entry).ok_or_else(|| self.malformed(field, "a pool id"))?;
            let (pool_deposit, magic) = (state.params.pool_deposit, state.magic);
            state.pools.insert(id, pool(id, entry, pool_deposit, magic));
        }
        for (index, entry) in entries("dreps").iter().enumerate() {
            let named = ["credential", "id", "drep"].iter().find_map(|name| entry.get(name)).unwrap_or(entry);
            let drep = hex_of(named).and_then(|bytes| credential(&bytes));
            let drep = drep.ok_or_else(|| self.malformed(format!("initialState.dreps[{index}]"), "a credential"))?;
            state.dreps.insert(drep);
        }
        Ok(())
    }

    fn account(&self, json: &Json, field: &str, key_deposit: Lovelace) -> Result<Account, JudgeError> {
        let amount = |name: &str, otherwise| match json.get(name) {
            Some(json) if !json.is_null() => self.number(Some(json), &format!("{field}.{name}")).map(Lovelace),
            _ => Ok(otherwise),
        };
        let target = |name: &str| json.get(name).filter(|json| !json.is_null());
        let drep = match target("drep") {
            Some(json) => {
                let found = hex_of(json.get("id").unwrap_or(json)).and_then(|bytes| representative(&bytes));
                Some(found.ok_or_else(|| self.malformed(format!("{field}.drep"), "a representative"))?)
            }
            None => None,
        };
        let pool = match target("pool") {
            Some(json) => Some(pool_id(json).ok_or_else(|| self.malformed(format!("{field}.pool"), "a pool id"))?),
            None => None,
        };
        Ok(Account { deposit: amount("deposit", key_deposit)?, rewards: amount("rewards", Lovelace(0))?, pool, drep })
    }
}

fn hex_of(json: &Json) -> Option<Vec<u8>> {
    hex::decode(json.as_str()?).ok()
}

/// A pool's id: its bytes, their CBOR, or an object that has them.
fn pool_id(json: &Json) -> Option<PoolId> {
    let named = ["id", "pool", "operator", "params"].iter().find_map(|name| json.get(name));
    if let Some(inner) = named {
        return pool_id(inner);
    }
    let bytes = hex_of(json)?;
    PoolId::try_from(&bytes[..]).ok().or_else(|| PoolId::try_from(Decoder::new(&bytes).bytes().ok()?).ok())
}

/// A registered pool. Rules ask only whether it is there, so what it is registered with can be left out.
fn pool(id: PoolId, json: &Json, pool_deposit: Lovelace, magic: NetworkMagic) -> Pool {
    let number = |name: &str| json.get(name).and_then(Json::as_u64);
    let owner = Credential::Key(KeyHash(id.0));
    let params = PoolParams {
        id,
        vrf: json.get("vrf").and_then(hex_of).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default(),
        pledge: Lovelace(number("pledge").unwrap_or(0)),
        cost: Lovelace(number("cost").unwrap_or(0)),
        margin: Rational::new(0, 1),
        reward_account: RewardAccount { network_id: magic.network_id(), credential: owner },
        owners: [KeyHash(id.0)].into(),
        relays: Vec::new(),
        metadata: None,
    };
    let retires = number("retirement").or_else(|| number("retires")).map(Epoch);
    Pool { params, deposit: Lovelace(number("deposit").unwrap_or(pool_deposit.0)), next: None, retires }
}

fn outpoint(cbor: &[u8]) -> Option<OutPoint> {
    let mut decoder = Decoder::new(cbor);
    decoder.array().ok()?;
    Some(OutPoint { tx: TxId::try_from(decoder.bytes().ok()?).ok()?, index: decoder.u16().ok()? })
}

fn credential(cbor: &[u8]) -> Option<Credential> {
    match representative(cbor)? {
        DRep::Key(hash) => Some(Credential::Key(hash)),
        DRep::Script(hash) => Some(Credential::Script(hash)),
        DRep::Abstain | DRep::NoConfidence => None,
    }
}

fn representative(cbor: &[u8]) -> Option<DRep> {
    let mut decoder = Decoder::new(cbor);
    decoder.array().ok()?;
    Some(match decoder.u8().ok()? {
        0 => DRep::Key(KeyHash::try_from(decoder.bytes().ok()?).ok()?),
        1 => DRep::Script(ScriptHash::try_from(decoder.bytes().ok()?).ok()?),
        2 => DRep::Abstain,
        3 => DRep::NoConfidence,
        _ => return None,
    })
}
