//! What strangers and cheats send over the network: each gets a clear refusal, and nobody works or signs for it.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use ed25519_dalek::SigningKey;
use minicbor::{Decode, Encode};
use nunet::{
    accounts::Role,
    demo::Digits,
    world::{World, loopback},
};
use nunet_agent::{
    AgentError, Conduct, Job, Offer, Policy, Provider, ProviderEvent, Requester,
    messages::{Locked, ProposeAgreement},
};
use nunet_compute::Tensor;
use nunet_contracts::{Closing, Ntx, closing::read_closing, transactions::escrow_output};
use nunet_ledger::{Lovelace, OutPoint, PosixMs};
use nunet_market::{Agreement, JobSpec, MIN_SETTLE_TIME_MS, PartyKey, SignedAgreement};
use nunet_oracle::{
    Member,
    messages::{Findings, JobNotice, Ruling},
};
use nunet_p2p::{Node, PeerId, Request, RequestError, Router, blob::BlobStore};
use nunet_proof::{ProofKind, RunResult};
use nunet_tests::finish;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

const POLICY: Policy = Policy {
    fee: Ntx(500_000),
    deposit: Lovelace(1_500_000),
    tip: Lovelace(2_000_000),
    accept_window_ms: 0,
    max_run_ms: RUN_MS,
};
const PRICE: Ntx = Ntx(5_000_000);
const RUN_MS: u64 = 600_000;

/// A provider on a fresh economy.
struct Scene {
    world: World,
    members: Vec<Member>,
    provider: Provider,
    events: UnboundedReceiver<ProviderEvent>,
    provider_key: PartyKey,
}

impl Scene {
    async fn set(members: usize) -> Self {
        let world = World::start().await.unwrap();
        let members = world.start_members(members).await.unwrap();
        let party = world.party(Role::Provider, &members).await.unwrap();
        let provider_key = PartyKey(party.key.verifying_key().to_bytes());
        let (sender, events) = unbounded_channel();
        let offer = Offer { price: PRICE, run_ms: RUN_MS, conduct: Conduct::Honest };
        let provider = Provider::start(party, loopback(), offer, sender).await.unwrap();
        Self { world, members, provider, events, provider_key }
    }

    async fn requester(&self) -> Requester {
        let party = self.world.party(Role::Requester, &self.members).await.unwrap();
        Requester::start(party, loopback(), POLICY).await.unwrap()
    }

    /// Asks for a job that cannot be; returns what the requester is told.
    async fn refused(&self, requester: &Requester, program: Vec<u8>, inputs: Vec<Tensor>) -> String {
        let providers = [self.provider.node().addresses()[0].clone()];
        let job = Job { program, inputs, max_price: PRICE };
        match requester.run(job, &providers, &unbounded_channel().0).await {
            Err(AgentError::Peer { problem, .. }) => problem,
            other => panic!("expected a refusal by the provider, got {other:?}"),
        }
    }

    /// Locks an escrow with these terms, whatever was agreed.
    async fn lock(&self, terms: &nunet_contracts::EscrowTerms) -> OutPoint {
        let outputs = vec![escrow_output(&self.world.deployment.protocol, terms).unwrap()];
        let plan = nunet_contracts::TxPlan { outputs, ..nunet_contracts::TxPlan::default() };
        let tx = self.world.place(&plan, self.world.accounts.wallet(Role::Requester)).await.unwrap();
        OutPoint { tx, index: 0 }
    }

    async fn strike(self) {
        self.provider.shutdown().await;
        for member in self.members {
            member.shutdown().await;
        }
        finish(self.world).await;
    }
}

/// A requester made by hand, who can lock what it likes.
struct HandMade {
    key: SigningKey,
    node: Node,
    provider: PeerId,
    agreement: SignedAgreement,
}

