//! A lock with a bond: what the provider puts in, and that it signs for nothing else.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use nunet_contracts::{
    AgreementHash, BondFunds, CommitteeId, EscrowTerms, JobDatum, Ntx, PlanError, Protocol, TxPlan,
    transactions::{
        BondError, LockRefusal, MAX_BOND_INPUTS, MAX_OTHER_INPUTS, check_bonded_lock, lock_with_bond, others_inputs,
    },
};
use nunet_ledger::{
    Address, AssetId, Certificate, Credential, Datum, KeyHash, Lovelace, NetworkMagic, OutPoint, PosixMs,
    ProtocolParameters, RewardAccount, Script, ScriptHash, Slot, Transaction, TxBody, TxId, TxOut, Value, Witnesses,
    received::ReceivedTx,
};

const PROVIDER: u8 = 2;
const REQUESTER: u8 = 1;
const NOW: Slot = Slot(1_000);
const UNTIL: Slot = Slot(1_600);

fn ntx() -> AssetId {
    AssetId { policy: ScriptHash([7; 28]), name: b"NTX".to_vec() }
}

fn protocol() -> Protocol {
    Protocol::new(NetworkMagic::DEVNET, ntx()).unwrap()
}

fn params() -> ProtocolParameters {
    ProtocolParameters::mainnet()
}

fn key(seed: u8) -> KeyHash {
    KeyHash([seed; 28])
}

fn address(seed: u8) -> Address {
    Address::new(0, Credential::Key(key(seed)), None)
}

fn outpoint(seed: u8) -> OutPoint {
    OutPoint { tx: TxId([seed; 32]), index: 0 }
}

fn holding(owner: u8, lovelace: u64, units: u64) -> TxOut {
    TxOut::new(address(owner), Value::lovelace_only(Lovelace(lovelace)).with(ntx(), units).unwrap())
}

fn terms() -> EscrowTerms {
    EscrowTerms {
        datum: JobDatum {
            requester: address(REQUESTER),
            provider: address(PROVIDER),
            price: Ntx(5_000_000),
            fee: Ntx(500_000),
            bond: Ntx(2_000_000),
            deposit: Lovelace(1_500_000),
            carry: Lovelace(1_200_000),
            deadline: PosixMs(9_000_000),
            committee: CommitteeId([4; 32]),
            agreement: AgreementHash([5; 32]),
            voucher_key: None,
        },
        tip: Lovelace(2_000_000),
    }
}

fn funds() -> BondFunds {
    BondFunds {
        inputs: vec![
            (outpoint(0x20), holding(PROVIDER, 2_000_000, 3_000_000)),
            (outpoint(0x21), holding(PROVIDER, 3_000_000, 0)),
        ],
        change: address(PROVIDER),
    }
}

fn plan_of(funds: &BondFunds) -> Result<TxPlan, PlanError> {
    lock_with_bond(&protocol(), &params(), &terms(), funds, UNTIL)
}

