//! What goes back to the payer: one output, or several that leave the wallet in good order.
//!
//! A wallet that always gets one output of change ends up with a single one, which holds all of its assets: it cannot pay
//! twice at the same time, has nothing simple for collateral, and makes every transaction long. [`ChangeStyle::Tidy`] keeps
//! assets apart from plain lovelace, in outputs of a few kinds each, and splits plain lovelace while the wallet has few
//! outputs of it. Everything is decided by amounts and counts: the same wallet and payment give the same change. (CIP-2's
//! random-improve makes change as large as the payments are; here that is a rule instead of a draw.)

use nunet_ledger::{Address, AssetId, Lovelace, TxOut, Value, fees, parameters::ProtocolParameters};

/// Kinds of assets in one output of tidy change.
const KINDS: usize = 10;

/// The least plain lovelace that is worth an output of its own: 2 ADA.
const LEAST_PLAIN: u64 = 2_000_000;

/// What one output of plain lovelace is made to hold first: enough collateral for any script, 5 ADA.
const COLLATERAL: u64 = 5_000_000;

/// A wallet with this many outputs of plain lovelace gets no more of them from change.
const ENOUGH_PLAIN: usize = 8;

/// The form that change takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeStyle {
    /// One output, unless its assets are too many for one: the shortest transaction.
    Single,
    /// Assets apart from plain lovelace, and several outputs of that while the wallet has few.
    Tidy,
}

/// Where change goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeTo {
    /// Whose it is.
    pub address: Address,
    /// Its form.
    pub style: ChangeStyle,
}

/// What the form of change depends on, beside its value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Purse {
    /// Outputs of plain lovelace that the wallet keeps.
    pub(super) plain: usize,
    /// The largest of them.
    pub(super) largest: u64,
    /// What the transaction pays.
    pub(super) paid: u64,
}

/// The outputs that hold a value; or how much lovelace is missing for what they must hold at least.
pub(super) fn outputs(
    value: &Value,
    to: &ChangeTo,
    purse: &Purse,
    params: &ProtocolParameters,
) -> Result<Vec<TxOut>, u64> {
    if to.style == ChangeStyle::Tidy
        && let Some(tidy) = tidy(value, &to.address, purse, params)
    {
        return Ok(tidy);
    }
    let whole = TxOut::new(to.address.clone(), value.clone());
    if value.assets().len() > 0 && value.to_cbor().len() as u64 > params.max_value_size {
        return bundled(value, &to.address, params);
    }
    let least = least_lovelace(&whole, params).0;
    match least.checked_sub(value.lovelace().0) {
        None | Some(0) => Ok(vec![whole]),
        Some(missing) => Err(missing),
    }
}

/// Change in good order; `None` when there is too little lovelace for it.
fn tidy(value: &Value, address: &Address, purse: &Purse, params: &ProtocolParameters) -> Option<Vec<TxOut>> {
    let mut outputs = Vec::new();
    let mut rest = value.lovelace().0;
    for bundle in bundles(value, KINDS) {
        let mut output = TxOut::new(address.clone(), bundle);
        let least = least_lovelace(&output, params);
        output.value.set_lovelace(least);
        rest = rest.checked_sub(least.0)?;
        outputs.push(output);
    }
    if rest < LEAST_PLAIN {
        // Not worth an output: with one bundle or none that is what single change does.
        if outputs.len() < 2 {
            return None;
        }
        let first = outputs.first_mut()?;
        first.value.set_lovelace(Lovelace(first.value.lovelace().0.checked_add(rest)?));
        let enough = first.value.lovelace() >= fees::min_ada(params, first);
        return enough.then_some(outputs);
    }
    let plain = |amount| TxOut::new(address.clone(), Value::lovelace_only(Lovelace(amount)));
    outputs.extend(split(rest, purse).into_iter().map(plain));
    Some(outputs)
}

/// Plain lovelace in one output or more, each of [`LEAST_PLAIN`] at least.
fn split(amount: u64, purse: &Purse) -> Vec<u64> {
    let (mut parts, mut rest) = (Vec::new(), amount);
    if purse.largest < COLLATERAL && purse.plain < ENOUGH_PLAIN && rest >= 2 * COLLATERAL {
        parts.push(COLLATERAL);
        rest -= COLLATERAL;
    }
    // The next payment is like this one, and finds an output of its size.
    let alike = purse.paid.max(COLLATERAL);
    if purse.plain + parts.len() + 1 < ENOUGH_PLAIN && rest / 2 >= alike {
        parts.push(alike);
        rest -= alike;
    }
    parts.push(rest);
    parts
}

/// A value whose assets are too many for one output, in as few as hold them; all lovelace that is left is in the first.
fn bundled(value: &Value, address: &Address, params: &ProtocolParameters) -> Result<Vec<TxOut>, u64> {
    let mut kinds = value.assets().len();
    let fits = |bundle: &Value| {
        let mut full = bundle.clone();
        full.set_lovelace(value.lovelace());
        full.to_cbor().len() as u64 <= params.max_value_size
    };
    let mut parts = bundles(value, kinds);
    while kinds > 1 && !parts.iter().all(fits) {
        kinds = kinds.div_ceil(2);
        parts = bundles(value, kinds);
    }
    let mut outputs: Vec<TxOut> = parts.into_iter().map(|part| TxOut::new(address.clone(), part)).collect();
    let mut needed = 0;
    for output in &mut outputs {
        // As if it held everything: its least does not grow when it gets more.
        output.value.set_lovelace(value.lovelace());
        let least = fees::min_ada(params, output);
        output.value.set_lovelace(least);
        needed += least.0;
    }
    let rest = value.lovelace().0.checked_sub(needed).ok_or_else(|| needed.saturating_sub(value.lovelace().0))?;
    if let Some(first) = outputs.first_mut() {
        first.value.set_lovelace(Lovelace(first.value.lovelace().0 + rest));
    }
    Ok(outputs)
}

/// The assets of a value, in their order, some kinds at a time, without lovelace.
fn bundles(value: &Value, kinds: usize) -> Vec<Value> {
    let assets: Vec<(&AssetId, u64)> = value.assets().collect();
    let bundle = |assets: &[(&AssetId, u64)]| {
        let mut bundle = Value::default();
        for (asset, quantity) in assets {
            // Quantities of distinct assets: no sum, no overflow.
            let _ = bundle.add_asset((*asset).clone(), *quantity);
        }
        bundle
    };
    assets.chunks(kinds.max(1)).map(bundle).collect()
}

/// The least lovelace with which an output is accepted: raising its lovelace can lengthen it, and so raise the least.
fn least_lovelace(output: &TxOut, params: &ProtocolParameters) -> Lovelace {
    let mut raised = output.clone();
    loop {
        let least = fees::min_ada(params, &raised);
        if raised.value.lovelace() >= least {
            return least;
        }
        raised.value.set_lovelace(least);
    }
}
