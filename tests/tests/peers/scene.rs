//! A provider on a fresh economy, and a requester made by hand that can do what no honest one does.

use std::time::Duration;

use ed25519_dalek::SigningKey;
use nunet::{
    accounts::Role,
    demo::Digits,
    world::{World, loopback},
};
use nunet_agent::{
    AgentError, Conduct, Job, Offer, Policy, Provider, ProviderEvent, Requester,
    messages::{Locked, NamedFunds, ProposeAgreement},
};
use nunet_compute::Tensor;
use nunet_contracts::{
    EscrowTerms, Ntx, TxPlan,
    transactions::{escrow_output, payout},
};
use nunet_ledger::{Lovelace, OutPoint, PosixMs};
use nunet_market::{Agreement, JobSpec, MIN_SETTLE_TIME_MS, PartyKey, SignedAgreement};
use nunet_oracle::{Member, messages::JobNotice};
use nunet_p2p::{Node, PeerId, RequestError, Router, blob::BlobStore};
use nunet_proof::{ProofKind, RunResult};
use nunet_tests::finish;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

pub(crate) const POLICY: Policy = Policy {
    fee: Ntx(500_000),
    min_bond: Ntx(0),
    deposit: Lovelace(1_500_000),
    tip: Lovelace(2_000_000),
    accept_window_ms: 0,
    max_run_ms: RUN_MS,
};
pub(crate) const PRICE: Ntx = Ntx(5_000_000);
pub(crate) const RUN_MS: u64 = 600_000;

/// A provider on a fresh economy.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) members: Vec<Member>,
    pub(crate) provider: Provider,
    pub(crate) events: UnboundedReceiver<ProviderEvent>,
    pub(crate) provider_key: PartyKey,
    bond: Ntx,
}

impl Scene {
    pub(crate) async fn set(members: usize) -> Self {
        Self::set_with_bond(members, Ntx(0)).await
    }

    /// The provider locks a bond with each job, and has NTX for one.
    pub(crate) async fn set_with_bond(members: usize, bond: Ntx) -> Self {
        let world = World::start().await.unwrap();
        if bond > Ntx(0) {
            let address = world.accounts.wallet(Role::Provider).enterprise_address();
            let (protocol, params) = (&world.deployment.protocol, world.chain.params());
            let outputs = vec![payout(protocol, &params, address, bond, Lovelace(3_000_000)).unwrap()];
            let plan = TxPlan { outputs, ..TxPlan::default() };
            world.place(&plan, world.accounts.wallet(Role::Operator)).await.unwrap();
        }
        let members = world.start_members(members).await.unwrap();
        let party = world.party(Role::Provider, &members).await.unwrap();
        let provider_key = PartyKey(party.key.verifying_key().to_bytes());
        let (sender, events) = unbounded_channel();
        let offer = Offer { price: PRICE, bond, run_ms: RUN_MS, conduct: Conduct::Honest };
        let provider = Provider::start(party, loopback(), offer, sender).await.unwrap();
        Self { world, members, provider, events, provider_key, bond }
    }

    pub(crate) async fn requester(&self) -> Requester {
        let party = self.world.party(Role::Requester, &self.members).await.unwrap();
        Requester::start(party, loopback(), POLICY).await.unwrap()
    }

    /// Asks for a job that cannot be; returns what the requester is told.
    pub(crate) async fn refused(&self, requester: &Requester, program: Vec<u8>, inputs: Vec<Tensor>) -> String {
        let providers = [self.provider.node().addresses()[0].clone()];
        let job = Job { program, inputs, max_price: PRICE };
        match requester.run(job, &providers, &unbounded_channel().0).await {
            Err(AgentError::Peer { problem, .. }) => problem,
            other => panic!("expected a refusal by the provider, got {other:?}"),
        }
    }

    /// Locks an escrow with these terms, whatever was agreed.
    pub(crate) async fn lock(&self, terms: &EscrowTerms) -> OutPoint {
        let outputs = vec![escrow_output(&self.world.deployment.protocol, terms).unwrap()];
        let plan = TxPlan { outputs, ..TxPlan::default() };
        let tx = self.world.place(&plan, self.world.accounts.wallet(Role::Requester)).await.unwrap();
        OutPoint { tx, index: 0 }
    }

    /// What the provider's payout needs at most.
    fn carry(&self) -> Lovelace {
        if self.bond == Ntx(0) {
            return Lovelace(0);
        }
        let (protocol, params) = (&self.world.deployment.protocol, self.world.chain.params());
        let address = self.world.accounts.wallet(Role::Provider).enterprise_address();
        let most = Ntx(PRICE.0 + self.bond.0);
        payout(protocol, &params, address, most, Lovelace(0)).unwrap().value.lovelace()
    }

    pub(crate) async fn strike(self) {
        self.provider.shutdown().await;
        for member in self.members {
            member.shutdown().await;
        }
        finish(self.world).await;
    }
}

/// A requester made by hand, who can lock what it likes.
pub(crate) struct HandMade {
    pub(crate) key: SigningKey,
    pub(crate) node: Node,
    pub(crate) provider: PeerId,
    pub(crate) agreement: SignedAgreement,
    /// What the provider named for its bond.
    pub(crate) bond: Option<NamedFunds>,
}

impl HandMade {
    /// Agrees with the provider on the digits job.
    pub(crate) async fn agree(scene: &Scene, digits: &Digits) -> Self {
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
            bond: scene.bond,
            deposit: POLICY.deposit,
            carry: scene.carry(),
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
        Self { key, node, provider, agreement, bond: agreed.bond }
    }

    /// Locks the agreed escrow after a change, and tells members and provider that it is the agreed one; the members
    /// refuse at once.
    pub(crate) async fn lock_changed(&self, scene: &Scene, change: impl FnOnce(&mut EscrowTerms)) -> OutPoint {
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

pub(crate) async fn failure(events: &mut UnboundedReceiver<ProviderEvent>) -> String {
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

pub(crate) fn refusal<T>(answer: Result<T, RequestError>) -> String {
    match answer {
        Err(RequestError::Refused { text, .. }) => text.to_string(),
        Err(other) => panic!("expected a refusal, got {other}"),
        Ok(_) => panic!("expected a refusal, it was accepted"),
    }
}
