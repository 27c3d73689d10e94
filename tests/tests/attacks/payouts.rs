//! What a payout must be, whichever transaction makes it: exactly the NTX, at least the lovelace, at the whole address, and
//! nothing else.

use std::ops::Range;

use nunet::world::World;
use nunet_ledger::{Address, Credential, Datum, KeyHash, TxOut};

use crate::{
    craft::{Junk, add, add_lovelace, person, roomy, yes},
    trial::Trial,
};

/// None of these payouts may be another, or be missing, or stand in another's place.
pub(crate) async fn are_exact(world: &World, junk: &Junk, trial: &Trial<'_>, payouts: Range<usize>) {
    let ntx = &world.accounts.ntx;
    for place in payouts.clone() {
        let name = |attack: &str| format!("payout {place} {attack}");
        let held = trial.good().outputs[place].value.quantity(ntx);
        if held > 0 {
            trial.refused(&name("is a unit short"), |plan| add(&mut plan.outputs[place], ntx, -1)).await;
            for (token, attack) in [
                (&junk.same_name, "is in a token of NTX's name"),
                (&junk.same_policy, "is in another token of NTX's policy"),
            ] {
                let instead = |output: &mut _| {
                    add(output, ntx, -i64::try_from(held).unwrap());
                    add(output, token, i64::try_from(held).unwrap());
                    roomy(output);
                };
                trial.refused(&name(attack), |plan| instead(&mut plan.outputs[place])).await;
            }
        }
        let more = |output: &mut _| {
            add(output, ntx, 1);
            roomy(output);
        };
        trial.refused(&name("is a unit too much"), |plan| more(&mut plan.outputs[place])).await;
        for (token, attack) in [(&junk.same_name, "holds junk"), (&junk.same_policy, "holds a sister token")] {
            let beside = |output: &mut _| {
                add(output, token, 1);
                roomy(output);
            };
            trial.refused(&name(attack), |plan| beside(&mut plan.outputs[place])).await;
        }
        for (elsewhere, attack) in other_addresses(&trial.good().outputs[place].address) {
            trial
                .refused(&name(attack), |plan| {
                    plan.outputs[place].address = elsewhere;
                    roomy(&mut plan.outputs[place]);
                })
                .await;
        }
        for (datum, attack) in [(Datum::Inline(vec![0]), "has a datum"), (Datum::Hash([7; 32]), "has a hashed datum")] {
            trial
                .refused(&name(attack), |plan| {
                    plan.outputs[place].datum = Some(datum);
                    roomy(&mut plan.outputs[place]);
                })
                .await;
        }
        trial
            .refused(&name("has a reference script"), |plan| {
                plan.outputs[place].reference_script = Some(yes());
                roomy(&mut plan.outputs[place]);
            })
            .await;
        trial.refused(&name("is missing"), |plan| drop(plan.outputs.remove(place))).await;
        trial
            .refused(&name("comes later"), |plan| {
                let before = TxOut { address: person(0xcc), ..plan.outputs[place].clone() };
                plan.outputs.insert(place, before);
            })
            .await;
        if payouts.contains(&(place + 1)) {
            trial.refused(&name("and the next are swapped"), |plan| plan.outputs.swap(place, place + 1)).await;
        }
    }
}

/// The payout owes just the lovelace that it holds.
pub(crate) async fn owes_its_lovelace(trial: &Trial<'_>, place: usize) {
    let attack = format!("payout {place} is a lovelace short");
    trial.refused(&attack, |plan| add_lovelace(&mut plan.outputs[place], -1)).await;
}

/// Other addresses than this one, as near to it as can be.
fn other_addresses(address: &Address) -> Vec<(Address, &'static str)> {
    let payment = address.payment().unwrap();
    let (other, stranger) = (Credential::Key(KeyHash([0xdd; 28])), Credential::Key(KeyHash([0xcc; 28])));
    let mut others = vec![
        (Address::new(0, payment, Some(other)), "is at another stake part"),
        (Address::new(0, stranger, address.stake()), "is at another payment part"),
    ];
    if address.stake().is_some() {
        others.push((Address::new(0, payment, None), "has lost its stake part"));
    }
    others
}
