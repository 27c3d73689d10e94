//! A lease on stage: with another lease, other contracts and junk beside it, and what holds for every way that it has.

use std::time::Duration;

use nunet::{accounts::Role, world::World};
use nunet_chain::Wallet;
use nunet_contracts::{Lease, LeaseEvent, LeaseTerms, Spend, TxPlan, data, lease::event::read_lease_event};
use nunet_ledger::{Address, Credential, Datum, KeyHash, Lovelace, OutPoint, PosixMs, TxOut, Value, hash::blake2b_256};
use nunet_tests::lease::{HOUR_MS, Leased, lease_terms, now};
use pallas_primitives::PlutusData;

use crate::{
    craft::{
        Junk, add, add_lovelace, address_of, datum_of, edit, int, mint_foreign, person, put, register, roomy,
        set_datum, spend_foreign, withdrawal_of, yes,
    },
    trial::Trial,
};

/// A lease with attackers beside it.
pub(crate) struct Stage<'a> {
    world: &'a World,
    pub(crate) junk: Junk,
    /// Another contract's output.
    foreign: (OutPoint, TxOut),
    pub(crate) leased: Leased<'a>,
    /// Another lease between the same two.
    other: Lease,
}

impl<'a> Stage<'a> {
    pub(crate) async fn set(world: &'a World, change: impl FnOnce(&mut LeaseTerms)) -> Self {
        let junk = Junk::mint(world).await;
        register(world, &yes()).await;
        let mut terms = lease_terms(world).await.unwrap();
        change(&mut terms);
        let leased = Leased::open(world, &terms).await.unwrap();
        let other = Leased::open(world, &terms).await.unwrap().lease;
        let bare = Value::lovelace_only(Lovelace(2_000_000));
        let foreign = put(world, vec![TxOut::new(address_of(&yes()), bare)]).await.remove(0);
        Self { world, junk, foreign, leased, other }
    }

