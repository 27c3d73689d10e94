//! Multisigs and DAOs as parties: they consent by a withdrawal, and nothing else consents for them.

use nunet::{accounts::Role, world::World};
use nunet_contracts::{
    Consents, Escrow, JobDatum, Ntx, ScriptConsent, TxPlan, Voucher,
    consent::{Argument, ScriptSource},
    transactions::{accept, agree, redeem},
};
use nunet_ledger::{Address, Credential, KeyHash, Lovelace, Script, ScriptHash};
use nunet_tests::{
    attempt::{Answer, Attempt},
    finish, holds,
    multisig::Multisig,
    verdict,
};

use crate::{
    craft::{
        address_of, int, job, leaf, lock, no, person, person_with_stake, register, settlement_of, withdrawal_of,
        without, yes,
    },
    trial::Trial,
};

/// A DAO whose script this is.
fn dao_consent(script: Script) -> ScriptConsent {
    ScriptConsent::new(ScriptSource::Attached(script), Lovelace(0), Argument::Redeemer(int(0))).unwrap()
}

/// Takes the consent of one script away.
fn silence(plan: &mut TxPlan, script: ScriptHash) {
    plan.scripts.retain(|carried| carried.hash() != script);
    plan.withdrawals.retain(|withdrawal| withdrawal.account.credential != Credential::Script(script));
}

/// A multisig of three keys of which two sign, a DAO that says yes to everything, and one that says no.
struct Assembly<'a> {
    world: &'a World,
    multisig: Multisig,
    consents: Consents,
}

impl<'a> Assembly<'a> {
    async fn convene(world: &'a World) -> Self {
        let [one, two, three] =
            [Role::Operator, Role::Provider, Role::Treasury].map(|role| world.accounts.wallet(role));
        let multisig = Multisig::register(world, [one, two, three]).await.unwrap();
        register(world, &yes()).await;
        register(world, &no()).await;
        let consents = multisig.consent([two, three]).unwrap().with(dao_consent(yes()));
        Self { world, multisig, consents }
    }

    fn multisig(&self) -> ScriptHash {
        let Some(Credential::Script(script)) = self.multisig.address().payment() else {
            panic!("a multisig is a script");
        };
        script
    }

    fn trial(&self, plan: TxPlan) -> Trial<'a> {
        let all = [Role::Operator, Role::Requester, Role::Provider, Role::Treasury];
        Trial::of(self.world, plan, &all.map(|role| self.world.accounts.wallet(role)))
    }

    /// Each consent is needed, and nothing stands for it.
    async fn each_consents(&self, trial: &Trial<'_>, key: KeyHash) {
        trial.refused("the key does not sign", |plan| without(plan, key)).await;
        trial.refused("the multisig does not withdraw", |plan| silence(plan, self.multisig())).await;
        trial.refused("the DAO does not withdraw", |plan| silence(plan, yes().hash())).await;
        // Too few keys: the ledger itself asks a native script.
        let wallets = [Role::Operator, Role::Requester].map(|role| self.world.accounts.wallet(role));
        let mut few = trial.good().clone();
        few.required_signers.retain(|key| wallets.iter().any(|wallet| wallet.key_hash() == *key));
        let answer = Attempt::from(few).send(self.world, &wallets).await.unwrap();
        assert!(
            matches!(&answer, Answer::Broke { rule, .. } if rule == "ScriptWitnessNotValidatingUTXOW"),
            "{answer:?}"
        );
    }

    /// A DAO that says no stops the transaction by its own script.
    async fn a_no_is_a_no(&self, plan: TxPlan) {
        let wallets = [Role::Operator, Role::Requester, Role::Provider].map(|role| self.world.accounts.wallet(role));
        let answer = Attempt::from(plan).send(self.world, &wallets).await.unwrap();
        assert!(matches!(answer, Answer::Refused { by, .. } if by == no().hash()), "{answer:?}");
    }

    /// What an address has of NTX.
    fn ntx_of(&self, address: &Address) -> u64 {
        holds(&self.world.devnet, &self.world.accounts.ntx, address).1
    }
}

/// Escrows whose requesters are these.
async fn requested_by(world: &World, requesters: [Address; 3]) -> Vec<Escrow> {
    let mut terms = Vec::new();
    for (seed, requester) in (1..).zip(requesters) {
        terms.push(job(world, seed, |datum| datum.requester = requester).await);
    }
    lock(world, &terms).await
}

