//! What cheats change about a transaction that would be good without it.

use nunet_contracts::{JobAction, TxPlan, data};
use nunet_ledger::{Address, AssetId, Datum, KeyHash, Lovelace, OutPoint, Slot, TxOut, Value};
use pallas_primitives::{BigInt, PlutusData};
use proptest::prelude::*;

/// What is wrong. Places are modulo what there is; a flaw that finds nothing to change changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// NTX moves from one output to another.
    MoveNtx {
        /// From which.
        from: u8,
        /// To which.
        to: u8,
        /// So many units.
        units: u64,
    },
    /// NTX is missing from an output: whoever pays keeps it.
    KeepNtx {
        /// From which.
        from: u8,
        /// So many units.
        units: u64,
    },
    /// Lovelace is missing from an output.
    KeepLovelace {
        /// From which.
        from: u8,
        /// So much.
        lovelace: u64,
    },
    /// An output goes to somebody else.
    Redirect {
        /// Which.
        output: u8,
        /// To whom.
        to: u8,
        /// To the address with a stake part.
        staked: bool,
    },
    /// Two outputs change places.
    SwapOutputs(u8, u8),
    /// Two outputs change addresses.
    SwapAddresses(u8, u8),
    /// An output is left out.
    DropOutput(u8),
    /// An output is made twice.
    RepeatOutput(u8),
    /// Something is attached to an output.
    Attach(u8),
    /// A number in a redeemer is another.
    Number {
        /// Which.
        nth: u8,
        /// By how much.
        by: i8,
    },
    /// A number in the datum of the first output is another.
    Datum {
        /// Which.
        nth: u8,
        /// By how much.
        by: i8,
    },
    /// A bit of a byte string in a redeemer is flipped.
    Bit(u8),
    /// The beginning of validity is another.
    Lower(Option<i16>),
    /// The end of validity is another.
    Upper(Option<i16>),
    /// Somebody who has to sign does not.
    DropSigner(u8),
    /// One signature of a member is missing.
    TooFewMembers,
    /// Another committee judges.
    OtherCommittee,
    /// Another open escrow is spent beside, and nothing said of it.
    Smuggle(u8),
    /// A forged escrow is merged with the honest ones.
    Merge(u8),
}

/// What a flaw can refer to.
pub(super) struct Surroundings<'a> {
    pub(super) ntx: &'a AssetId,
    /// Where people can be paid: without and with a stake part.
    pub(super) addresses: Vec<[Address; 2]>,
    /// Open escrows that the plan does not spend.
    pub(super) others: Vec<(OutPoint, TxOut)>,
    pub(super) forged: &'a [Forged],
}

/// A forged escrow on chain.
#[derive(Clone)]
pub(super) struct Forged {
    pub(super) outpoint: OutPoint,
    pub(super) output: TxOut,
    pub(super) victim: Address,
    pub(super) lacks: u64,
}

impl Flaw {
    pub(super) fn any() -> impl Strategy<Value = Self> {
        let place = any::<u8>;
        let units = || prop_oneof![Just(1), 1..1_000_000_u64];
        let by = || prop_oneof![Just(1_i8), Just(-1), any::<i8>()];
        let shift = || proptest::option::weighted(0.8, prop_oneof![Just(1_i16), Just(-1), any::<i16>()]);
        prop_oneof![
            3 => (place(), place(), units()).prop_map(|(from, to, units)| Self::MoveNtx { from, to, units }),
            2 => (place(), units()).prop_map(|(from, units)| Self::KeepNtx { from, units }),
            2 => (place(), units()).prop_map(|(from, lovelace)| Self::KeepLovelace { from, lovelace }),
            2 => (place(), 0..4_u8, any::<bool>())
                .prop_map(|(output, to, staked)| Self::Redirect { output, to, staked }),
            1 => (place(), place()).prop_map(|(one, two)| Self::SwapOutputs(one, two)),
            1 => (place(), place()).prop_map(|(one, two)| Self::SwapAddresses(one, two)),
            1 => place().prop_map(Self::DropOutput),
            1 => place().prop_map(Self::RepeatOutput),
            1 => place().prop_map(Self::Attach),
            4 => (place(), by()).prop_map(|(nth, by)| Self::Number { nth, by }),
            2 => (place(), by()).prop_map(|(nth, by)| Self::Datum { nth, by }),
            1 => place().prop_map(Self::Bit),
            2 => shift().prop_map(Self::Lower),
            2 => shift().prop_map(Self::Upper),
            2 => place().prop_map(Self::DropSigner),
            4 => Just(Self::TooFewMembers),
            4 => Just(Self::OtherCommittee),
            2 => place().prop_map(Self::Smuggle),
            2 => place().prop_map(Self::Merge),
        ]
    }