    pub(crate) fn trial(&self, plan: TxPlan, signers: &[&'a Wallet]) -> Trial<'a> {
        let operator = self.world.accounts.wallet(Role::Operator);
        Trial::of(self.world, plan, &[&[operator], signers].concat())
    }

    pub(crate) async fn pass(&self, hours: u64) {
        self.world.devnet.advance(Duration::from_millis(hours * HOUR_MS)).await.unwrap();
    }

    pub(crate) async fn now(&self) -> PosixMs {
        now(self.world).await.unwrap()
    }

    /// Lets the good plan pass, and follows the lease.
    pub(crate) async fn passes(&mut self, trial: Trial<'a>) -> LeaseEvent {
        let tx = trial.passes().await;
        let cbor = self.world.chain.transaction_cbor(&tx).await.unwrap().unwrap();
        let protocol = &self.world.deployment.protocol;
        let event = read_lease_event(protocol, &self.world.chain.slots(), &cbor, &self.leased.lease).unwrap();
        match &event {
            LeaseEvent::Claimed { next, .. }
            | LeaseEvent::ToppedUp { next, .. }
            | LeaseEvent::Shortened { next }
            | LeaseEvent::Faulted { next, .. } => self.leased.lease = next.clone(),
            LeaseEvent::Closed(_) | LeaseEvent::Agreed => {}
        }
        event
    }

    /// Nothing that another script allows happens beside a way of a lease, nor a second lease.
    pub(crate) async fn stands_alone(&self, trial: &Trial<'a>) {
        trial.refused("another script's output is spent", |plan| spend_foreign(plan, &self.foreign)).await;
        trial
            .refused("another script withdraws", |plan| {
                plan.withdrawals.push(withdrawal_of(&yes()));
                plan.scripts.push(yes());
            })
            .await;
        trial.refused("another script mints", mint_foreign).await;
        trial
            .refused("a second lease by the same way", |plan| {
                let Lease { outpoint, output, .. } = self.other.clone();
                let redeemer = plan.spends[0].redeemer.clone();
                plan.spends.push(Spend { outpoint, output, redeemer });
            })
            .await;
        trial
            .refused("a second lease by agreement", |plan| {
                let Lease { outpoint, output, .. } = self.other.clone();
                plan.required_signers.extend(parties(self.world));
                plan.spends.push(Spend { outpoint, output, redeemer: Some(data::constr(5, vec![])) });
            })
            .await;
    }

    /// The lease continues in the first output, as the way says and with nothing else.
    pub(crate) async fn continues(&self, trial: &Trial<'a>) {
        let (protocol, ntx) = (&self.world.deployment.protocol, &self.world.accounts.ntx);
        let script = protocol.lease_address().payment().unwrap();
        let staked = Address::new(0, script, Some(Credential::Key(KeyHash([1; 28]))));
        let attacks: [OutputEdit<'_>; 11] = [
            ("a lovelace less", &|output| add_lovelace(output, -1)),
            ("a token of NTX's name beside", &|output| add(output, &self.junk.same_name, 1)),
            ("another token of NTX's policy beside", &|output| add(output, &self.junk.same_policy, 1)),
            ("a unit of NTX less", &|output| add(output, ntx, -1)),
            ("with a stake part", &|output| output.address = staked.clone()),
            ("at the escrows' address", &|output| output.address = protocol.escrow_address()),
            ("at the lessor's address", &|output| output.address = self.leased.lease.datum().lessor.clone()),
            ("without a datum", &|output| output.datum = None),
            ("with a hashed datum", &|output| {
                let Some(Datum::Inline(cbor)) = &output.datum else { panic!("no inline datum") };
                output.datum = Some(Datum::Hash(blake2b_256(cbor)));
            }),
            ("with a reference script", &|output| {
                output.reference_script = Some(yes());
                roomy(output);
            }),
            ("with a datum of a field too many", &|output| {
                let mut datum = datum_of(output);
                edit(&mut datum, |fields| fields.push(int(0)));
                set_datum(output, &datum);
            }),
        ];
        for (attack, change) in attacks {
            trial.refused(attack, |plan| change(&mut plan.outputs[0])).await;
        }
        for field in 0..16 {
            let other = |plan: &mut TxPlan| {
                let mut datum = datum_of(&plan.outputs[0]);
                edit(&mut datum, |fields| fields[field] = another(&fields[field]));
                set_datum(&mut plan.outputs[0], &datum);
            };
            trial.refused(&format!("another field {field}"), other).await;
        }
        trial
            .refused("not the first output", |plan| {
                let first = TxOut { address: person(7), datum: None, ..plan.outputs[0].clone() };
                plan.outputs.insert(0, first);
            })
            .await;
        trial.refused("nowhere", |plan| drop(plan.outputs.remove(0))).await;
    }
}

/// A change to the output that continues a lease, with its name.
type OutputEdit<'a> = (&'a str, &'a dyn Fn(&mut TxOut));

/// Another value of a field's kind.
pub(crate) fn another(field: &PlutusData) -> PlutusData {
    match field {
        PlutusData::Constr(_) => data::address("anybody", &person(7)).unwrap(),
        PlutusData::BoundedBytes(_) => data::bytes(&[7; 32]),
        number => {
            let number = data::as_u64("a number", number).unwrap();
            data::int(number + 1)
        }
    }
}

pub(crate) fn parties(world: &World) -> [KeyHash; 2] {
    [Role::Requester, Role::Provider].map(|role| world.accounts.wallet(role).key_hash())
}

/// Changes one field of the datum in the output that continues the lease.
pub(crate) fn continued_with(plan: &mut TxPlan, field: usize, value: u64) {
    let mut datum = datum_of(&plan.outputs[0]);
    edit(&mut datum, |fields| fields[field] = data::int(value));
    set_datum(&mut plan.outputs[0], &datum);
}

// Fields of a lease's datum, by their places.
pub(crate) const PAID_UNTIL: usize = 4;
pub(crate) const END: usize = 5;
pub(crate) const FAULTS_UNTIL: usize = 8;
pub(crate) const WITHHELD: usize = 10;
