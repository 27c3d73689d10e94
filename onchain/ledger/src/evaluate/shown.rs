//! What scripts are shown of a transaction, per language (`toPlutusTxInfo`).

use std::collections::{BTreeMap, BTreeSet};

use uplc::{
    PlutusData,
    tx::script_context::{
        ResolvedInput, ScriptContext, SlotConfig as ShownSlots, TxInfo, TxInfoV1, TxInfoV2, TxInfoV3,
    },
};
use uplc_pallas_primitives::{
    Fragment,
    conway::{ExUnits, MintedTx, Redeemer, RedeemerTag, TransactionInput, TransactionOutput},
};
use uplc_pallas_traverse::{Era, MultiEraTx};

use crate::{
    cbor::{CborError, Reader, Writer},
    evaluate::{EvaluateError, machine::shortened},
    integrity::Language,
    received::ReceivedTx,
    transaction::{Purpose, TxOut},
    units::{OutPoint, SlotConfig},
};

/// The body's field of reference inputs.
const REFERENCE_INPUTS: u64 = 18;

/// What the scripts of each language are shown, but for what is each one's own.
pub(super) struct Shown(BTreeMap<Language, TxInfo>);

impl Shown {
    /// What a transaction's scripts in these languages are shown.
    pub(super) fn of(
        tx: &[u8],
        received: &ReceivedTx<'_>,
        resolved: &BTreeMap<OutPoint, TxOut>,
        slots: &SlotConfig,
        languages: &BTreeSet<Language>,
    ) -> Result<Self, EvaluateError> {
        let slots = ShownSlots {
            zero_time: slots.zero_time.0,
            zero_slot: slots.zero_slot.0,
            slot_length: slots.slot_length_ms,
        };
        let mut shown = BTreeMap::new();
        for language in languages {
            let info = match language {
                Language::PlutusV1 => first_language(tx, received, resolved, &slots)?,
                Language::PlutusV2 => info(tx, &inputs(received, resolved)?, &slots, TxInfoV2::from_transaction)?,
                Language::PlutusV3 => info(tx, &inputs(received, resolved)?, &slots, TxInfoV3::from_transaction)?,
            };
            shown.insert(*language, info);
        }
        Ok(Self(shown))
    }

    /// What the script of one redeemer is shown.
    pub(super) fn context(
        &self,
        language: Language,
        (purpose, index): (Purpose, u32),
        redeemer: &PlutusData,
        datum: Option<&PlutusData>,
    ) -> Result<ScriptContext, EvaluateError> {
        let tag = match purpose {
            Purpose::Spend => RedeemerTag::Spend,
            Purpose::Mint => RedeemerTag::Mint,
            Purpose::Certify => RedeemerTag::Cert,
            Purpose::Withdraw => RedeemerTag::Reward,
        };
        let redeemer = Redeemer { tag, index, data: redeemer.clone(), ex_units: ExUnits { mem: 0, steps: 0 } };
        let info = self.0.get(&language).cloned();
        info.and_then(|info| info.into_script_context(&redeemer, datum))
            .ok_or_else(|| EvaluateError::Context(format!("{purpose:?} {index} is no part of the transaction")))
    }
}

/// Plutus data from its bytes.
pub(super) fn data(bytes: &[u8]) -> Result<PlutusData, EvaluateError> {
    PlutusData::decode_fragment(bytes).map_err(|error| EvaluateError::Context(shortened(&error.to_string())))
}

/// Plutus V1 knows neither reference inputs nor reference scripts, and is shown the rest of the transaction.
fn first_language(
    tx: &[u8],
    received: &ReceivedTx<'_>,
    resolved: &BTreeMap<OutPoint, TxOut>,
    slots: &ShownSlots,
) -> Result<TxInfo, EvaluateError> {
    let bare = resolved.iter().filter(|(outpoint, _)| received.body.inputs.contains(outpoint));
    let bare = bare.map(|(outpoint, output)| (*outpoint, TxOut { reference_script: None, ..output.clone() })).collect();
    let tx = without_reference_inputs(tx)?;
    Ok(match info(&tx, &inputs(received, &bare)?, slots, TxInfoV1::from_transaction)? {
        TxInfo::V1(info) => TxInfo::V1(TxInfoV1 { id: received.id.0.into(), ..info }),
        other => other,
    })
}

fn info(
    tx: &[u8],
    inputs: &[ResolvedInput],
    slots: &ShownSlots,
    of: fn(&MintedTx<'_>, &[ResolvedInput], &ShownSlots) -> Result<TxInfo, uplc::tx::error::Error>,
) -> Result<TxInfo, EvaluateError> {
    let context = |text: String| EvaluateError::Context(shortened(&text));
    let decoded = MultiEraTx::decode_for_era(Era::Conway, tx).map_err(|error| context(error.to_string()))?;
    let decoded = decoded.as_conway().ok_or_else(|| context("it is no Conway transaction".to_owned()))?;
    of(decoded, inputs, slots).map_err(|error| context(error.to_string()))
}

/// Inputs and reference inputs with the outputs behind them.
fn inputs(
    received: &ReceivedTx<'_>,
    resolved: &BTreeMap<OutPoint, TxOut>,
) -> Result<Vec<ResolvedInput>, EvaluateError> {
    let outpoints = received.body.inputs.union(&received.body.reference_inputs);
    let known = outpoints.filter_map(|outpoint| Some((outpoint, resolved.get(outpoint)?)));
    known
        .map(|(outpoint, output)| {
            let input = TransactionInput { transaction_id: outpoint.tx.0.into(), index: outpoint.index.into() };
            let output = TransactionOutput::decode_fragment(&output.to_cbor())
                .map_err(|error| EvaluateError::Context(shortened(&error.to_string())))?;
            Ok(ResolvedInput { input, output })
        })
        .collect()
}

/// A transaction's bytes without the field of reference inputs in its body.
fn without_reference_inputs(tx: &[u8]) -> Result<Vec<u8>, CborError> {
    let mut reader = Reader::new(tx);
    reader.array()?;
    let head = reader.since(0);
    let length = reader.map()?;
    let (mut fields, mut read) = (Vec::new(), 0);
    while reader.more(length, read) {
        let start = reader.position();
        let key = reader.uint()?;
        reader.any()?;
        if key != REFERENCE_INPUTS {
            fields.push(reader.since(start));
        }
        read += 1;
    }
    let mut writer = Writer::default();
    writer.raw(head);
    writer.map(fields.len());
    fields.into_iter().for_each(|field| writer.raw(field));
    writer.raw(reader.rest());
    Ok(writer.into_bytes())
}