/// Escrows whose providers are these.
async fn provided_by(world: &World, providers: [Address; 3], change: impl Fn(&mut JobDatum)) -> Vec<Escrow> {
    let mut terms = Vec::new();
    for (seed, provider) in (1..).zip(providers) {
        let between = |datum: &mut JobDatum| {
            datum.provider = provider;
            change(datum);
        };
        terms.push(job(world, seed, between).await);
    }
    lock(world, &terms).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_a_multisig_and_a_dao_accept_together() {
    let world = World::start().await.unwrap();
    let assembly = Assembly::convene(&world).await;
    let key = world.accounts.wallet(Role::Requester);
    let requesters = [key.enterprise_address(), assembly.multisig.address(), address_of(&yes())];
    let escrows = requested_by(&world, requesters).await;
    let params = world.chain.params();
    let accepted = |escrows: &[Escrow], consents| accept(&world.deployment, &params, escrows, consents).unwrap();
    let trial = assembly.trial(accepted(&escrows, &assembly.consents));
    assembly.each_consents(&trial, key.key_hash()).await;
    trial
        .refused("a script withdraws that has no say", |plan| {
            silence(plan, yes().hash());
            plan.withdrawals.push(withdrawal_of(&no()));
            plan.scripts.push(no());
        })
        .await;
    trial.passes().await;
    assert_eq!(assembly.ntx_of(&person_with_stake(51)), 15_000_000);

    let refusing = requested_by(&world, [address_of(&no()), person(1), person(2)]).await.remove(0);
    let consents = Consents::none().with(dao_consent(no()));
    assembly.a_no_is_a_no(accepted(&[refusing], &consents)).await;
    finish(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_a_multisig_and_a_dao_redeem_together() {
    let world = World::start().await.unwrap();
    let assembly = Assembly::convene(&world).await;
    // A key that is none of the multisig's.
    let key = world.accounts.wallet(Role::Requester);
    let providers = [key.enterprise_address(), assembly.multisig.address(), address_of(&yes())];
    let escrows = provided_by(&world, providers, |_| {}).await;
    let until = world.chain.slots().at(escrows[0].datum.deadline);
    let params = world.chain.params();
    let declined = |escrows: &[Escrow], consents| {
        let declined: Vec<_> = escrows.iter().map(|escrow| (escrow.clone(), Voucher::DECLINE)).collect();
        redeem(&world.deployment, &params, &declined, consents, until).unwrap()
    };
    let trial = assembly.trial(declined(&escrows, &assembly.consents));
    assembly.each_consents(&trial, key.key_hash()).await;
    trial.passes().await;
    for seed in 1..4 {
        assert_eq!(assembly.ntx_of(&person(seed)), 5_500_000);
    }
    let refusing = provided_by(&world, [address_of(&no()), person(1), person(2)], |_| {}).await.remove(0);
    let consents = Consents::none().with(dao_consent(no()));
    assembly.a_no_is_a_no(declined(&[refusing], &consents)).await;
    finish(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_a_multisig_and_a_dao_agree_with_each_other() {
    let world = World::start().await.unwrap();
    let assembly = Assembly::convene(&world).await;
    let key = world.accounts.wallet(Role::Requester);
    let (one, many, dao) = (key.enterprise_address(), assembly.multisig.address(), address_of(&yes()));
    let mut terms = Vec::new();
    for (seed, (requester, provider)) in (1..).zip([(&one, &many), (&many, &dao), (&dao, &one)]) {
        let between = |datum: &mut JobDatum| {
            datum.requester = requester.clone();
            datum.provider = provider.clone();
        };
        terms.push(job(&world, seed, between).await);
    }
    let escrows = lock(&world, &terms).await;
    let agreed = |escrows: &[Escrow], consents| agree(&world.deployment, escrows, vec![], consents).unwrap();
    let trial = assembly.trial(agreed(&escrows, &assembly.consents));
    assembly.each_consents(&trial, key.key_hash()).await;
    trial.passes().await;
    let with_no = |datum: &mut JobDatum| datum.requester = one.clone();
    let refusing = provided_by(&world, [address_of(&no()), person(1), person(2)], with_no).await.remove(0);
    let consents = Consents::none().with(dao_consent(no()));
    assembly.a_no_is_a_no(agreed(&[refusing], &consents)).await;
    finish(world).await;
}

/// Whom no consent is asked of: scripts are paid as anybody is.
#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_pays_a_multisig_and_a_dao() {
    let world = World::start().await.unwrap();
    let assembly = Assembly::convene(&world).await;
    let (many, dao) = (assembly.multisig.address(), address_of(&yes()));
    let bonded = |datum: &mut JobDatum| {
        datum.requester = dao.clone();
        datum.bond = Ntx(1_000_000);
        datum.carry = Lovelace(1_300_000);
    };
    let escrow = provided_by(&world, [many.clone(), person(1), person(2)], bonded).await.remove(0);
    let verdict = verdict(&world, vec![leaf(&escrow, 3_000_000, 400_000)]).unwrap();
    let trial = assembly.trial(settlement_of(&world, &verdict, std::slice::from_ref(&escrow)));
    trial
        .refused("the DAO withdraws beside", |plan| {
            plan.withdrawals.push(withdrawal_of(&yes()));
            plan.scripts.push(yes());
        })
        .await;
    trial.refused("the multisig's payout for the DAO", |plan| plan.outputs[1].address = dao.clone()).await;
    trial.passes().await;
    assert_eq!((assembly.ntx_of(&many), assembly.ntx_of(&dao)), (3_600_000, 2_400_000));
    finish(world).await;
}
