//! What payments leave behind in a wallet, who pays into them, and that no fee is a lovelace too much.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use nunet_chain::{
    BuildError, ChangeStyle, ChangeTo, Share, Signed, Unsigned, Utxo, Wallet, balance, balance_with, check, with_shares,
};
use nunet_contracts::TxPlan;
use nunet_ledger::{
    Address, AssetId, Lovelace, NetworkMagic, ScriptHash, Slot, TxOut, Value, fees, parameters::ProtocolParameters,
};
use proptest::prelude::*;
use support::*;

const NOW: Slot = Slot(1_000);

fn params() -> ProtocolParameters {
    ProtocolParameters::mainnet()
}

fn pay(amount: u64) -> TxPlan {
    TxPlan { outputs: vec![TxOut::new(wallet(2).address(), lovelace(amount))], ..TxPlan::default() }
}

fn build(plan: &TxPlan, funds: &[Utxo], to: &Address, style: ChangeStyle) -> Result<Unsigned, BuildError> {
    let change = ChangeTo { address: to.clone(), style };
    balance_with(plan, funds, &change, &params(), &slots(), NetworkMagic::DEVNET)
}

fn signed(unsigned: Unsigned, wallets: &[&Wallet]) -> Signed {
    let signed = unsigned.sign_with(wallets).finish().unwrap();
    check(&signed, &params(), &slots(), NOW).unwrap();
    signed
}

/// Many kinds of assets under one policy.
fn crowd(kinds: u16) -> Value {
    (0..kinds).fold(lovelace(100_000_000), |value, kind| {
        let name = format!("Asset number {kind:04}").into_bytes();
        value.with(AssetId { policy: ScriptHash([7; 28]), name }, 1_000).unwrap()
    })
}

#[test]
fn tidy_change_keeps_assets_apart_and_makes_something_for_collateral() {
    let alice = wallet(0);
    let funds = [utxo(1, &alice.address(), crowd(25))];
    let signed = signed(build(&pay(10_000_000), &funds, &alice.address(), ChangeStyle::Tidy).unwrap(), &[&alice]);
    let change = &signed.tx.body.outputs[1..];
    let (plain, bundles): (Vec<_>, Vec<_>) = change.iter().partition(|output| output.value.assets().len() == 0);
    assert_eq!(bundles.iter().map(|output| output.value.assets().len()).collect::<Vec<_>>(), [10, 10, 5]);
    assert!(plain.iter().any(|output| output.value.lovelace() == Lovelace(5_000_000)), "collateral");
    assert!(plain.iter().any(|output| output.value.lovelace() == Lovelace(10_000_000)), "as large as the payment");
    assert_eq!(plain.len(), 3);
}

#[test]
fn repeated_payments_settle_at_a_handful_of_plain_outputs() {
    let alice = wallet(0);
    let mut held = vec![utxo(1, &alice.address(), crowd(25)), utxo(2, &alice.address(), lovelace(900_000_000))];
    for number in 0..40_u64 {
        let plan = pay(3_000_000 + number * 100_000);
        let signed = signed(build(&plan, &held, &alice.address(), ChangeStyle::Tidy).unwrap(), &[&alice]);
        held.retain(|utxo| !signed.consumed().contains(&utxo.outpoint));
        held.extend(signed.produced().into_iter().filter(|utxo| utxo.output.address == alice.address()));
    }
    let (plain, bundles): (Vec<_>, Vec<_>) = held.iter().partition(|utxo| utxo.output.value.assets().len() == 0);
    assert!((4..=10).contains(&plain.len()), "{}", plain.len());
    assert!(bundles.len() <= 3, "{}", bundles.len());
    assert!(plain.iter().all(|utxo| utxo.output.value.lovelace() >= Lovelace(2_000_000)), "no dust");
    assert!(plain.iter().any(|utxo| utxo.output.value.lovelace() >= Lovelace(5_000_000)), "collateral");
}

#[test]
fn a_wallet_full_of_small_outputs_is_swept_up_a_few_at_a_time() {
    let alice = wallet(0);
    let mut funds: Vec<Utxo> = (1..=60).map(|n| utxo(n, &alice.address(), lovelace(1_100_000))).collect();
    funds.push(utxo(100, &alice.address(), lovelace(500_000_000)));
    let tidy = signed(build(&pay(50_000_000), &funds, &alice.address(), ChangeStyle::Tidy).unwrap(), &[&alice]);
    assert_eq!(tidy.consumed().len(), 7);
    let single = signed(build(&pay(50_000_000), &funds, &alice.address(), ChangeStyle::Single).unwrap(), &[&alice]);
    assert_eq!(single.consumed().len(), 1);
    let extra = tidy.tx.body.fee.0 - single.tx.body.fee.0;
    assert!(extra < 25_000, "six inputs and some outputs cost {extra} lovelace");
}

#[test]
fn assets_too_many_for_one_output_go_into_several_even_without_being_asked() {
    let alice = wallet(0);
    // About 7,000 bytes of assets; a value may have 5,000.
    let funds = [utxo(1, &alice.address(), crowd(280))];
    let signed = signed(build(&pay(10_000_000), &funds, &alice.address(), ChangeStyle::Single).unwrap(), &[&alice]);
    let kinds: Vec<usize> = signed.tx.body.outputs[1..].iter().map(|output| output.value.assets().len()).collect();
    assert_eq!(kinds.iter().sum::<usize>(), 280);
    assert_eq!(kinds.len(), 2);
}

