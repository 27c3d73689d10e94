//! The tools of attackers: outputs, datums and redeemers that no honest builder makes.

use nunet::{
    accounts::Role,
    world::{THRESHOLD, World},
};
use nunet_contracts::{
    Escrow, EscrowTerms, JobDatum, Leaf, Mint, Ntx, Spend, TxPlan, Verdict, Withdrawal, data,
    transactions::{escrow_output, settle},
};
use nunet_devnet::ntx_policy;
use nunet_ledger::{
    Address, AssetId, Certificate, Credential, Datum, KeyHash, Lovelace, OutPoint, RewardAccount, Script, TxOut, Value,
};
use nunet_tests::{signatures, terms};
use pallas_primitives::PlutusData;

/// A change to the fields of a constructor or the items of a list, with its name.
pub(crate) type Edit<'a> = (&'a str, &'a dyn Fn(&mut Vec<PlutusData>));

/// What becomes of an output.
pub(crate) type Damage = fn(&mut TxOut);

/// The same, where it takes more to say so.
pub(crate) type BoxedDamage = Box<dyn Fn(&mut TxOut)>;

/// How many members must sign.
pub(crate) const ENOUGH: usize = THRESHOLD as usize;

/// A Plutus V3 script that allows everything: `(program 1.1.0 (lam x (con unit ())))`.
pub(crate) fn yes() -> Script {
    Script::PlutusV3(vec![0x45, 0x01, 0x01, 0x00, 0x24, 0x99])
}

/// A Plutus V3 script that allows nothing: `(program 1.1.0 (lam x (error)))`.
pub(crate) fn no() -> Script {
    Script::PlutusV3(vec![0x45, 0x01, 0x01, 0x00, 0x26, 0x01])
}

/// The enterprise address of somebody who signs nothing.
pub(crate) fn person(number: u8) -> Address {
    Address::new(0, Credential::Key(KeyHash([number; 28])), None)
}

/// Their base address.
pub(crate) fn person_with_stake(number: u8) -> Address {
    let key = Credential::Key(KeyHash([number; 28]));
    Address::new(0, key, Some(Credential::Key(KeyHash([0xee; 28]))))
}

/// Terms of a job between two people who sign nothing; `seed` tells jobs apart, and their requesters.
pub(crate) async fn job(world: &World, seed: u8, change: impl FnOnce(&mut JobDatum)) -> EscrowTerms {
    let mut terms = terms(world, seed).await.unwrap();
    terms.datum.requester = person(seed);
    terms.datum.provider = person_with_stake(51);
    change(&mut terms.datum);
    terms
}

/// Terms of a job between the wallets of requester and provider.
pub(crate) async fn job_of_wallets(world: &World, change: impl FnOnce(&mut JobDatum)) -> EscrowTerms {
    let [requester, provider] =
        [Role::Requester, Role::Provider].map(|role| world.accounts.wallet(role).enterprise_address());
    job(world, 1, |datum| {
        datum.requester = requester;
        datum.provider = provider;
        change(datum);
    })
    .await
}

/// What a verdict says of an escrow.
pub(crate) fn leaf(escrow: &Escrow, paid: u64, slashed: u64) -> Leaf {
    Leaf { escrow: escrow.outpoint, paid: Ntx(paid), slashed: Ntx(slashed) }
}

/// Settles these escrows by the signatures of enough members, whatever they hold.
pub(crate) fn settlement_of(world: &World, verdict: &Verdict, escrows: &[Escrow]) -> TxPlan {
    let signed = signatures(world, verdict, ENOUGH);
    let shown: Vec<Escrow> = escrows.iter().map(|escrow| taken_for_funded(world, escrow)).collect();
    let mut plan =
        settle(&world.deployment, &world.chain.params(), &world.committee, verdict, &signed, &shown).unwrap();
    for spend in &mut plan.spends {
        let escrow = escrows.iter().find(|escrow| escrow.outpoint == spend.outpoint);
        spend.output = escrow.unwrap().output.clone();
    }
    plan
}