    /// Changes a plan; whether anything is other than before.
    pub(super) fn spoil(&self, plan: &mut TxPlan, around: &Surroundings<'_>) -> bool {
        let before = plan.clone();
        self.change(plan, around);
        *plan != before
    }

    fn change(&self, plan: &mut TxPlan, around: &Surroundings<'_>) -> Option<()> {
        let outputs = plan.outputs.len();
        let place = |place: u8| usize::from(place).checked_rem(outputs);
        match self {
            Self::MoveNtx { from, to, units } => {
                let moved = take_ntx(&mut plan.outputs[place(*from)?], around.ntx, *units);
                plan.outputs[place(*to)?].value.add_asset(around.ntx.clone(), moved)?;
            }
            Self::KeepNtx { from, units } => {
                take_ntx(&mut plan.outputs[place(*from)?], around.ntx, *units);
            }
            Self::KeepLovelace { from, lovelace } => {
                let value = &mut plan.outputs[place(*from)?].value;
                value.set_lovelace(Lovelace(value.lovelace().0.saturating_sub(*lovelace)));
            }
            Self::Redirect { output, to, staked } => {
                let to = &around.addresses[usize::from(*to) % around.addresses.len()];
                plan.outputs[place(*output)?].address = to[usize::from(*staked)].clone();
            }
            Self::SwapOutputs(one, two) => plan.outputs.swap(place(*one)?, place(*two)?),
            Self::SwapAddresses(one, two) => {
                let (one, two) = (place(*one)?, place(*two)?);
                let address = plan.outputs[one].address.clone();
                plan.outputs[one].address = std::mem::replace(&mut plan.outputs[two].address, address);
            }
            Self::DropOutput(output) => {
                plan.outputs.remove(place(*output)?);
            }
            Self::RepeatOutput(output) => {
                let output = place(*output)?;
                plan.outputs.insert(output, plan.outputs[output].clone());
            }
            Self::Attach(output) => {
                let output = &mut plan.outputs[place(*output)?];
                output.datum = Some(Datum::Inline(data::to_cbor(&data::int(0))));
                output.value.set_lovelace(Lovelace(output.value.lovelace().0.saturating_add(100_000)));
            }
            Self::Number { nth, by } => {
                nudge(redeemers(plan), usize::from(*nth), (*by).into());
            }
            Self::Datum { nth, by } => {
                let Some(Datum::Inline(datum)) = &plan.outputs.first()?.datum else { return None };
                let mut datum = data::from_cbor("datum", datum).ok()?;
                nudge(vec![&mut datum], usize::from(*nth), (*by).into());
                plan.outputs.first_mut()?.datum = Some(Datum::Inline(data::to_cbor(&datum)));
            }
            Self::Bit(nth) => flip(redeemers(plan), usize::from(*nth)),
            Self::Lower(by) => plan.valid_from = shifted(plan.valid_from, *by),
            Self::Upper(by) => plan.valid_until = shifted(plan.valid_until, *by),
            Self::DropSigner(nth) => {
                let nth = usize::from(*nth).checked_rem(plan.required_signers.len())?;
                let key: KeyHash = *plan.required_signers.iter().nth(nth)?;
                plan.required_signers.remove(&key);
            }
            Self::Smuggle(nth) => {
                let nth = usize::from(*nth).checked_rem(around.others.len())?;
                let (outpoint, output) = around.others[nth].clone();
                let redeemer = plan.spends.iter().find_map(|spend| spend.redeemer.clone())?;
                plan.spends.push(nunet_contracts::Spend { outpoint, output, redeemer: Some(redeemer) });
            }
            Self::Merge(nth) => {
                let nth = usize::from(*nth).checked_rem(around.forged.len())?;
                merge(plan, around, &around.forged[nth])?;
            }
            // Made before there is a plan, where they come first.
            Self::TooFewMembers | Self::OtherCommittee => {}
        }
        Some(())
    }
}