#[test]
fn each_owner_pays_its_share_exactly_and_gets_its_own_change() {
    let (alice, bob, carol) = (wallet(0), wallet(1), wallet(2));
    let token = asset(4);
    let of_bob = [
        utxo(11, &bob.address(), lovelace(4_000_000).with(token.clone(), 70).unwrap()),
        utxo(12, &bob.address(), lovelace(30_000_000)),
    ];
    let of_carol = [utxo(21, &carol.enterprise_address(), lovelace(8_000_000))];
    let of_alice = [utxo(1, &alice.address(), lovelace(20_000_000))];
    let to = |wallet: &Wallet| ChangeTo { address: wallet.address(), style: ChangeStyle::Single };
    let shares = [
        Share { value: lovelace(12_000_000).with(token.clone(), 50).unwrap(), funds: &of_bob, change: to(&bob) },
        Share { value: lovelace(5_000_000), funds: &of_carol, change: to(&carol) },
    ];
    let goal = TxOut::new(script_address(&always_true()), lovelace(20_000_000).with(token.clone(), 50).unwrap());
    let plan = with_shares(TxPlan { outputs: vec![goal.clone()], ..TxPlan::default() }, &shares, &params()).unwrap();
    let unsigned = balance(&plan, &of_alice, &alice.address(), &params(), &slots(), NetworkMagic::DEVNET).unwrap();
    // The body goes round; each signs a copy.
    let file = unsigned.to_bytes();
    let mut merged = Unsigned::from_bytes(&file).unwrap();
    assert_eq!(merged.missing().len(), 3);
    for signer in [&alice, &bob, &carol] {
        merged.merge(&Unsigned::from_bytes(&file).unwrap().sign_with(&[signer])).unwrap();
    }
    let signed = merged.finish().unwrap();
    check(&signed, &params(), &slots(), NOW).unwrap();
    let body = &signed.tx.body;
    assert_eq!(body.outputs[0], goal);
    let back = |wallet: &Wallet| {
        let outputs = body.outputs.iter().filter(|output| output.address == wallet.address());
        outputs.fold(Value::default(), |sum, output| sum.checked_add(&output.value).unwrap())
    };
    assert_eq!(back(&bob), lovelace(22_000_000).with(token, 20).unwrap());
    assert_eq!(back(&carol), lovelace(3_000_000));
    assert_eq!(back(&alice).lovelace().0 + body.fee.0, 17_000_000);
    // Who cannot pay is named.
    let poor = [Share { value: lovelace(9_000_000), funds: &of_carol, change: to(&carol) }];
    let error = with_shares(TxPlan::default(), &poor, &params()).unwrap_err();
    assert!(matches!(&error, BuildError::Share { owner, .. } if *owner == carol.address()), "{error}");
}

#[test]
fn a_wallet_of_ten_thousand_outputs_pays_with_a_few() {
    let alice = wallet(0);
    let outpoint = |n: u16| nunet_ledger::OutPoint { tx: nunet_ledger::TxId([9; 32]), index: n };
    let funds: Vec<Utxo> = (0..10_000_u16)
        .map(|n| Utxo {
            outpoint: outpoint(n),
            output: TxOut::new(alice.address(), lovelace(1_000_000 + u64::from(n) * 1_000)),
        })
        .collect();
    for style in [ChangeStyle::Single, ChangeStyle::Tidy] {
        let signed = signed(build(&pay(100_000_000), &funds, &alice.address(), style).unwrap(), &[&alice]);
        assert!(signed.consumed().len() < 20, "{}", signed.consumed().len());
    }
}

/// The same transaction with a lovelace less for the fee and more for its last output.
fn underpaid(signed: &Signed, wallet: &Wallet) -> Signed {
    let mut less = signed.clone();
    less.tx.body.fee.0 -= 1;
    let last = less.tx.body.outputs.last_mut().unwrap();
    last.value.set_lovelace(Lovelace(last.value.lovelace().0 + 1));
    less.id = less.tx.id();
    less.tx.witnesses.vkeys = vec![wallet.sign(&less.id)];
    less.cbor = less.tx.to_cbor();
    less
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn change_is_whole_and_accepted_and_the_fee_is_the_least(
        amounts in proptest::collection::vec((1_200_000_u64..80_000_000, 0_u16..30), 1..30),
        paid in 1_000_000_u64..60_000_000,
        tidy in any::<bool>(),
    ) {
        let alice = wallet(0);
        let funds: Vec<Utxo> = (0..).zip(&amounts).map(|(n, (amount, kinds))| {
            let mut value = crowd(*kinds);
            value.set_lovelace(Lovelace(amount + u64::from(*kinds) * 200_000));
            utxo(n, &alice.address(), value)
        }).collect();
        let style = if tidy { ChangeStyle::Tidy } else { ChangeStyle::Single };
        match build(&pay(paid), &funds, &alice.address(), style) {
            Ok(unsigned) => {
                let signed = unsigned.sign_with(&[&alice]).finish().unwrap();
                let checked = check(&signed, &params(), &slots(), NOW);
                prop_assert!(checked.is_ok(), "{}", checked.unwrap_err());
                let least = fees::min_fee(&params(), fees::ledger_size(&signed.cbor), Default::default(), 0);
                let fee = signed.tx.body.fee;
                prop_assert!(fee >= least && fee.0 <= least.0 + 4 * params().min_fee_a, "{fee} {least}");
                if fee == least && signed.tx.body.outputs.len() > 1 {
                    let error = check(&underpaid(&signed, &alice), &params(), &slots(), NOW).unwrap_err();
                    prop_assert!(error.to_string().contains("fee"), "{error}");
                }
            }
            Err(BuildError::NotEnoughFunds { .. }) => {
                let held: u64 = funds.iter().map(|utxo| utxo.output.value.lovelace().0).sum();
                // Fee and what the assets' outputs must hold.
                prop_assert!(held < paid + 12_000_000, "{held} covers {paid}");
            }
            Err(error) => prop_assert!(false, "{error}"),
        }
    }
}