/// The escrow as if it held what its datum promises: the builder leaves others alone.
fn taken_for_funded(world: &World, escrow: &Escrow) -> Escrow {
    let mut shown = escrow.clone();
    if shown.check_funds(&world.deployment.protocol).is_err() {
        let owed = Lovelace(shown.datum.deposit.0 + shown.datum.carry.0);
        let value = Value::lovelace_only(owed.max(shown.output.value.lovelace()));
        shown.output.value = value.with(world.accounts.ntx.clone(), shown.datum.locked().unwrap().0).unwrap();
    }
    shown
}

/// An integer, also a negative one.
pub(crate) fn int(value: i64) -> PlutusData {
    match u64::try_from(value) {
        Ok(value) => data::int(value),
        // CBOR's major type 1 holds what -1 exceeds the number by.
        Err(_) => {
            let beyond = (-1 - value).to_be_bytes();
            data::from_cbor("a negative number", &[&[0x3b], beyond.as_slice()].concat()).unwrap()
        }
    }
}

/// Changes the fields of a constructor.
pub(crate) fn edit(constructor: &mut PlutusData, change: impl FnOnce(&mut Vec<PlutusData>)) {
    let PlutusData::Constr(constr) = constructor else { panic!("{constructor:?} is no constructor") };
    let mut fields = constr.fields.clone().to_vec();
    change(&mut fields);
    *constructor = data::constr(constr.tag - 121, fields);
}

/// Changes the items of a list.
pub(crate) fn edit_list(list: &mut PlutusData, change: impl FnOnce(&mut Vec<PlutusData>)) {
    let PlutusData::Array(items) = list else { panic!("{list:?} is no list") };
    let mut items = items.clone().to_vec();
    change(&mut items);
    *list = data::list(items);
}

/// Changes the fields of the redeemer that tells the logic the way out.
pub(crate) fn edit_action(plan: &mut TxPlan, change: impl FnOnce(&mut Vec<PlutusData>)) {
    let redeemer = plan.withdrawals[0].redeemer.as_mut().unwrap();
    edit(redeemer, change);
}

/// The inline datum of an output.
pub(crate) fn datum_of(output: &TxOut) -> PlutusData {
    let Some(Datum::Inline(cbor)) = &output.datum else { panic!("no inline datum") };
    data::from_cbor("a datum", cbor).unwrap()
}

/// Replaces the inline datum of an output.
pub(crate) fn set_datum(output: &mut TxOut, datum: &PlutusData) {
    output.datum = Some(Datum::Inline(data::to_cbor(datum)));
}

/// Replaces one field of the datum in an output.
pub(crate) fn set_field(output: &mut TxOut, field: usize, value: PlutusData) {
    let mut datum = datum_of(output);
    edit(&mut datum, |fields| fields[field] = value);
    set_datum(output, &datum);
}

/// Adds to, or takes from, what an output holds of an asset.
pub(crate) fn add(output: &mut TxOut, asset: &AssetId, by: i64) {
    let lovelace = output.value.lovelace();
    let mut value = Value::lovelace_only(lovelace);
    for (held, quantity) in output.value.assets().filter(|(held, _)| *held != asset) {
        value.add_asset(held.clone(), quantity).unwrap();
    }
    let quantity = output.value.quantity(asset).checked_add_signed(by).unwrap();
    value.add_asset(asset.clone(), quantity).unwrap();
    output.value = value;
}

/// Adds to, or takes from, the lovelace in an output.
pub(crate) fn add_lovelace(output: &mut TxOut, by: i64) {
    let lovelace = output.value.lovelace().0.checked_add_signed(by).unwrap();
    output.value.set_lovelace(Lovelace(lovelace));
}

/// Gives an output room for whatever is put into it: every payout may hold more lovelace than is owed.
pub(crate) fn roomy(output: &mut TxOut) {
    let lovelace = output.value.lovelace().0.max(8_000_000);
    output.value.set_lovelace(Lovelace(lovelace));
}

/// The address of a script, without a stake part.
pub(crate) fn address_of(script: &Script) -> Address {
    Address::new(0, Credential::Script(script.hash()), None)
}

/// The stake account of a script.
pub(crate) fn account_of(script: &Script) -> RewardAccount {
    RewardAccount { network_id: 0, credential: Credential::Script(script.hash()) }
}