impl HandMade {
    /// Agrees with the provider on the digits job.
    async fn agree(scene: &Scene, digits: &Digits) -> Self {
        let key = SigningKey::from_bytes(&[42; 32]);
        let blobs = BlobStore::new(16 * 1024 * 1024);
        let config = nunet_p2p::NodeConfig::new(key.to_bytes());
        let node = blobs.serve(Router::new()).start(config).await.unwrap();
        let provider = node.connect(scene.provider.node().addresses()[0].clone()).await.unwrap();
        let program = blobs.insert(digits.model.to_vec()).unwrap().0;
        let inputs = blobs.insert(RunResult::Outputs(vec![digits.images.clone()]).to_bytes()).unwrap().0;
        let now = scene.world.chain.tip().await.unwrap().time.0;
        let lock_by = PosixMs(now + 600_000);
        let reveal_by = PosixMs(lock_by.0 + RUN_MS);
        let agreement = Agreement {
            magic: scene.world.deployment.protocol.magic(),
            logic: scene.world.deployment.protocol.logic_hash(),
            committee: scene.world.committee.id,
            requester: PartyKey(key.verifying_key().to_bytes()),
            provider: scene.provider_key,
            requester_address: scene.world.accounts.wallet(Role::Requester).enterprise_address(),
            provider_address: scene.world.accounts.wallet(Role::Provider).enterprise_address(),
            spec: JobSpec { program, inputs, kind: ProofKind::Exact },
            price: PRICE,
            fee: POLICY.fee,
            bond: Ntx(0),
            deposit: POLICY.deposit,
            carry: Lovelace(0),
            tip: POLICY.tip,
            lock_by,
            reveal_by,
            deadline: PosixMs(reveal_by.0 + MIN_SETTLE_TIME_MS),
            accept_window_ms: 0,
            nonce: [1; 16],
        };
        let signature = agreement.sign(&key);
        let proposal = ProposeAgreement { agreement: agreement.clone(), signature };
        let agreed = node.request(provider, &proposal).await.unwrap();
        let agreement = SignedAgreement { agreement, requester: signature, provider: agreed.signature };
        agreement.check().unwrap();
        Self { key, node, provider, agreement }
    }

