//! Batches fitted against real balancing: as few transactions as the exhaustive search finds, each escrow in one.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
};

use ed25519_dalek::{Signer, SigningKey};
use nunet_chain::{
    Utxo, balance,
    batch::{Case, Planned, Planner},
};
use nunet_contracts::{
    AgreementHash, Committee, CommitteeDatum, Deployment, Escrow, EscrowTerms, JobDatum, Leaf, MemberKey, Ntx,
    Protocol, SignedVerdict, Verdict,
    batch::Way,
    transactions::{create_committee, escrow_output, publish_scripts},
};
use nunet_ledger::{
    Address, AssetId, Credential, KeyHash, Lovelace, NetworkMagic, OutPoint, PosixMs, ProtocolParameters, ScriptHash,
    Slot, TxId,
};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use support::*;

const DEADLINE: PosixMs = PosixMs(1_700_000_100_000);

fn protocol() -> &'static Protocol {
    static PROTOCOL: OnceLock<Protocol> = OnceLock::new();
    PROTOCOL.get_or_init(|| Protocol::new(NetworkMagic::DEVNET, ntx()).unwrap())
}

fn ntx() -> AssetId {
    AssetId { policy: ScriptHash([7; 28]), name: b"NTX".to_vec() }
}

fn at(tx: u8, index: u16) -> OutPoint {
    OutPoint { tx: TxId([tx; 32]), index }
}

fn key_address(seed: u8) -> Address {
    Address::new(0, Credential::Key(KeyHash([seed; 28])), None)
}

fn base_address(seed: u8) -> Address {
    let key = |number| Credential::Key(KeyHash([number; 28]));
    Address::new(0, key(seed), Some(key(seed ^ 0xff)))
}

fn members() -> [SigningKey; 3] {
    [1, 2, 3].map(|seed| SigningKey::from_bytes(&[seed; 32]))
}

/// Two of three must sign.
fn committee() -> &'static Committee {
    static COMMITTEE: OnceLock<Committee> = OnceLock::new();
    COMMITTEE.get_or_init(|| {
        let keys = members().iter().map(|key| MemberKey(key.verifying_key().to_bytes())).collect();
        let datum = CommitteeDatum::new(keys, 2, key_address(0xcc)).unwrap();
        let seed = (at(0xc1, 0), utxo(1, &key_address(1), lovelace(5_000_000)).output);
        let (_, plan) = create_committee(protocol(), &ProtocolParameters::mainnet(), seed, &datum).unwrap();
        Committee::read(protocol(), at(0xc2, 0), plan.outputs[0].clone()).unwrap()
    })
}

fn signed(leaves: Vec<Leaf>) -> SignedVerdict {
    let verdict = Verdict::new(protocol().magic(), protocol().logic_hash(), [0; 32], leaves).unwrap();
    let message = verdict.message();
    let sign = |key: &SigningKey| (MemberKey(key.verifying_key().to_bytes()), key.sign(&message).to_bytes());
    SignedVerdict { verdict, signatures: members().iter().map(sign).collect(), committee: committee().id }
}

/// A planner without escrows, under limits of that many bytes and that much memory.
fn planner(max_size: u64, max_mem: u64, verdicts: &[SignedVerdict]) -> Planner {
    let mut params = ProtocolParameters::mainnet();
    let outputs = publish_scripts(protocol(), &params).outputs;
    let [stub, logic, lease] = [0, 1, 2].map(|index| (at(0xd0, index as u16), outputs[index].clone()));
    params.max_tx_size = max_size;
    params.max_tx_ex_units.mem = max_mem;
    let wallet = wallet(0);
    let funds = [(1, 50_000_000), (2, 5_000_000)]
        .map(|(number, amount)| utxo(number, &wallet.address(), lovelace(amount)))
        .to_vec();
    let usable = verdicts.iter().map(|signed| signed.check(protocol(), Some(committee())).ok()).collect();
    let now = slots().at(DEADLINE);
    Planner {
        deployment: Deployment::new(protocol().clone(), stub, logic, lease).unwrap(),
        params: Arc::new(params),
        slots: slots(),
        magic: NetworkMagic::DEVNET,
        wallet,
        funds,
        verdicts: usable,
        now,
        until: Slot(now.0 + 300),
    }
}

/// What tells escrows of a test apart.
#[derive(Clone, Debug)]
struct Kind {
    requester: Address,
    provider: Address,
    carry: u64,
}

