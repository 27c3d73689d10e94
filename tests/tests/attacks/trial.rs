//! A good transaction on trial: attacks on it, each of which the node must refuse, then the transaction itself, which must
//! pass.

use nunet::world::World;
use nunet_chain::Wallet;
use nunet_contracts::TxPlan;
use nunet_ledger::{ScriptHash, TxId};
use nunet_tests::{
    attempt::{Answer, Attempt},
    second_opinion::{Agreement, judge},
};

/// A good plan and who signs it.
pub(crate) struct Trial<'a> {
    world: &'a World,
    wallets: Vec<&'a Wallet>,
    good: TxPlan,
}

impl<'a> Trial<'a> {
    /// Puts a plan on trial, with everybody who signs; the first pays.
    pub(crate) fn of(world: &'a World, good: TxPlan, wallets: &[&'a Wallet]) -> Self {
        Self { world, wallets: wallets.to_vec(), good }
    }

    /// The good plan.
    pub(crate) fn good(&self) -> &TxPlan {
        &self.good
    }

    /// One of the protocol's scripts refuses the plan once this has changed it.
    pub(crate) async fn refused(&self, attack: &str, break_it: impl FnOnce(&mut TxPlan)) {
        self.refused_attempt(attack, self.broken(attack, break_it)).await;
    }

    /// The same, and it is this script that refuses.
    pub(crate) async fn refused_by(&self, script: ScriptHash, attack: &str, break_it: impl FnOnce(&mut TxPlan)) {
        let by = self.refused_attempt(attack, self.broken(attack, break_it)).await;
        assert_eq!(by, script, "{attack}: refused by another script");
    }

    /// One of the protocol's scripts refuses this transaction; says which.
    pub(crate) async fn refused_attempt(&self, attack: &str, attempt: impl Into<Attempt>) -> ScriptHash {
        let protocol = &self.world.deployment.protocol;
        let ours = [protocol.stub(), protocol.logic(), protocol.lease(), protocol.committee()].map(|s| s.hash());
        match self.answer(attack, attempt.into()).await {
            Answer::Refused { by, sent, .. } if ours.contains(&by) => {
                let (params, slots) = (self.world.chain.params(), self.world.devnet.slots());
                let second = judge(&sent.cbor, &sent.resolved, &params, &slots);
                assert!(matches!(second, Ok(Agreement::Refused)), "{attack}: the evaluators disagree: {second:?}");
                by
            }
            other => panic!("{attack}: not refused by a validator of the protocol: {other:?}"),
        }
    }

    /// The ledger stops the plan by this rule, before any script is asked, once this has changed it.
    pub(crate) async fn breaks(&self, rule: &str, attack: &str, break_it: impl FnOnce(&mut TxPlan)) {
        self.breaks_attempt(rule, attack, self.broken(attack, break_it)).await;
    }

    /// The ledger stops this transaction by this rule.
    pub(crate) async fn breaks_attempt(&self, rule: &str, attack: &str, attempt: impl Into<Attempt>) {
        match self.answer(attack, attempt.into()).await {
            Answer::Broke { rule: broken, .. } if broken == rule => {}
            other => panic!("{attack}: not stopped by {rule}: {other:?}"),
        }
    }

    /// The good plan passes, put together in the same way.
    pub(crate) async fn passes(self) -> TxId {
        match self.answer("the good one", self.good.clone().into()).await {
            Answer::Taken(id) => id,
            other => panic!("the transaction without the attack does not pass: {other:?}"),
        }
    }

    fn broken(&self, attack: &str, break_it: impl FnOnce(&mut TxPlan)) -> TxPlan {
        let mut plan = self.good.clone();
        break_it(&mut plan);
        assert_ne!(plan, self.good, "{attack} changes nothing");
        plan
    }

    async fn answer(&self, attack: &str, attempt: Attempt) -> Answer {
        match attempt.send(self.world, &self.wallets).await {
            Ok(answer) => answer,
            Err(error) => panic!("{attack}: there is no such transaction: {error:#}"),
        }
    }
}
