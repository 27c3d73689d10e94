//! Attacks on committees: founding bad ones, taking one over, and settling by one that is none, or no longer is.

use ed25519_dalek::{Signer, SigningKey};
use nunet::{accounts::Role, deployment::found_committee, world::World};
use nunet_contracts::{
    Committee, CommitteeDatum, CommitteeId, MemberKey, Mint, Signatures, Spend, TxPlan, data,
    transactions::{create_committee, rotate_committee, settle},
};
use nunet_ledger::{
    Address, AssetId, Credential, Datum, KeyHash, Lovelace, NetworkMagic, OutPoint, TxOut, Value, hash::blake2b_256,
};
use nunet_tests::{finish, verdict};
use pallas_primitives::PlutusData;

use crate::{
    craft::{
        BoxedDamage, ENOUGH, Junk, add, edit, edit_action, edit_list, int, job, leaf, lock, person, put, roomy,
        set_datum, settlement_of, yes,
    },
    trial::Trial,
};

/// Keys in the order that a committee's datum has them in.
fn keys(count: u8) -> Vec<SigningKey> {
    let mut keys: Vec<_> = (1..=count).map(|seed| SigningKey::from_bytes(&[seed; 32])).collect();
    keys.sort_by_key(|key| key.verifying_key().to_bytes());
    keys
}

fn public(key: &SigningKey) -> Vec<u8> {
    key.verifying_key().to_bytes().to_vec()
}

fn committee_of(keys: &[SigningKey], threshold: u8, treasury: Address) -> CommitteeDatum {
    let members = keys.iter().map(|key| MemberKey(key.verifying_key().to_bytes())).collect();
    CommitteeDatum::new(members, threshold, treasury).unwrap()
}

/// Datums that no committee may have.
fn bad_datums() -> Vec<(&'static str, PlutusData)> {
    let good: Vec<Vec<u8>> = keys(3).iter().map(public).collect();
    let treasury = data::address("treasury", &person(9)).unwrap();
    let of = |members: &[Vec<u8>], threshold| {
        let members = members.iter().map(|key| data::bytes(key)).collect();
        data::constr(0, vec![data::list(members), int(threshold), treasury.clone()])
    };
    let changed = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut members = good.clone();
        change(&mut members);
        of(&members, 2)
    };
    let edited = |change: &dyn Fn(&mut Vec<PlutusData>)| {
        let mut datum = of(&good, 2);
        edit(&mut datum, change);
        datum
    };
    let crowd: Vec<Vec<u8>> = keys(33).iter().map(public).collect();
    vec![
        ("members out of order", changed(&|members| members.swap(0, 1))),
        ("a member who sits twice", changed(&|members| members[1] = members[0].clone())),
        ("thirty-three members", of(&crowd, 2)),
        ("no members", of(&[], 0)),
        ("no members, and one must sign", of(&[], 1)),
        ("a threshold of none", of(&good, 0)),
        ("a threshold below none", of(&good, -1)),
        ("a threshold above all", of(&good, 4)),
        ("a key of 31 bytes", changed(&|members| members[2].truncate(31))),
        ("a key of 33 bytes", changed(&|members| members[2].push(0))),
        ("a key that is a number", edited(&|fields| fields[0] = data::list(vec![int(1), int(2)]))),
        ("members that are no list", edited(&|fields| fields[0] = data::bytes(&[1; 32]))),
        ("a threshold of bytes", edited(&|fields| fields[1] = data::bytes(&[2]))),
        ("a treasury that is no address", edited(&|fields| fields[2] = int(0))),
        (
            "a treasury with a stake part that is none",
            edited(&|fields| edit(&mut fields[2], |parts| parts[1] = int(0))),
        ),
        ("a field too many", edited(&|fields| fields.push(int(0)))),
        ("a field too few", edited(&|fields| drop(fields.pop()))),
        ("another constructor", data::constr(1, vec![])),
        ("a number", int(0)),
    ]
}