fn escrow(index: u16, kind: &Kind) -> Escrow {
    let datum = JobDatum {
        requester: kind.requester.clone(),
        provider: kind.provider.clone(),
        price: Ntx(5_000_000),
        fee: Ntx(500_000),
        bond: Ntx(0),
        deposit: Lovelace(1_500_000),
        carry: Lovelace(kind.carry),
        deadline: DEADLINE,
        committee: committee().id,
        agreement: AgreementHash([1; 32]),
        voucher_key: None,
    };
    let output = escrow_output(protocol(), &EscrowTerms { datum, tip: Lovelace(2_000_000) }).unwrap();
    Escrow::read(protocol(), at(0xe0, index), output).unwrap()
}

fn escrows(kinds: &[Kind]) -> Vec<Escrow> {
    (0..).zip(kinds).map(|(index, kind)| escrow(index, kind)).collect()
}

fn distinct(count: u8) -> Vec<Kind> {
    (0..count).map(|n| Kind { requester: base_address(n), provider: key_address(0xaa), carry: 0 }).collect()
}

fn leaf(escrow: &Escrow, paid: u64) -> Leaf {
    Leaf { escrow: escrow.outpoint, paid: Ntx(paid), slashed: Ntx(0) }
}

fn cases(escrows: &[Escrow], ways: impl Fn(usize) -> Vec<Way>) -> Vec<Case> {
    escrows.iter().enumerate().map(|(n, escrow)| Case { escrow: escrow.clone(), ways: ways(n) }).collect()
}

/// Asserts that each escrow is in exactly one batch, and that each batch really makes a transaction.
fn is_sound(planner: &Planner, cases: &[Case], planned: &Planned) {
    assert_eq!(planned.refused, []);
    let mut closed = BTreeSet::new();
    for batch in &planned.batches {
        for escrow in &batch.escrows {
            assert!(closed.insert(escrow.outpoint), "{} is closed twice", escrow.outpoint);
            let case = cases.iter().find(|case| case.escrow == *escrow).unwrap();
            assert!(case.ways.contains(&batch.way));
        }
        assert!(fits(planner, batch.way, &batch.escrows), "{batch:?}");
    }
    assert_eq!(closed.len(), cases.len());
}

fn fits(planner: &Planner, way: Way, escrows: &[Escrow]) -> bool {
    let Planner { funds, wallet, params, slots, magic, .. } = planner;
    let plan = planner.plan_of(way, escrows).unwrap();
    match balance(&plan, funds, &wallet.address(), params, slots, *magic) {
        Ok(_) => true,
        Err(error) => {
            assert!(error.exceeds_a_transaction(), "{error}");
            false
        }
    }
}

/// The fewest transactions for escrows with one way out, by trying every partition.
fn fewest(planner: &Planner, way: Way, escrows: &[Escrow]) -> usize {
    let all = (1_usize << escrows.len()) - 1;
    let mut known = BTreeMap::new();
    let mut fits_together = |mask: usize| {
        *known.entry(mask).or_insert_with(|| {
            let set: Vec<Escrow> =
                escrows.iter().enumerate().filter(|(n, _)| mask >> n & 1 == 1).map(|(_, e)| e.clone()).collect();
            fits(planner, way, &set)
        })
    };
    let mut least = vec![0; all + 1];
    for mask in 1..=all {
        // Every part of the set that holds its first escrow.
        let first = mask & mask.wrapping_neg();
        let mut best = usize::MAX;
        let mut part = mask;
        while part > 0 {
            if part & first > 0 && least[mask & !part] + 1 < best && fits_together(part) {
                best = least[mask & !part] + 1;
            }
            part = (part - 1) & mask;
        }
        least[mask] = best;
    }
    least[all]
}

fn parties() -> impl Strategy<Value = Kind> {
    let requester = prop_oneof![(0u8..3).prop_map(key_address), (0u8..8).prop_map(|n| base_address(100 + n))];
    let provider = prop_oneof![Just(key_address(0xaa)), Just(base_address(0xab)), Just(key_address(0))];
    let carry = prop_oneof![Just(0), Just(1_500_000)];
    (requester, provider, carry).prop_map(|(requester, provider, carry)| Kind { requester, provider, carry })
}

/// Cases that are held against every partition.
const PARTITIONED: usize = 20;

