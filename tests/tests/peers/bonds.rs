//! Locks with a bond: the provider signs for its bond alone, and the requester pays no bond of the provider's.

use std::sync::Arc;

use ed25519_dalek::SigningKey;
use nunet::{
    accounts::Role,
    demo::Digits,
    world::{World, loopback},
};
use nunet_agent::{
    AgentError, Job, ProviderEvent, Requester,
    messages::{Agreed, AskQuote, LockWitness, NamedFunds, ProposeAgreement, RequestLock},
};
use nunet_chain::{Signed, Unsigned};
use nunet_contracts::{
    BondFunds, Ntx,
    transactions::{escrow_output, lock_with_bond},
};
use nunet_ledger::{OutPoint, PosixMs, Transaction, VKeyWitness};
use nunet_market::{PartyKey, Quote};
use nunet_p2p::{Caller, NodeConfig, Router};
use nunet_tests::finish;
use tokio::sync::mpsc::unbounded_channel;

use super::scene::{HandMade, POLICY, PRICE, RUN_MS, Scene, failure, refusal};

const BOND: Ntx = Ntx(2_000_000);

impl HandMade {
    /// The lock as agreed, without signatures.
    async fn bonded_lock(&self, scene: &Scene) -> Unsigned {
        let chain = &scene.world.chain;
        let named = self.bond.as_ref().expect("the provider named what its bond is paid with");
        let mut inputs = Vec::new();
        for outpoint in named.inputs() {
            inputs.push((outpoint, chain.unspent(&outpoint).await.unwrap()));
        }
        let wallet = scene.world.accounts.wallet(Role::Requester);
        let own = [wallet.key_hash(), wallet.stake_key_hash()].into();
        let funds = BondFunds::of_provider(inputs, named.change().unwrap(), &own).unwrap();
        let agreement = &self.agreement.agreement;
        let until = chain.slots().at(PosixMs(agreement.lock_by.0 - 60_000));
        let (protocol, params) = (&scene.world.deployment.protocol, chain.params());
        let plan = lock_with_bond(protocol, &params, &agreement.escrow_terms(), &funds, until).unwrap();
        chain.balance(&plan, wallet).await.unwrap()
    }

    fn request(&self, transaction: &Transaction) -> RequestLock {
        RequestLock { agreement: self.agreement.agreement.hash().0, transaction: transaction.to_cbor().into() }
    }

    /// What the provider says to a lock that was changed.
    async fn refused(&self, lock: &Unsigned, change: impl FnOnce(&mut Transaction)) -> String {
        let mut changed = lock.transaction().clone();
        change(&mut changed);
        refusal(self.node.request(self.provider, &self.request(&changed)).await)
    }
}

