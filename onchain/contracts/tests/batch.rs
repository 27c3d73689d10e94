//! Batches: the largest one is found by few tries, items go into few sets, and each escrow goes the way that it must.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{convert::Infallible, sync::OnceLock};

use ed25519_dalek::{Signer, SigningKey};
use nunet_contracts::{
    AgreementHash, Committee, CommitteeDatum, Escrow, EscrowTerms, JobDatum, Leaf, MemberKey, Ntx, Obstacle, Protocol,
    Shortfall, Signatures, SignedVerdict, Verdict,
    batch::{Attempt, Flaw, Largest, Load, Way, largest, pack, sort_by_payees, ways_out},
    transactions::{create_committee, escrow_output},
};
use nunet_ledger::{
    Address, AssetId, Credential, Datum, ExUnits, KeyHash, Lovelace, NetworkMagic, OutPoint, PosixMs,
    ProtocolParameters, ScriptHash, TxId, TxOut, Value,
};
use proptest::prelude::*;

const LIMITS: Load = Load { bytes: 16_384, units: ExUnits { mem: 14_000_000, steps: 10_000_000_000 } };

fn load(bytes: u64, mem: u64) -> Load {
    Load { bytes, units: ExUnits { mem, steps: 1_000 } }
}

fn judge(load: Load) -> Attempt {
    if load.bytes <= LIMITS.bytes && load.units.mem <= LIMITS.units.mem {
        Attempt::Fits(load)
    } else {
        Attempt::Exceeds
    }
}

/// The size that is found, and after how many tries.
fn search(count: usize, cost: impl Fn(u64) -> Load) -> (usize, usize) {
    let mut tries = 0;
    let found = largest(count, LIMITS, |size| {
        tries += 1;
        Ok::<_, Infallible>(judge(cost(size as u64)))
    });
    let Ok(Largest::Fits { size, .. }) = found else { panic!("{found:?}") };
    (size, tries)
}

#[test]
fn what_fits_at_once_is_tried_once() {
    assert_eq!(search(90, |n| load(890 + 160 * n, 79_000 * n)), (90, 1));
    assert_eq!(search(1, |_| load(1_100, 0)), (1, 1));
}

#[test]
fn a_line_is_followed_in_five_tries() {
    let (size, tries) = search(256, |n| load(890 + 161 * n + n % 3, 200_000 + 79_000 * n));
    assert_eq!(size, 96);
    assert!(tries <= 6, "{tries} tries");
}

#[test]
fn what_is_wrong_is_said_once_it_is_met() {
    let found = largest(40, LIMITS, |_| Ok::<_, Infallible>(Attempt::Refused("no".into())));
    assert_eq!(found, Ok(Largest::Refused { size: 40, reason: "no".into() }));
}

/// Packs items of these sizes, some of which are bad.
fn packed(sizes: &[u64], bad: &[usize]) -> nunet_contracts::batch::Packed {
    let attempt = |set: &[usize]| {
        let load = load(890 + set.iter().map(|item| sizes[*item]).sum::<u64>(), 0);
        match judge(load) {
            Attempt::Fits(_) if set.iter().any(|item| bad.contains(item)) => Ok(Attempt::Refused("bad".into())),
            other => Ok::<_, Infallible>(other),
        }
    };
    pack(sizes.len(), LIMITS, attempt).unwrap()
}

#[test]
fn bad_items_are_left_out_and_the_others_go() {
    let packed = packed(&[160; 130], &[0, 57, 58, 129]);
    let mut refused: Vec<usize> = packed.refused.iter().map(|(item, _)| *item).collect();
    refused.sort_unstable();
    assert_eq!(refused, [0, 57, 58, 129]);
    assert_eq!(packed.sets.iter().map(Vec::len).sum::<usize>(), 126);
    assert_eq!(packed.sets.len(), 2);
}

#[test]
fn items_at_odds_with_each_other_go_apart() {
    let attempt = |set: &[usize]| {
        let at_odds = set.contains(&3) && set.contains(&9);
        Ok::<_, Infallible>(if at_odds { Attempt::Refused("both".into()) } else { Attempt::Fits(load(1_000, 0)) })
    };
    let packed = pack(12, LIMITS, attempt).unwrap();
    assert_eq!(packed.refused, []);
    assert_eq!(packed.sets, [vec![0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11], vec![9]]);
}