    /// Locks the agreed escrow after a change, and tells members and provider that it is the agreed one; the members
    /// refuse at once.
    async fn lock_changed(&self, scene: &Scene, change: impl FnOnce(&mut nunet_contracts::EscrowTerms)) -> OutPoint {
        let mut terms = self.agreement.agreement.escrow_terms();
        change(&mut terms);
        let escrow = scene.lock(&terms).await;
        let notice = JobNotice { agreement: self.agreement.clone(), escrow: escrow.to_bytes() };
        for member in &scene.members {
            let peer = self.node.connect(member.addresses()[0].clone()).await.unwrap();
            let said = refusal(self.node.request(peer, &notice).await);
            assert!(said.contains("not as agreed") && said.contains(&escrow.to_string()), "{said}");
        }
        let locked = Locked { agreement: self.agreement.agreement.hash().0, escrow: escrow.to_bytes() };
        self.node.request(self.provider, &locked).await.unwrap();
        escrow
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requester_that_walks_away_keeps_nobody_from_being_paid() {
    let digits = Digits::load().unwrap();
    let mut scene = Scene::set(3).await;
    let requester = HandMade::agree(&scene, &digits).await;
    let terms = requester.agreement.agreement.escrow_terms();
    let escrow = scene.lock(&terms).await;
    let locked = Locked { agreement: requester.agreement.agreement.hash().0, escrow: escrow.to_bytes() };
    requester.node.request(requester.provider, &locked).await.unwrap();
    // It takes no result, hands out no inputs and tells no member.
    requester.node.shutdown().await;

    let paid = async {
        loop {
            if let nunet_chain::OutputState::Spent { by, .. } = scene.world.chain.look_up(escrow).await {
                return by;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let by = tokio::time::timeout(Duration::from_secs(90), paid).await.expect("the provider settles");
    let cbor = scene.world.chain.transaction_cbor(&by).await.unwrap().unwrap();
    let spent = scene.world.chain.consumed_by(&by).await.unwrap().unwrap();
    match read_closing(&scene.world.deployment.protocol, &cbor, &spent, escrow).unwrap() {
        Closing::Settled { paid, .. } => assert_eq!(paid, PRICE),
        other => panic!("{other:?}"),
    }
    while let Ok(event) = scene.events.try_recv() {
        assert!(!matches!(event, ProviderEvent::Failed { .. }), "{event:?}");
    }
    scene.strike().await;
}

async fn failure(events: &mut UnboundedReceiver<ProviderEvent>) -> String {
    let wait = async {
        loop {
            match events.recv().await.unwrap() {
                ProviderEvent::Failed { reason, .. } => return reason,
                ProviderEvent::Agreed(_) => {}
                other => panic!("the provider worked for it: {other:?}"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.expect("the provider says why it does not work")
}

fn refusal<T>(answer: Result<T, RequestError>) -> String {
    match answer {
        Err(RequestError::Refused { text, .. }) => text.to_string(),
        Err(other) => panic!("expected a refusal, got {other}"),
        Ok(_) => panic!("expected a refusal, it was accepted"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_work_and_no_signature_for_money_that_is_not_as_agreed() {
    let digits = Digits::load().unwrap();
    type Change = fn(&mut nunet_contracts::EscrowTerms);
    let changes: [(&str, Change); 4] = [
        ("too little NTX", |terms| terms.datum.price.0 -= 1),
        ("another deadline", |terms| terms.datum.deadline.0 += 1),
        ("another requester", |terms| terms.datum.requester = terms.datum.provider.clone()),
        ("less lovelace", |terms| terms.tip.0 -= 1),
    ];
    for (what, change) in changes {
        let mut scene = Scene::set(3).await;
        let cheat = HandMade::agree(&scene, &digits).await;
        let escrow = cheat.lock_changed(&scene, change).await;
        let reason = failure(&mut scene.events).await;
        assert!(reason.contains("not as agreed") && reason.contains(&escrow.to_string()), "{what}: {reason}");
        cheat.node.shutdown().await;
        scene.strike().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_cannot_run_is_refused_before_money_moves() {
    let digits = Digits::load().unwrap();
    let scene = Scene::set(0).await;
    let requester = scene.requester().await;
    let before = scene.world.devnet.snapshot();

    let truncated = digits.model[..digits.model.len() / 2].to_vec();
    let said = scene.refused(&requester, truncated, vec![digits.images.clone()]).await;
    assert!(said.contains("is not an ONNX model") && said.contains("damaged"), "{said}");

    let unknown = replace(digits.model, b"ArgMax", b"ArgMox");
    let said = scene.refused(&requester, unknown, vec![digits.images.clone()]).await;
    assert!(said.contains("ArgMox"), "the op is named: {said}");

    let pixels = digits.images.to_f32().unwrap();
    let name = digits.images.name().to_owned();
    let narrow = Tensor::from_f32(name.clone(), vec![pixels.len() / 32, 32], &pixels).unwrap();
    let said = scene.refused(&requester, digits.model.to_vec(), vec![narrow]).await;
    assert!(said.contains("64") && said.contains("32"), "both shapes are named: {said}");

    let other_name = digits.images.clone().renamed("picture").unwrap();
    let said = scene.refused(&requester, digits.model.to_vec(), vec![other_name]).await;
    assert!(said.contains(&name), "the missing input is named: {said}");

    assert!(before == scene.world.devnet.snapshot(), "no money moved");
    requester.shutdown().await;
    scene.strike().await;
}

/// Replaces a byte string by one of the same length.
fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut changed = bytes.to_vec();
    let at = bytes.windows(from.len()).position(|window| window == from).expect("the model has this op");
    changed[at..at + to.len()].copy_from_slice(to);
    changed
}

/// Bytes that are no message, sent where an agreement is expected.
#[derive(Encode, Decode)]
struct Garbage(#[n(0)] u8);

impl Request for Garbage {
    const PROTOCOL: &'static str = ProposeAgreement::PROTOCOL;
    const MAX_REQUEST: usize = 64;
    const MAX_RESPONSE: usize = 256;
    const TIMEOUT: Duration = Duration::from_secs(10);
    type Response = Garbage;
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_and_unsigned_messages_are_refused_and_the_node_lives() {
    let digits = Digits::load().unwrap();
    let scene = Scene::set(1).await;
    let stranger = HandMade::agree(&scene, &digits).await;
    let said = refusal(stranger.node.request(stranger.provider, &Garbage(7)).await);
    assert!(said.contains("malformed"), "{said}");

    let mut forged = stranger.agreement.agreement.clone();
    forged.price = Ntx(9_000_000);
    let unsigned = ProposeAgreement { agreement: forged, signature: stranger.agreement.requester };
    let said = refusal(stranger.node.request(stranger.provider, &unsigned).await);
    assert!(said.contains("not signed"), "{said}");

    let mut cheap = stranger.agreement.agreement.clone();
    cheap.price = Ntx(1);
    let signature = cheap.sign(&stranger.key);
    let said =
        refusal(stranger.node.request(stranger.provider, &ProposeAgreement { agreement: cheap, signature }).await);
    assert!(said.contains("5 NTX"), "{said}");

    let member = stranger.node.connect(scene.members[0].addresses()[0].clone()).await.unwrap();
    let mut one_sided = stranger.agreement.clone();
    one_sided.provider = one_sided.requester;
    let said = refusal(stranger.node.request(member, &JobNotice { agreement: one_sided, escrow: [0; 34] }).await);
    assert!(said.contains("not signed"), "{said}");
    let said = refusal(stranger.node.request(member, &Findings { transcript: vec![0xff; 100] }).await);
    assert!(said.contains("transcript"), "{said}");
    let ruling = Ruling { member: [1; 32], evidence: vec![1, 2, 3], signature: [0; 64] };
    let said = refusal(stranger.node.request(member, &ruling).await);
    assert!(said.contains("evidence"), "{said}");

    // The provider still serves honest people.
    let requester = scene.requester().await;
    let said = scene.refused(&requester, Vec::new(), vec![digits.images.clone()]).await;
    assert!(!said.is_empty());
    requester.shutdown().await;
    stranger.node.shutdown().await;
    scene.strike().await;
}