fn refused(funds: &BondFunds) -> BondError {
    match plan_of(funds) {
        Err(PlanError::Bond(error)) => error,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[test]
fn the_providers_share_is_exactly_bond_and_carry() {
    let plan = plan_of(&funds()).unwrap();
    let [escrow, change] = &plan.outputs[..] else { panic!("two outputs") };
    assert_eq!(escrow.value.quantity(&ntx()), 7_500_000);
    assert_eq!(escrow.value.lovelace(), Lovelace(1_500_000 + 1_200_000 + 2_000_000));
    assert_eq!(*change, holding(PROVIDER, 5_000_000 - 1_200_000, 1_000_000));
    assert_eq!(plan.spends.len(), 2);
    assert!(plan.spends.iter().all(|spend| spend.redeemer.is_none()));
    assert_eq!(plan.valid_until, Some(UNTIL));

    let exact = BondFunds { inputs: vec![(outpoint(0x20), holding(PROVIDER, 1_200_000, 2_000_000))], ..funds() };
    assert_eq!(plan_of(&exact).unwrap().outputs.len(), 1, "nothing is left, so there is no change");
}

#[test]
fn other_assets_of_the_provider_come_back_to_it() {
    let other = AssetId { policy: ScriptHash([8; 28]), name: b"other".to_vec() };
    let mut with_more = funds();
    with_more.inputs[0].1.value.add_asset(other.clone(), 9).unwrap();
    assert_eq!(plan_of(&with_more).unwrap().outputs[1].value.quantity(&other), 9);
}

#[test]
fn funds_that_make_no_bond_are_refused_with_a_reason() {
    let with = |change: fn(&mut BondFunds)| {
        let mut funds = funds();
        change(&mut funds);
        refused(&funds)
    };
    assert_eq!(with(|funds| funds.inputs.clear()), BondError::InputCount(0));
    let many = |funds: &mut BondFunds| {
        funds.inputs = (0..=MAX_BOND_INPUTS as u8).map(|seed| (outpoint(seed), holding(PROVIDER, 2, 2))).collect();
    };
    assert_eq!(with(many), BondError::InputCount(MAX_BOND_INPUTS + 1));
    assert_eq!(with(|funds| funds.inputs[1].0 = outpoint(0x20)), BondError::Duplicate(outpoint(0x20)));
    let scripts = |funds: &mut BondFunds| {
        funds.inputs[1].1.address = Address::new(0, Credential::Script(ScriptHash([9; 28])), None);
    };
    assert_eq!(with(scripts), BondError::NotAKeys(outpoint(0x21)));
    let carrying = |funds: &mut BondFunds| {
        funds.inputs[1].1.reference_script = Some(Script::Native(vec![0x82, 0x02, 0x80]));
    };
    assert_eq!(with(carrying), BondError::CarriesAScript(outpoint(0x21)));
    let short = |funds: &mut BondFunds| funds.inputs[0].1 = holding(PROVIDER, 2_000_000, 1_999_999);
    assert_eq!(with(short), BondError::TooLittle { bond: Ntx(2_000_000), carry: Lovelace(1_200_000) });
    let tight = |funds: &mut BondFunds| {
        funds.inputs = vec![(outpoint(0x20), holding(PROVIDER, 1_200_001, 2_000_000))];
    };
    assert!(matches!(with(tight), BondError::SmallChange { left: Lovelace(1), .. }));
}

#[test]
fn a_provider_cannot_pay_its_bond_with_the_requesters_money() {
    let mut named = funds().inputs;
    let keys: BTreeSet<KeyHash> = [key(REQUESTER), key(0x11)].into();
    assert!(BondFunds::of_provider(named.clone(), address(PROVIDER), &keys).is_ok());
    for owner in [REQUESTER, 0x11] {
        named[1].1 = holding(owner, 100_000_000, 0);
        let refused = BondFunds::of_provider(named.clone(), address(PROVIDER), &keys);
        assert_eq!(refused, Err(BondError::RequestersOwn(outpoint(0x21))));
    }
}

/// The lock as an honest requester builds it: one input and the change are its own.
fn request() -> TxBody {
    let plan = plan_of(&funds()).unwrap();
    let mut body = TxBody {
        inputs: plan.spends.iter().map(|spend| spend.outpoint).collect(),
        outputs: plan.outputs,
        fee: Lovelace(190_000),
        valid_until: Some(UNTIL),
        ..TxBody::default()
    };
    body.inputs.insert(outpoint(0x10));
    body.outputs.push(holding(REQUESTER, 7_000_000, 1));
    body
}

fn judge_among(body: TxBody, others: &BTreeMap<OutPoint, TxOut>) -> Result<(), LockRefusal> {
    let bytes = Transaction { body, witnesses: Witnesses::default() }.to_cbor();
    judge_bytes(&bytes, others)
}

fn judge_bytes(bytes: &[u8], others: &BTreeMap<OutPoint, TxOut>) -> Result<(), LockRefusal> {
    let received = ReceivedTx::decode(bytes).unwrap();
    let keys = [key(PROVIDER), key(0x22)].into();
    check_bonded_lock(&received, &plan_of(&funds()).unwrap(), others, &keys, NOW)
}

fn judge(body: TxBody) -> Result<(), LockRefusal> {
    judge_among(body, &[(outpoint(0x10), holding(REQUESTER, 20_000_000, 6_000_000))].into())
}

fn judge_with(change: impl FnOnce(&mut TxBody)) -> LockRefusal {
    let mut body = request();
    change(&mut body);
    judge(body).expect_err("a provider must not sign this")
}

#[test]
fn the_agreed_lock_is_signed() {
    assert_eq!(judge(request()), Ok(()));
    let mut earlier = request();
    earlier.valid_until = Some(Slot(NOW.0 + 1));
    assert_eq!(judge(earlier), Ok(()));
}

/// The provider's key may be a party elsewhere: an escrow in the same transaction would take its signature for consent.
#[test]
fn nothing_but_a_lock_is_signed() {
    type Addition = fn(&mut TxBody);
    let more: [(Addition, &str); 9] = [
        (|body| body.required_signers = [key(PROVIDER)].into(), "required signers"),
        (
            |body| {
                let account = RewardAccount { network_id: 0, credential: Credential::Key(key(PROVIDER)) };
                body.withdrawals = [(account, Lovelace(1))].into();
            },
            "withdrawals",
        ),
        (|body| body.certificates = vec![Certificate::DeregisterStake(Credential::Key(key(PROVIDER)))], "certificates"),
        (|body| body.mint = [(ntx(), 1)].into(), "minting"),
        (|body| body.script_data_hash = Some([1; 32]), "redeemers or datums"),
        (|body| body.collateral = [outpoint(0x20)].into(), "collateral"),
        (|body| body.total_collateral = Some(Lovelace(5)), "a collateral return"),
        (|body| body.reference_inputs = [outpoint(0x30)].into(), "reference inputs"),
        (|body| body.valid_from = Some(Slot(1)), "a start of validity"),
    ];
    for (change, what) in more {
        assert_eq!(judge_with(change), LockRefusal::MoreThanALock(what));
    }
}

#[test]
fn outputs_are_the_agreed_escrow_and_the_whole_change() {
    let escrow = |index| LockRefusal::WrongOutput { index, expected: "the escrow" };
    let change = |index| LockRefusal::WrongOutput { index, expected: "the provider's change" };
    assert_eq!(judge_with(|body| body.outputs.swap(0, 1)), escrow(0));
    assert_eq!(judge_with(|body| body.outputs.clear()), escrow(0));
    assert_eq!(judge_with(|body| body.outputs[0].datum = Some(Datum::Hash([1; 32]))), escrow(0));
    let less = |body: &mut TxBody| body.outputs[0].value.set_lovelace(Lovelace(4_699_999));
    assert_eq!(judge_with(less), escrow(0));
    assert_eq!(judge_with(|body| body.outputs.truncate(1)), change(1));
    assert_eq!(judge_with(|body| body.outputs[1].address = address(REQUESTER)), change(1));
    assert_eq!(judge_with(|body| body.outputs[1] = holding(PROVIDER, 3_800_000, 999_999)), change(1));
    let with_datum = |body: &mut TxBody| body.outputs[1].datum = Some(Datum::Inline(vec![0x00]));
    assert_eq!(judge_with(with_datum), change(1));
}

#[test]
fn inputs_are_the_named_ones_and_none_of_the_providers_others() {
    let missing = |body: &mut TxBody| {
        body.inputs.remove(&outpoint(0x21));
    };
    assert_eq!(judge_with(missing), LockRefusal::MissingInput(outpoint(0x21)));
    let unknown = |body: &mut TxBody| {
        body.inputs.insert(outpoint(0x40));
    };
    assert_eq!(judge_with(unknown), LockRefusal::Unknown(outpoint(0x40)));
    for owner in [PROVIDER, 0x22] {
        let own = [(outpoint(0x10), holding(owner, 20_000_000, 6_000_000))].into();
        assert_eq!(judge_among(request(), &own), Err(LockRefusal::ProvidersOwn(outpoint(0x10))));
    }
    // Whatever stake part its address has.
    let mut staked = holding(PROVIDER, 20_000_000, 6_000_000);
    staked.address = Address::new(0, Credential::Key(key(PROVIDER)), Some(Credential::Key(key(9))));
    let own = [(outpoint(0x10), staked)].into();
    assert_eq!(judge_among(request(), &own), Err(LockRefusal::ProvidersOwn(outpoint(0x10))));
    // A multisig of the provider's key would count the signature.
    let mut multisig = holding(REQUESTER, 20_000_000, 6_000_000);
    multisig.address = Address::new(0, Credential::Script(ScriptHash([9; 28])), None);
    let scripts = [(outpoint(0x10), multisig)].into();
    assert_eq!(judge_among(request(), &scripts), Err(LockRefusal::NotAKeys(outpoint(0x10))));
    let many = |body: &mut TxBody| {
        body.inputs.extend((0..=MAX_OTHER_INPUTS as u16).map(|index| OutPoint { tx: TxId([0x50; 32]), index }));
    };
    assert_eq!(judge_with(many), LockRefusal::TooManyInputs(MAX_OTHER_INPUTS + 2));
}

#[test]
fn the_others_inputs_are_those_to_look_up() {
    let bytes = Transaction { body: request(), witnesses: Witnesses::default() }.to_cbor();
    let received = ReceivedTx::decode(&bytes).unwrap();
    assert_eq!(others_inputs(&received, &plan_of(&funds()).unwrap()), Ok(vec![outpoint(0x10)]));
}

#[test]
fn the_lock_ends_soon_and_has_not_ended() {
    let endless = LockRefusal::Endless { latest: UNTIL };
    assert_eq!(judge_with(|body| body.valid_until = None), endless);
    assert_eq!(judge_with(|body| body.valid_until = Some(Slot(UNTIL.0 + 1))), endless);
    assert_eq!(judge_with(|body| body.valid_until = Some(NOW)), LockRefusal::Over);
}

#[test]
fn metadata_is_not_signed_either() {
    let bytes = Transaction { body: request(), witnesses: Witnesses::default() }.to_cbor();
    let mut with_metadata = bytes[..bytes.len() - 1].to_vec();
    assert_eq!(bytes.last(), Some(&0xf6), "a transaction ends with its metadata, or null");
    with_metadata.extend_from_slice(&[0xa1, 0x01, 0x02]);
    let others = [(outpoint(0x10), holding(REQUESTER, 20_000_000, 6_000_000))].into();
    assert_eq!(judge_bytes(&bytes, &others), Ok(()));
    assert_eq!(judge_bytes(&with_metadata, &others), Err(LockRefusal::MoreThanALock("metadata")));
}