/// Limits so low that three to five escrows fill a transaction: the margin of one escrow, which hardly ever matters in a
/// transaction of a hundred, matters as much as it can.
#[test]
fn hardly_any_partition_has_fewer_transactions() {
    let case = (prop::collection::vec((parties(), any::<bool>()), 4..7), 200u64..900, any::<bool>());
    let mut runner = TestRunner::deterministic();
    let mut exact = 0;
    for _ in 0..PARTITIONED {
        let (kinds, room, by_verdict) = case.new_tree(&mut runner).unwrap().current();
        let (kinds, full): (Vec<Kind>, Vec<bool>) = kinds.into_iter().unzip();
        let escrows = escrows(&kinds);
        let leaves = escrows.iter().zip(full).map(|(e, full)| leaf(e, if full { 5_000_000 } else { 3_000_000 }));
        let verdicts = if by_verdict { vec![signed(leaves.collect())] } else { Vec::new() };
        // One always fits: a settlement shows all leaves of its verdict.
        let planner = planner(if by_verdict { 1_500 } else { 800 } + room, 14_000_000, &verdicts);
        let way = if by_verdict { Way::Settle(0) } else { Way::Refund };
        let cases = cases(&escrows, |_| vec![way]);
        let planned = planner.plan_now(&cases).unwrap();
        is_sound(&planner, &cases, &planned);
        let (found, least) = (planned.batches.len(), fewest(&planner, way, &escrows));
        assert!((least..=least + 1).contains(&found), "{found}, and {least} would do: {kinds:?}");
        exact += usize::from(found == least);
    }
    assert!(exact * 20 >= PARTITIONED * 19, "the fewest in {exact} of {PARTITIONED} cases");
}

#[test]
fn memory_bounds_batches_as_bytes_do() {
    let escrows = escrows(&distinct(9));
    let verdicts = [signed(escrows.iter().map(|escrow| leaf(escrow, 5_000_000)).collect())];
    let planner = planner(16_384, 620_000, &verdicts);
    let cases = cases(&escrows, |_| vec![Way::Settle(0)]);
    let planned = planner.plan_now(&cases).unwrap();
    is_sound(&planner, &cases, &planned);
    let largest = (1..=9).rev().find(|size| fits(&planner, Way::Settle(0), &escrows[..*size])).unwrap();
    assert!((2..9).contains(&largest), "memory bounds them at {largest}");
    assert_eq!(planned.batches.len(), 9_usize.div_ceil(largest));
}

#[test]
fn a_full_batch_is_found_by_few_tries() {
    let escrows = escrows(&distinct(120));
    let verdicts = [signed(escrows.iter().map(|escrow| leaf(escrow, 3_000_000)).collect())];
    let planner = planner(16_384, 14_000_000, &verdicts);
    let cases = cases(&escrows, |_| vec![Way::Settle(0)]);
    let planned = planner.plan_now(&cases).unwrap();
    is_sound(&planner, &cases, &planned);
    assert_eq!(planned.batches.len(), 2);
    assert!(!fits(&planner, Way::Settle(0), &escrows), "one does not take all");
    assert!(planned.tries <= 9, "{} tries", planned.tries);
}

#[test]
fn a_recomposed_batch_that_holds_all_settles_all() {
    let escrows = escrows(&distinct(9));
    let all: Vec<Leaf> = escrows.iter().map(|escrow| leaf(escrow, 3_000_000)).collect();
    let verdicts = [signed(all[..6].to_vec()), signed(all)];
    let planner = planner(16_384, 14_000_000, &verdicts);
    let cases = cases(&escrows, |n| if n < 6 { vec![Way::Settle(0), Way::Settle(1)] } else { vec![Way::Settle(1)] });
    let planned = planner.plan_now(&cases).unwrap();
    is_sound(&planner, &cases, &planned);
    assert_eq!(planned.batches.len(), 1);
}

#[test]
fn junk_in_an_escrow_does_not_hold_the_others_up() {
    let mut escrows = escrows(&distinct(5));
    // Each is small enough to be an output; the change that both leave is not, and becomes two.
    for (number, escrow) in [(1, 1), (2, 3)] {
        for n in 0..60 {
            let asset = AssetId { policy: ScriptHash([number; 28]), name: [&[n; 31][..], &[number]].concat() };
            assert!(escrows[escrow].output.value.add_asset(asset, 1).is_some());
        }
    }
    let mut planner = planner(16_384, 14_000_000, &[]);
    Arc::make_mut(&mut planner.params).max_value_size = 3_000;
    planner.funds = vec![Utxo { outpoint: at(9, 0), ..utxo(1, &planner.wallet.address(), lovelace(90_000_000)) }];
    let cases = cases(&escrows, |_| vec![Way::Refund]);
    let planned = planner.plan_now(&cases).unwrap();
    is_sound(&planner, &cases, &planned);
    assert_eq!(planned.batches.len(), 1);
}