/// Spends a forged escrow too, whose bond of less than nothing makes the victim's merged payout smaller.
fn merge(plan: &mut TxPlan, around: &Surroundings<'_>, forged: &Forged) -> Option<()> {
    let redeemer = plan.withdrawals.first_mut()?.redeemer.as_mut()?;
    let mut action = JobAction::from_data(redeemer).ok()?;
    let (payees, providers) = match &mut action {
        JobAction::Refund { payees, providers } | JobAction::Accept { payees, providers } => (payees, providers),
        _ => return None,
    };
    let merged = plan.outputs.get_mut(..usize::try_from(*payees).ok()?)?;
    let victim = merged.iter().position(|output| output.address == forged.victim)?;
    take_ntx(&mut merged[victim], around.ntx, forged.lacks);
    let before = plan.spends.iter().filter(|spend| spend.redeemer.is_some() && spend.outpoint < forged.outpoint);
    providers.insert(before.count().min(providers.len()), u64::try_from(victim).ok());
    *redeemer = action.to_data();
    let spend = plan.spends.iter().find(|spend| spend.redeemer.is_some())?.clone();
    let (outpoint, output) = (forged.outpoint, forged.output.clone());
    plan.spends.push(nunet_contracts::Spend { outpoint, output, ..spend });
    Some(())
}

/// Takes NTX out of an output, as much as there is.
fn take_ntx(output: &mut TxOut, ntx: &AssetId, units: u64) -> u64 {
    let taken = units.min(output.value.quantity(ntx));
    let part = Value::default().with(ntx.clone(), taken);
    if let Some(left) = part.and_then(|part| output.value.checked_sub(&part)) {
        output.value = left;
    }
    taken
}

fn shifted(slot: Option<Slot>, by: Option<i16>) -> Option<Slot> {
    Some(Slot(slot?.0.saturating_add_signed(i64::from(by?))))
}

fn redeemers(plan: &mut TxPlan) -> Vec<&mut PlutusData> {
    let withdrawals = plan.withdrawals.iter_mut().filter_map(|withdrawal| withdrawal.redeemer.as_mut());
    withdrawals.chain(plan.spends.iter_mut().filter_map(|spend| spend.redeemer.as_mut())).collect()
}

/// Adds to one of all the numbers in these.
fn nudge(roots: Vec<&mut PlutusData>, nth: usize, by: i128) {
    let mut numbers = Vec::new();
    roots.into_iter().for_each(|root| leaves(root, &mut numbers, &|leaf| matches!(leaf, PlutusData::BigInt(_))));
    let Some(nth) = nth.checked_rem(numbers.len()) else { return };
    if let PlutusData::BigInt(BigInt::Int(number)) = &*numbers[nth]
        && let Ok(changed) = pallas_codec::utils::Int::try_from(i128::from(*number) + by)
    {
        *numbers[nth] = PlutusData::BigInt(BigInt::Int(changed));
    }
}

/// Flips a bit of one of all the byte strings in these.
fn flip(roots: Vec<&mut PlutusData>, nth: usize) {
    let mut strings = Vec::new();
    let filled = |leaf: &PlutusData| matches!(leaf, PlutusData::BoundedBytes(bytes) if !bytes.is_empty());
    roots.into_iter().for_each(|root| leaves(root, &mut strings, &filled));
    let Some(at) = nth.checked_rem(strings.len()) else { return };
    if let PlutusData::BoundedBytes(bytes) = &*strings[at] {
        let mut changed = bytes.to_vec();
        let byte = nth % changed.len();
        changed[byte] ^= 1;
        *strings[at] = PlutusData::BoundedBytes(changed.into());
    }
}

fn leaves<'a>(data: &'a mut PlutusData, found: &mut Vec<&'a mut PlutusData>, wanted: &dyn Fn(&PlutusData) -> bool) {
    if wanted(data) {
        found.push(data);
        return;
    }
    match data {
        PlutusData::Constr(constr) => children(&mut constr.fields, found, wanted),
        PlutusData::Array(items) => children(items, found, wanted),
        _ => {}
    }
}

fn children<'a>(
    items: &'a mut pallas_codec::utils::MaybeIndefArray<PlutusData>,
    found: &mut Vec<&'a mut PlutusData>,
    wanted: &dyn Fn(&PlutusData) -> bool,
) {
    use pallas_codec::utils::MaybeIndefArray::{Def, Indef};
    match items {
        Def(items) | Indef(items) => items.iter_mut().for_each(|item| leaves(item, found, wanted)),
    }
}