fn signed(scene: &Scene, mut lock: Unsigned, witness: &LockWitness) -> Signed {
    lock.add_witness(VKeyWitness { key: witness.key, signature: witness.signature }).unwrap();
    lock.sign_with(&[scene.world.accounts.wallet(Role::Requester)]).finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_signs_the_agreed_lock_and_nothing_else() {
    let digits = Digits::load().unwrap();
    let mut scene = Scene::set_with_bond(0, BOND).await;
    let requester = HandMade::agree(&scene, &digits).await;
    let lock = requester.bonded_lock(&scene).await;
    let provider = scene.world.accounts.wallet(Role::Provider);

    let said = requester.refused(&lock, |tx| tx.body.required_signers = [provider.key_hash()].into()).await;
    assert!(said.contains("required signers"), "{said}");
    let funds = scene.world.chain.spendable_at(&[provider.enterprise_address()]).await.unwrap();
    let other =
        funds.iter().map(|utxo| utxo.outpoint).find(|outpoint| !lock.transaction().body.inputs.contains(outpoint));
    let other = other.expect("the provider has more than its bond");
    let said = requester.refused(&lock, |tx| assert!(tx.body.inputs.insert(other))).await;
    assert!(said.contains("the provider's too"), "{said}");
    let said = requester.refused(&lock, |tx| tx.body.outputs[1] = tx.body.outputs[2].clone()).await;
    assert!(said.contains("the provider's change"), "{said}");
    let said = requester.refused(&lock, |tx| tx.body.valid_until = None).await;
    assert!(said.contains("must be invalid from"), "{said}");
    let stranger = Router::new().start(NodeConfig::new([7; 32])).await.unwrap();
    let peer = stranger.connect(scene.provider.node().addresses()[0].clone()).await.unwrap();
    let said = refusal(stranger.request(peer, &requester.request(lock.transaction())).await);
    assert!(said.contains("only the requester"), "{said}");
    stranger.shutdown().await;

    let request = requester.request(lock.transaction());
    let witness = requester.node.request(requester.provider, &request).await.unwrap();
    // An answer that got lost is given again; another lock of the same agreement is not signed.
    assert_eq!(requester.node.request(requester.provider, &request).await.unwrap(), witness);
    let said = requester.refused(&lock, |tx| tx.body.fee.0 += 1).await;
    assert!(said.contains("no agreement waits"), "{said}");

    // Nobody tells the provider that the money is locked: it sees it.
    let signed = signed(&scene, lock, &witness);
    scene.world.chain.send(&signed).await.unwrap();
    let escrow = OutPoint { tx: signed.id, index: 0 };
    let started = async {
        loop {
            match scene.events.recv().await.unwrap() {
                ProviderEvent::Started(found) => return found,
                ProviderEvent::Agreed(_) => {}
                ProviderEvent::LockSigned(found) => assert_eq!(found, escrow),
                other => panic!("{other:?}"),
            }
        }
    };
    let started = tokio::time::timeout(std::time::Duration::from_secs(60), started).await.unwrap();
    assert_eq!(started, escrow);
    let locked = scene.world.chain.unspent(&escrow).await.unwrap();
    let terms = requester.agreement.agreement.escrow_terms();
    assert_eq!(locked, escrow_output(&scene.world.deployment.protocol, &terms).unwrap());
    requester.node.shutdown().await;
    scene.strike().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bond_is_promised_once_and_free_again_when_its_lock_never_comes() {
    let digits = Digits::load().unwrap();
    let mut scene = Scene::set_with_bond(0, BOND).await;
    let first = HandMade::agree(&scene, &digits).await;
    let mut terms = first.agreement.agreement.clone();
    terms.nonce = [2; 16];
    let proposal = ProposeAgreement { signature: terms.sign(&first.key), agreement: terms.clone() };
    let said = refusal(first.node.request(first.provider, &proposal).await);
    assert!(said.contains("in use"), "{said}");
    // The provider signs, and the requester never sends: nothing was done for it, and the money is the provider's again.
    let lock = first.bonded_lock(&scene).await;
    first.node.request(first.provider, &first.request(lock.transaction())).await.unwrap();
    scene.world.devnet.advance(std::time::Duration::from_millis(11 * 60_000)).await.unwrap();
    let reason = failure_after_signing(&mut scene).await;
    assert!(reason.contains("did not appear"), "{reason}");
    let now = scene.world.chain.tip().await.unwrap().time.0;
    terms.lock_by = PosixMs(now + 600_000);
    terms.reveal_by = PosixMs(terms.lock_by.0 + RUN_MS);
    terms.deadline = nunet_market::Agreement::earliest_deadline(terms.reveal_by, 0);
    let proposal = ProposeAgreement { signature: terms.sign(&first.key), agreement: terms };
    assert!(first.node.request(first.provider, &proposal).await.unwrap().bond.is_some());
    first.node.shutdown().await;
    scene.strike().await;
}

async fn failure_after_signing(scene: &mut Scene) -> String {
    loop {
        match scene.events.recv().await.unwrap() {
            ProviderEvent::LockSigned(_) => return failure(&mut scene.events).await,
            ProviderEvent::Agreed(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// How a provider cheats about its bond.
#[derive(Clone, Copy)]
enum Cheat {
    NamesTheRequestersOutputs,
    SignsSomethingElse,
    NamesNothing,
}

/// A provider that quotes a bond and agrees to everything.
fn dishonest(world: &World, key: SigningKey, cheat: Cheat, outputs: Vec<OutPoint>) -> Router {
    let wallet = Arc::new(nunet::accounts::Accounts::wallet_of(Role::Provider).unwrap());
    let (quoting, agreeing, signing) = (Arc::clone(&wallet), Arc::clone(&wallet), wallet);
    let agreement_key = key.clone();
    let expires = PosixMs(world.devnet.latest().time.0 + 60_000);
    Router::new()
        .on(move |_: Caller, message: AskQuote| {
            let quote = Quote {
                demand: message.demand.hash(),
                provider: PartyKey(key.verifying_key().to_bytes()),
                payout: quoting.enterprise_address(),
                price: PRICE,
                bond: BOND,
                run_ms: RUN_MS,
                expires,
            };
            let signed = quote.sign(&key);
            async move { Ok(signed) }
        })
        .on(move |_: Caller, message: ProposeAgreement| {
            let named = NamedFunds::new(outputs.clone(), &agreeing.address());
            let bond = if matches!(cheat, Cheat::NamesNothing) { None } else { Some(named) };
            let agreed = Agreed { signature: message.agreement.sign(&agreement_key), bond };
            async move { Ok(agreed) }
        })
        .on(move |_: Caller, _: RequestLock| {
            let witness = signing.sign(&nunet_ledger::TxId([9; 32]));
            async move { Ok(LockWitness { key: witness.key, signature: witness.signature }) }
        })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requester_pays_no_bond_of_the_providers() {
    let digits = Digits::load().unwrap();
    let world = World::start().await.unwrap();
    let outputs_of = |role| {
        let address = world.accounts.wallet(role).enterprise_address();
        let snapshot = world.devnet.snapshot();
        let own = snapshot.into_iter().filter(|(_, output)| output.address == address);
        own.map(|(outpoint, _)| outpoint).collect::<Vec<_>>()
    };
    let before = world.devnet.snapshot();
    let cases = [
        (Cheat::NamesTheRequestersOutputs, outputs_of(Role::Requester), "the requester's own"),
        // The operator's outputs hold NTX, and the provider's key cannot sign for them.
        (Cheat::SignsSomethingElse, outputs_of(Role::Operator), "is not needed by this transaction"),
        (Cheat::NamesNothing, Vec::new(), "names no outputs"),
    ];
    for (cheat, outputs, expected) in cases {
        let key = SigningKey::from_bytes(&[33; 32]);
        let node = dishonest(&world, key.clone(), cheat, outputs).start(NodeConfig::new(key.to_bytes())).await.unwrap();
        let party = world.party(Role::Requester, &[]).await.unwrap();
        let policy = nunet_agent::Policy { min_bond: BOND, ..POLICY };
        let requester = Requester::start(party, loopback(), policy).await.unwrap();
        let job = Job { program: digits.model.to_vec(), inputs: vec![digits.images.clone()], max_price: PRICE };
        let failed = requester.run(job, &[node.addresses()[0].clone()], &unbounded_channel().0).await;
        match failed {
            Err(AgentError::Peer { problem, .. }) => assert!(problem.contains(expected), "{problem}"),
            other => panic!("{other:?}"),
        }
        requester.shutdown().await;
        node.shutdown().await;
    }
    assert!(before == world.devnet.snapshot(), "no money moved");
    finish(world).await;
}