#[test]
fn an_item_larger_than_a_transaction_blocks_nothing() {
    let mut sizes = [160; 20];
    sizes[3] = 20_000;
    let packed = packed(&sizes, &[]);
    assert_eq!(packed.sets.len(), 1);
    assert_eq!(packed.refused.iter().map(|(item, _)| *item).collect::<Vec<_>>(), [3]);
}

#[test]
fn a_last_transaction_that_fits_into_the_others_gaps_is_spared() {
    assert_eq!(packed(&[8_000, 7_400, 8_000, 7_494, 94], &[]).sets.len(), 2);
    assert_eq!(packed(&[8_000, 7_400, 8_000, 7_494, 95], &[]).sets.len(), 3);
}

proptest! {
    #[test]
    fn the_largest_is_found_by_few_tries_however_costs_bend(
        fixed in 0u64..4_000, each in 30u64..4_000, bend in 0u64..3_000, mem in 0u64..300_000, count in 1usize..=256,
    ) {
        // Merged payouts are walked to: memory grows with the square.
        let cost = |n: u64| load(fixed + each * n, mem * n + bend * n * n);
        let (size, tries) = search(count, cost);
        let exact = (1..=count).take_while(|n| matches!(judge(cost(*n as u64)), Attempt::Fits(_))).count();
        prop_assert_eq!(size, exact);
        prop_assert!(tries <= 20, "{} tries", tries);
    }

    /// Every set but the last is full to less than one more item, so that at most one transaction is one too many.
    #[test]
    fn few_sets_take_all(sizes in prop::collection::vec(60u64..300, 1..600)) {
        let packed = packed(&sizes, &[]);
        let mut items: Vec<usize> = packed.sets.concat();
        items.sort_unstable();
        prop_assert_eq!(items, (0..sizes.len()).collect::<Vec<_>>());
        let room = LIMITS.bytes - 890;
        let total: u64 = sizes.iter().sum();
        let least = total.div_ceil(room);
        let most = total.div_ceil(room - sizes.iter().max().unwrap());
        let found = packed.sets.len() as u64;
        prop_assert!((least..=most).contains(&found), "{} of {} to {}", found, least, most);
    }

    #[test]
    fn equal_items_go_into_the_fewest_sets(each in 60u64..3_000, count in 1usize..600) {
        let packed = packed(&vec![each; count], &[]);
        let room = usize::try_from((LIMITS.bytes - 890) / each).unwrap();
        prop_assert_eq!(packed.sets.len(), count.div_ceil(room));
    }
}

fn protocol() -> &'static Protocol {
    static PROTOCOL: OnceLock<Protocol> = OnceLock::new();
    PROTOCOL.get_or_init(|| {
        let ntx = AssetId { policy: ScriptHash([7; 28]), name: b"NTX".to_vec() };
        Protocol::new(NetworkMagic::DEVNET, ntx).unwrap()
    })
}

fn address(seed: u8) -> Address {
    Address::new(0, Credential::Key(KeyHash([seed; 28])), None)
}

fn members() -> Vec<SigningKey> {
    (1..=3).map(|seed| SigningKey::from_bytes(&[seed; 32])).collect()
}

/// A committee of three, of whom two must sign.
fn committee() -> Committee {
    let keys = members().iter().map(|key| MemberKey(key.verifying_key().to_bytes())).collect();
    let datum = CommitteeDatum::new(keys, 2, address(9)).unwrap();
    let seed = OutPoint { tx: TxId([3; 32]), index: 0 };
    let funds = TxOut::new(address(8), Value::lovelace_only(Lovelace(5_000_000)));
    let (_, plan) = create_committee(protocol(), &ProtocolParameters::mainnet(), (seed, funds), &datum).unwrap();
    let outpoint = OutPoint { tx: TxId([4; 32]), index: 0 };
    Committee::read(protocol(), outpoint, plan.outputs[0].clone()).unwrap()
}

const DEADLINE: PosixMs = PosixMs(1_000_000);