/// A withdrawal of nothing from a script's account.
pub(crate) fn withdrawal_of(script: &Script) -> Withdrawal {
    Withdrawal { account: account_of(script), amount: Lovelace(0), redeemer: Some(int(0)) }
}

/// Registers the stake account of a script; the certificate needs no witness.
pub(crate) async fn register(world: &World, script: &Script) {
    let certificates = vec![Certificate::RegisterStake(account_of(script).credential)];
    let plan = TxPlan { certificates, ..TxPlan::default() };
    world.place(&plan, world.accounts.wallet(Role::Operator)).await.unwrap();
}

/// Takes a key from those who sign for the scripts to see.
pub(crate) fn without(plan: &mut TxPlan, key: KeyHash) {
    plan.required_signers.retain(|signer| *signer != key);
}

/// Makes these outputs in one transaction that the operator pays.
pub(crate) async fn put(world: &World, outputs: Vec<TxOut>) -> Vec<(OutPoint, TxOut)> {
    let count = u16::try_from(outputs.len()).unwrap();
    let plan = TxPlan { outputs, ..TxPlan::default() };
    let tx = world.place(&plan, world.accounts.wallet(Role::Operator)).await.unwrap();
    let mut made = Vec::new();
    for index in 0..count {
        let outpoint = OutPoint { tx, index };
        made.push((outpoint, world.chain.unspent(&outpoint).await.unwrap()));
    }
    made
}

/// Locks escrows with these terms, once `change` has been at the outputs, and takes them for what the terms say.
pub(crate) async fn lock_changed(
    world: &World,
    terms: &[EscrowTerms],
    change: impl FnOnce(&mut [TxOut]),
) -> Vec<Escrow> {
    let protocol = &world.deployment.protocol;
    let mut outputs: Vec<_> = terms.iter().map(|terms| escrow_output(protocol, terms).unwrap()).collect();
    change(&mut outputs);
    let made = put(world, outputs).await;
    let pairs = made.into_iter().zip(terms);
    pairs.map(|((outpoint, output), terms)| Escrow { outpoint, output, datum: terms.datum.clone() }).collect()
}

/// Locks escrows with these terms.
pub(crate) async fn lock(world: &World, terms: &[EscrowTerms]) -> Vec<Escrow> {
    lock_changed(world, terms, |_| {}).await
}

/// Spends an output of a script that allows everything.
pub(crate) fn spend_foreign(plan: &mut TxPlan, foreign: &(OutPoint, TxOut)) {
    plan.spends.push(Spend { outpoint: foreign.0, output: foreign.1.clone(), redeemer: Some(int(0)) });
    plan.scripts.push(yes());
}

/// Mints an asset of the policy that allows everything.
pub(crate) fn mint_foreign(plan: &mut TxPlan) {
    let asset = AssetId { policy: yes().hash(), name: b"ANY".to_vec() };
    plan.mints.push(Mint { asset, quantity: 1, redeemer: Some(int(0)) });
    plan.scripts.push(yes());
}

/// Assets that are not NTX, in the operator's wallet.
pub(crate) struct Junk {
    /// Named as NTX is, by another policy.
    pub(crate) same_name: AssetId,
    /// Of the policy of NTX, with another name.
    pub(crate) same_policy: AssetId,
}

impl Junk {
    /// Mints plenty of both.
    pub(crate) async fn mint(world: &World) -> Self {
        let (operator, ntx) = (world.accounts.wallet(Role::Operator), &world.accounts.ntx);
        let same_name = AssetId { policy: yes().hash(), name: ntx.name.clone() };
        let same_policy = AssetId { policy: ntx.policy, name: b"XTN".to_vec() };
        let quantity = 1_000_000_000_000;
        let plan = TxPlan {
            mints: vec![
                Mint { asset: same_name.clone(), quantity, redeemer: Some(int(0)) },
                Mint { asset: same_policy.clone(), quantity, redeemer: None },
            ],
            scripts: vec![yes(), ntx_policy(operator.key_hash())],
            ..TxPlan::default()
        };
        world.place(&plan, operator).await.unwrap();
        Self { same_name, same_policy }
    }
}