/// What no committee's output may be, as changes to one that is good.
fn bad_outputs(world: &World, junk: &Junk) -> Vec<(&'static str, BoxedDamage)> {
    let protocol = &world.deployment.protocol;
    let script = protocol.committee_address().payment().unwrap();
    let with_stake = Address::new(0, script, Some(Credential::Key(KeyHash([1; 28]))));
    let key = world.accounts.wallet(Role::Operator).enterprise_address();
    let (lease, junk) = (protocol.lease_address(), junk.same_name.clone());
    let mut bad: Vec<(_, BoxedDamage)> = vec![
        ("at a key's address", Box::new(move |output| output.address = key.clone())),
        ("at another script's address", Box::new(move |output| output.address = lease.clone())),
        ("with a stake part", Box::new(move |output| output.address = with_stake.clone())),
        ("without the NFT", Box::new(|output| output.value = Value::lovelace_only(output.value.lovelace()))),
        ("with something else", Box::new(move |output| add(output, &junk, 1))),
        ("with a reference script", Box::new(|output| output.reference_script = Some(yes()))),
        ("without a datum", Box::new(|output| output.datum = None)),
        (
            "with a hashed datum",
            Box::new(|output| {
                let Some(Datum::Inline(cbor)) = &output.datum else { panic!("no inline datum") };
                output.datum = Some(Datum::Hash(blake2b_256(cbor)));
            }),
        ),
    ];
    for (name, datum) in bad_datums() {
        bad.push((name, Box::new(move |output| set_datum(output, &datum))));
    }
    bad
}

#[tokio::test(flavor = "multi_thread")]
async fn only_good_committees_are_founded_and_each_once() {
    let world = World::start().await.unwrap();
    let junk = Junk::mint(&world).await;
    let operator = world.accounts.wallet(Role::Operator);
    let protocol = &world.deployment.protocol;
    let funds = world.chain.spendable_at(&[operator.address(), operator.enterprise_address()]).await.unwrap();
    let mut outpoints: Vec<_> = funds.iter().map(|utxo| utxo.outpoint).collect();
    outpoints.sort();
    let seed = funds.into_iter().min_by_key(|utxo| utxo.outpoint).unwrap();
    let datum = committee_of(&keys(3), 2, person(9));
    let (id, good) = create_committee(protocol, &world.chain.params(), (seed.outpoint, seed.output), &datum).unwrap();
    let trial = Trial::of(&world, good.clone(), &[operator]);
    let nft = protocol.committee_nft(id);
    let mint = |name: CommitteeId, quantity| {
        let redeemer = good.mints[0].redeemer.clone();
        Mint { asset: protocol.committee_nft(name), quantity, redeemer }
    };
    for (attack, break_it) in bad_outputs(&world, &junk) {
        trial
            .refused_by(protocol.committee().hash(), attack, |plan| {
                break_it(&mut plan.outputs[0]);
                roomy(&mut plan.outputs[0]);
            })
            .await;
    }
    trial
        .refused("two NFTs of the name in one output", |plan| {
            plan.mints[0].quantity = 2;
            add(&mut plan.outputs[0], &nft, 1);
        })
        .await;
    trial.refused("a second of the name for the founder", |plan| plan.mints[0].quantity = 2).await;
    let other = CommitteeId::from_seed(outpoints[1]);
    trial.refused("a second of another name for the founder", |plan| plan.mints.push(mint(other, 1))).await;
    trial
        .refused("two committees in one output", |plan| {
            plan.mints.push(mint(other, 1));
            add(&mut plan.outputs[0], &protocol.committee_nft(other), 1);
            roomy(&mut plan.outputs[0]);
        })
        .await;
    trial
        .refused("the name of an output that is not the one told", |plan| {
            plan.mints = vec![mint(other, 1)];
            plan.outputs[0].value = Value::lovelace_only(Lovelace(3_000_000));
            add(&mut plan.outputs[0], &protocol.committee_nft(other), 1);
        })
        .await;
    trial
        .refused("the name of an output that is not consumed", |plan| {
            let committee = CommitteeId::from_seed(world.committee.outpoint);
            plan.mints = vec![mint(committee, 1)];
            plan.outputs[0].value = Value::lovelace_only(Lovelace(3_000_000));
            add(&mut plan.outputs[0], &protocol.committee_nft(committee), 1);
        })
        .await;
    for (field, attack) in [(0, "another input"), (1, "another output")] {
        for place in [1, 40, -1] {
            let told = |plan: &mut TxPlan| {
                edit(plan.mints[0].redeemer.as_mut().unwrap(), |fields| fields[field] = int(place));
            };
            trial.refused(attack, told).await;
        }
    }
    let founded = OutPoint { tx: trial.passes().await, index: 0 };
    let committee = Committee::read(protocol, founded, world.chain.unspent(&founded).await.unwrap()).unwrap();
    assert_eq!((committee.id, &committee.datum), (id, &datum));

    // The same again: the output that named it is spent.
    let again = Trial::of(&world, good.clone(), &[operator]);
    again.breaks_attempt("BadInputsUTxO", "minted twice", good.clone()).await;
    let mut twice = good;
    twice.spends.clear();
    let by = again.refused_attempt("minted twice from another input", twice).await;
    assert_eq!(by, protocol.committee().hash());
    finish(world).await;
}