fn escrow(index: u16, requester: u8, provider: u8) -> Escrow {
    let datum = JobDatum {
        requester: address(requester),
        provider: address(provider),
        price: Ntx(100),
        fee: Ntx(10),
        bond: Ntx(0),
        deposit: Lovelace(1_500_000),
        carry: Lovelace(0),
        deadline: DEADLINE,
        committee: committee().id,
        agreement: AgreementHash([1; 32]),
        voucher_key: None,
    };
    let output = escrow_output(protocol(), &EscrowTerms { datum, tip: Lovelace(1_000_000) }).unwrap();
    Escrow::read(protocol(), OutPoint { tx: TxId([1; 32]), index }, output).unwrap()
}

fn leaf(escrow: &Escrow, paid: u64) -> Leaf {
    Leaf { escrow: escrow.outpoint, paid: Ntx(paid), slashed: Ntx(0) }
}

/// Signed by these members.
fn signed(leaves: Vec<Leaf>, signers: &[usize]) -> SignedVerdict {
    let verdict = Verdict::new(protocol().magic(), protocol().logic_hash(), [0; 32], leaves).unwrap();
    let message = verdict.message();
    let members = members();
    let sign = |place: &usize| {
        let key = &members[*place];
        (MemberKey(key.verifying_key().to_bytes()), key.sign(&message).to_bytes())
    };
    SignedVerdict { verdict, signatures: signers.iter().map(sign).collect(), committee: committee().id }
}

fn ways(escrow: &Escrow, verdicts: &[SignedVerdict], now: PosixMs) -> Result<Vec<Way>, Obstacle> {
    let committee = committee();
    let checked: Vec<_> = verdicts.iter().map(|signed| signed.check(protocol(), Some(&committee))).collect();
    ways_out(protocol(), escrow, verdicts, &checked, now)
}

#[test]
fn a_verdict_goes_before_the_deadline_and_after_it() {
    let (one, other) = (escrow(1, 10, 20), escrow(2, 11, 20));
    let verdicts = [signed(vec![leaf(&one, 60)], &[0, 1]), signed(vec![leaf(&one, 60), leaf(&other, 100)], &[1, 2])];
    let after = PosixMs(DEADLINE.0);
    let before = PosixMs(DEADLINE.0 - 1);
    for now in [before, after] {
        assert_eq!(ways(&one, &verdicts, now), Ok(vec![Way::Settle(0), Way::Settle(1)]));
        assert_eq!(ways(&other, &verdicts, now), Ok(vec![Way::Settle(1)]));
    }
    let third = escrow(3, 12, 20);
    assert_eq!(ways(&third, &verdicts, before), Err(Obstacle::Waiting { deadline: DEADLINE, flaws: vec![] }));
    assert_eq!(ways(&third, &verdicts, after), Ok(vec![Way::Refund]));
}

#[test]
fn a_verdict_without_enough_good_signatures_is_none() {
    let one = escrow(1, 10, 20);
    let mut forged = signed(vec![leaf(&one, 60)], &[0, 1, 2]);
    forged.signatures.values_mut().take(2).for_each(|signature| signature[0] ^= 1);
    let mut stranger = signed(vec![leaf(&one, 60)], &[0]);
    let key = SigningKey::from_bytes(&[77; 32]);
    let by_a_stranger = key.sign(&stranger.verdict.message()).to_bytes();
    stranger.signatures.insert(MemberKey(key.verifying_key().to_bytes()), by_a_stranger);
    let too_few = Flaw::TooFewSignatures { valid: 1, threshold: 2 };
    let found = ways(&one, &[forged.clone(), stranger], PosixMs(0));
    assert_eq!(found, Err(Obstacle::Waiting { deadline: DEADLINE, flaws: vec![too_few.clone(), too_few] }));
    assert_eq!(ways(&one, &[forged], DEADLINE), Ok(vec![Way::Refund]), "the deadline helps");
}

#[test]
fn only_as_many_good_signatures_as_are_needed_go_to_the_chain() {
    let one = escrow(1, 10, 20);
    let mut verdict = signed(vec![leaf(&one, 60)], &[0, 1, 2]);
    let usable = verdict.check(protocol(), Some(&committee())).unwrap();
    assert_eq!(usable.signatures.len(), 2);
    // One bad signature among enough good ones would make the validator refuse all.
    verdict.signatures.values_mut().take(1).for_each(|signature| signature[0] ^= 1);
    let usable = verdict.check(protocol(), Some(&committee())).unwrap();
    let message = verdict.verdict.message();
    assert_eq!(committee().verified(&message, &usable.signatures), usable.signatures);
    assert_eq!(usable.signatures.len(), 2);
}

#[test]
fn a_verdict_that_does_not_fit_is_none() {
    let one = escrow(1, 10, 20);
    let too_much = signed(vec![leaf(&one, 101)], &[0, 1]);
    let mut elsewhere = signed(vec![leaf(&one, 60)], &[0, 1]);
    let leaves = elsewhere.verdict.leaves().to_vec();
    elsewhere.verdict = Verdict::new(NetworkMagic(1), protocol().logic_hash(), [0; 32], leaves).unwrap();
    let found = ways(&one, &[too_much, elsewhere.clone()], PosixMs(0));
    let Err(Obstacle::Waiting { flaws, .. }) = found else { panic!("{found:?}") };
    assert!(matches!(flaws[..], [Flaw::Unfit(_), Flaw::OtherProtocol]), "{flaws:?}");
    let nobody = elsewhere.check(protocol(), None);
    assert!(matches!(nobody, Err(Flaw::CommitteeMissing(_))), "{nobody:?}");
}

#[test]
fn an_escrow_that_promises_more_than_it_holds_is_nobodys_business() {
    let mut forged = escrow(1, 10, 20);
    forged.datum.price = Ntx(1_000);
    forged.output.datum = Some(Datum::Inline(forged.datum.to_cbor().unwrap()));
    let forged = Escrow::read(protocol(), forged.outpoint, forged.output).unwrap();
    let missing = Obstacle::Underfunded(Shortfall::Missing { ntx: Ntx(900), lovelace: Lovelace(0) });
    assert_eq!(ways(&forged, &[], DEADLINE), Err(missing));
    let mut poor = escrow(1, 10, 20);
    poor.output.value.set_lovelace(Lovelace(1_400_000));
    let missing = Obstacle::Underfunded(Shortfall::Missing { ntx: Ntx(0), lovelace: Lovelace(100_000) });
    assert_eq!(ways(&poor, &[], DEADLINE), Err(missing));
}

#[test]
fn those_who_share_a_payee_come_together() {
    // Requester 10 with three providers; provider 20 with three requesters, one of them 10.
    let parties = [(10, 21), (11, 20), (10, 22), (12, 20), (10, 20), (13, 23)];
    let mut escrows: Vec<Escrow> =
        (0..).zip(parties).map(|(index, (requester, provider))| escrow(index, requester, provider)).collect();
    sort_by_payees(&mut escrows, Way::Settle(0));
    let sorted: Vec<(Address, Address)> =
        escrows.iter().map(|escrow| (escrow.datum.requester.clone(), escrow.datum.provider.clone())).collect();
    let with = |party: u8| -> Vec<usize> {
        let shares = |pair: &(Address, Address)| pair.0 == address(party) || pair.1 == address(party);
        sorted.iter().enumerate().filter(|(_, pair)| shares(pair)).map(|(place, _)| place).collect()
    };
    assert_eq!(with(10), [0, 1, 2]);
    assert_eq!(with(20), [0, 3, 4]);
    assert_eq!(with(13), [5]);
}

#[test]
fn signatures_of_another_batch_do_not_count() {
    let (one, other) = (escrow(1, 10, 20), escrow(2, 11, 20));
    let mut moved: SignedVerdict = signed(vec![leaf(&one, 60)], &[0, 1]);
    let elsewhere: Signatures = signed(vec![leaf(&other, 60)], &[0, 1]).signatures;
    moved.signatures = elsewhere;
    let found = moved.check(protocol(), Some(&committee()));
    assert!(matches!(found, Err(Flaw::TooFewSignatures { valid: 0, threshold: 2 })), "{found:?}");
}