/// What members sign to replace their committee.
fn rotation_message(magic: NetworkMagic, now: OutPoint, next: &PlutusData) -> [u8; 32] {
    let magic = magic.0.to_be_bytes();
    blake2b_256(&[b"nunet/committee/1", magic.as_slice(), &now.to_bytes(), &data::to_cbor(next)].concat())
}

/// Puts the signatures of the first `count` members over this message into a rotation.
fn sign(world: &World, plan: &mut TxPlan, message: [u8; 32], count: usize) {
    let signed = world.member_keys.iter().take(count).map(|key| data::bytes(&key.sign(&message).to_bytes())).collect();
    edit(plan.spends[0].redeemer.as_mut().unwrap(), |fields| fields[0] = data::list(signed));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_its_members_rotate_a_committee_and_only_into_a_good_one() {
    let world = World::start().await.unwrap();
    let junk = Junk::mint(&world).await;
    let operator = world.accounts.wallet(Role::Operator);
    let protocol = &world.deployment.protocol;
    let (magic, now) = (protocol.magic(), world.committee.outpoint);
    let next = committee_of(&keys(3), 2, person(9));
    let next_data = next.to_data().unwrap();
    let mut good =
        rotate_committee(protocol, &world.chain.params(), &world.committee, &next, &Signatures::new()).unwrap();
    sign(&world, &mut good, rotation_message(magic, now, &next_data), ENOUGH);
    let trial = Trial::of(&world, good, &[operator]);
    let by_committee = protocol.committee().hash();
    for (attack, break_it) in bad_outputs(&world, &junk) {
        trial
            .refused_by(by_committee, attack, |plan| {
                break_it(&mut plan.outputs[0]);
                roomy(&mut plan.outputs[0]);
                if let Some(Datum::Inline(cbor)) = &plan.outputs[0].datum {
                    // Enough members want it.
                    let wanted = data::from_cbor("a datum", cbor).unwrap();
                    sign(&world, plan, rotation_message(magic, now, &wanted), ENOUGH);
                }
            })
            .await;
    }
    trial
        .refused_by(by_committee, "a rotation that burns the NFT", |plan| {
            let asset = protocol.committee_nft(world.committee.id);
            plan.outputs[0].value = Value::lovelace_only(plan.outputs[0].value.lovelace());
            plan.mints.push(Mint { asset, quantity: -1, redeemer: Some(data::constr(0, vec![int(0), int(0)])) });
        })
        .await;
    let message = rotation_message(magic, now, &next_data);
    trial.refused("too few sign", |plan| sign(&world, plan, message, ENOUGH - 1)).await;
    trial.refused("nobody signs", |plan| sign(&world, plan, message, 0)).await;
    let others = [
        ("for another network", rotation_message(NetworkMagic(1), now, &next_data)),
        ("for another outpoint", rotation_message(magic, OutPoint { index: 1, ..now }, &next_data)),
        ("for another datum", rotation_message(magic, now, &int(0))),
    ];
    for (attack, message) in others {
        trial.refused(attack, |plan| sign(&world, plan, message, ENOUGH)).await;
    }
    let signed = |plan: &mut TxPlan, change: &dyn Fn(&mut Vec<PlutusData>)| {
        edit(plan.spends[0].redeemer.as_mut().unwrap(), |fields| edit_list(&mut fields[0], change));
    };
    trial.refused("one counted twice", |plan| signed(plan, &|signed| signed[0] = signed[1].clone())).await;
    trial.refused("at each other's places", |plan| signed(plan, &|signed| signed.swap(0, 1))).await;
    trial.refused("the next members sign", |plan| sign_as_newcomers(plan, message)).await;
    for place in [1, 9] {
        let told = |plan: &mut TxPlan| edit(plan.spends[0].redeemer.as_mut().unwrap(), |fields| fields[1] = int(place));
        trial.refused("another output continues it", told).await;
    }
    let replaced = |plan: &mut TxPlan| set_datum(&mut plan.outputs[0], &world.committee.datum.to_data().unwrap());
    trial.refused("another datum than was signed", replaced).await;

    // What anybody sends to the address holds no NFT, so that it is no committee, whatever its datum says.
    let mut fake = world.committee.output.clone();
    fake.value = Value::lovelace_only(Lovelace(3_000_000));
    set_datum(&mut fake, &next_data);
    let (outpoint, output) = put(&world, vec![fake]).await.remove(0);
    trial
        .refused_by(by_committee, "an output that was sent to the address rotates", |plan| {
            let message = rotation_message(magic, outpoint, &next_data);
            plan.spends[0].outpoint = outpoint;
            plan.spends[0].output = output;
            plan.outputs[0].value = Value::lovelace_only(Lovelace(3_000_000));
            sign_as_newcomers(plan, message);
        })
        .await;
    trial.passes().await;
    finish(world).await;
}

fn sign_as_newcomers(plan: &mut TxPlan, message: [u8; 32]) {
    let signed = keys(3).iter().map(|key| data::bytes(&key.sign(&message).to_bytes())).collect();
    edit(plan.spends[0].redeemer.as_mut().unwrap(), |fields| fields[0] = data::list(signed));
}

/// Settles by another reference input, wherever that comes to stand among them.
fn judged_by(plan: &mut TxPlan, committee: (OutPoint, TxOut)) {
    plan.references.retain(|(_, output)| output.reference_script.is_some());
    let place = plan.references.iter().filter(|(outpoint, _)| *outpoint < committee.0).count();
    plan.references.push(committee);
    edit_action(plan, |fields| fields[0] = int(i64::try_from(place).unwrap()));
}

/// Replaces the signatures in a settlement by those of others.
fn signed_by(plan: &mut TxPlan, keys: &[SigningKey], message: [u8; 32]) {
    let signed = keys.iter().map(|key| data::bytes(&key.sign(&message).to_bytes())).collect();
    edit_action(plan, |fields| fields[1] = data::list(signed));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_committee_that_an_escrow_names_settles_it() {
    let world = World::start().await.unwrap();
    let operator = world.accounts.wallet(Role::Operator);
    let protocol = &world.deployment.protocol;
    let escrow = lock(&world, &[job(&world, 1, |_| {}).await]).await.remove(0);
    let verdict = verdict(&world, vec![leaf(&escrow, 5_000_000, 0)]).unwrap();
    let good = settlement_of(&world, &verdict, std::slice::from_ref(&escrow));
    let trial = Trial::of(&world, good, &[operator]);

    let crooks = keys(3);
    let treasury = world.accounts.wallet(Role::Treasury).enterprise_address();
    let crooked = committee_of(&crooks, 2, treasury);
    let id = world.committee.id;
    let counterfeit = AssetId { policy: yes().hash(), name: id.0.to_vec() };
    let minted = TxPlan {
        mints: vec![Mint { asset: counterfeit.clone(), quantity: 3, redeemer: Some(int(0)) }],
        scripts: vec![yes()],
        ..TxPlan::default()
    };
    world.place(&minted, operator).await.unwrap();
    let mut fake = TxOut::new(protocol.committee_address(), Value::lovelace_only(Lovelace(3_000_000)));
    set_datum(&mut fake, &crooked.to_data().unwrap());
    let holding = |quantity| {
        let mut output = fake.clone();
        add(&mut output, &counterfeit, quantity);
        output
    };
    let fakes = put(&world, vec![fake.clone(), holding(1), holding(2)]).await;
    let own = found_committee(&world.chain, protocol, operator, &crooked).await.unwrap();
    let names = ["no NFT", "another policy's NFT", "two of another policy's", "the NFT of another committee"];
    let committees = fakes.into_iter().chain([(own.outpoint, own.output)]);
    for (attack, committee) in names.into_iter().zip(committees) {
        trial
            .refused_by(protocol.logic_hash(), attack, |plan| {
                judged_by(plan, committee.clone());
                signed_by(plan, &crooks, verdict.message());
            })
            .await;
        let honest = |plan: &mut TxPlan| judged_by(plan, committee);
        trial.refused_by(protocol.logic_hash(), &format!("{attack}, and honest signatures"), honest).await;
    }
    // An escrow that names the crooks' committee, in a batch that this one settles; the builder takes it for its own.
    let mut theirs = lock(&world, &[job(&world, 2, |datum| datum.committee = own.id).await]).await.remove(0);
    theirs.datum.committee = id;
    let both = [escrow.clone(), theirs];
    let leaves = both.iter().map(|escrow| leaf(escrow, 5_000_000, 0)).collect();
    let batch = settlement_of(&world, &nunet_tests::verdict(&world, leaves).unwrap(), &both);
    trial.refused_attempt("an escrow of another committee in the batch", batch).await;
    let stub = world.deployment.stub.clone();
    trial
        .refused("a reference script for a committee", |plan| {
            let place = plan.references.iter().filter(|(outpoint, _)| *outpoint < stub.0).count();
            edit_action(plan, |fields| fields[0] = int(i64::try_from(place).unwrap()));
        })
        .await;
    trial.refused("no committee", |plan| drop(plan.references.pop())).await;
    for place in [3, -1] {
        trial.refused("no such reference", |plan| edit_action(plan, |fields| fields[0] = int(place))).await;
    }
    trial.passes().await;
    finish(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_out_committee_settles_nothing() {
    let world = World::start().await.unwrap();
    let operator = world.accounts.wallet(Role::Operator);
    let protocol = &world.deployment.protocol;
    let params = world.chain.params();
    let escrow = lock(&world, &[job(&world, 1, |_| {}).await]).await.remove(0);
    let only = std::slice::from_ref(&escrow);
    let verdict = verdict(&world, vec![leaf(&escrow, 5_000_000, 0)]).unwrap();
    let before = settlement_of(&world, &verdict, only);

    let members = keys(3);
    let next = committee_of(&members, 2, person(9));
    let old = &world.committee;
    let mut rotation = rotate_committee(protocol, &params, old, &next, &Signatures::new()).unwrap();
    let message = rotation_message(protocol.magic(), old.outpoint, &next.to_data().unwrap());
    sign(&world, &mut rotation, message, ENOUGH);
    let outpoint = OutPoint { tx: world.place(&rotation, operator).await.unwrap(), index: 0 };
    let now = Committee::read(protocol, outpoint, world.chain.unspent(&outpoint).await.unwrap()).unwrap();

    let signed: Signatures = members
        .iter()
        .map(|key| (MemberKey(key.verifying_key().to_bytes()), key.sign(&verdict.message()).to_bytes()))
        .collect();
    let good = settle(&world.deployment, &params, &now, &verdict, &signed, only);
    let trial = Trial::of(&world, good.unwrap(), &[operator]);
    trial.breaks_attempt("BadInputsUTxO", "by the committee's old output", before).await;
    trial.refused("the old members sign", |plan| signed_by(plan, &world.member_keys[..2], verdict.message())).await;
    trial
        .refused("the treasury is the old one", |plan| {
            plan.outputs[0].address = old.datum.treasury().clone();
        })
        .await;
    // The same signatures do not rotate it back: they are for an output that is gone.
    let back = TxPlan {
        spends: rotation
            .spends
            .iter()
            .map(|spend| Spend { outpoint, output: now.output.clone(), ..spend.clone() })
            .collect(),
        ..rotation
    };
    let by = trial.refused_attempt("a rotation played again", back).await;
    assert_eq!(by, protocol.committee().hash());
    trial.passes().await;
    finish(world).await;
}
