//! Everything the demo needs, set up for real: devnet, deployed validators, committee, provider, requester.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nunet_agent::{Job, JobReport, Offer, Policy, Provider, ProviderEvent, Requester, RequesterEvent};
use nunet_chain::Chain;
use nunet_contracts::{Committee, Ntx, TxPlan, transactions::payout};
use nunet_devnet::Devnet;
use nunet_ledger::{Address, Lovelace, PosixMs};
use nunet_oracle::Member;
use nunet_p2p::Multiaddr;
use nunet_proof::Finding;
use tokio::{sync::mpsc, task::JoinHandle};

use super::{Scenario, digits::Digits, display::Line};
use crate::{
    accounts::{Accounts, Role},
    device::cpu_name,
    world::{MEMBERS, THRESHOLD, World, loopback},
};

/// What the demo's job costs, and what the requester would pay at most.
const PRICE: Ntx = Ntx(12_500_000);
const MAX_PRICE: Ntx = Ntx(20_000_000);
/// What the provider locks, and what the requester asks for.
const BOND: Ntx = Ntx(5_000_000);
/// What the requester adds.
const POLICY: Policy = Policy {
    fee: Ntx(500_000),
    min_bond: BOND,
    deposit: Lovelace(1_500_000),
    tip: Lovelace(2_000_000),
    accept_window_ms: 1_000,
    max_run_ms: 60 * 60_000,
};
/// How long the provider may take after the lock, in milliseconds of chain time.
const RUN_MS: u64 = 10 * 60_000;
/// With members down: how long after the lock nothing more is expected.
const SILENCE: Duration = Duration::from_secs(6);

/// The set: the economy, and everybody who is up that day.
pub struct Stage {
    started: Instant,
    lines: mpsc::UnboundedSender<Line>,
    world: World,
    members: Vec<Member>,
    provider: Provider,
    provider_events: JoinHandle<()>,
    requester: Requester,
    device: String,
}

impl Stage {
    /// Starts the devnet, deploys the protocol, starts everybody who is up that day.
    pub async fn set(scenario: Scenario, lines: mpsc::UnboundedSender<Line>) -> anyhow::Result<Self> {
        let started = Instant::now();
        let say = |who, what: String| drop(lines.send(Line { at: started.elapsed(), who, what }));
        say("devnet", "starts a fresh Cardano devnet, deploys the validators, founds a committee".into());
        let world = World::start().await?;
        say("devnet", format!("runs at {}", world.devnet.url()));
        say("operator", format!("deployed the job validator {}", short(&world.deployment.protocol.logic_hash())));
        say("operator", format!("founded a committee: {THRESHOLD} of {MEMBERS} members must agree"));
        fund_bond(&world).await?;
        say("operator", format!("gave the provider {BOND} for its bond"));
        let members = world.start_members(scenario.members_up()).await?;
        say("committee", format!("{} of {MEMBERS} members are up", members.len()));

        let (provider_sender, provider_receiver) = mpsc::unbounded_channel();
        let device = cpu_name();
        let offer = Offer { price: PRICE, bond: BOND, run_ms: RUN_MS, conduct: scenario.conduct() };
        let party = world.party(Role::Provider, &members).await?;
        let provider = Provider::start(party, loopback(), offer, provider_sender).await?;
        let requester = Requester::start(world.party(Role::Requester, &members).await?, loopback(), POLICY).await?;
        let provider_events = show_provider(provider_receiver, lines.clone(), started);
        Ok(Self { started, lines, world, members, provider, provider_events, requester, device })
    }

    /// Runs the one job; on the day when members are down, time moves past the deadline once nothing more happens.
    pub async fn play(&self, scenario: Scenario, digits: &Digits) -> anyhow::Result<JobReport> {
        let (events, receiver) = mpsc::unbounded_channel();
        let job = Job { program: digits.model.to_vec(), inputs: vec![digits.images.clone()], max_price: MAX_PRICE };
        self.say("requester", format!("wants {} images classified, for at most {MAX_PRICE}", digits.count()));
        let providers: Vec<Multiaddr> = self.provider.node().addresses().into_iter().take(1).collect();
        let run = self.requester.run(job, &providers, &events);
        let narrate = self.narrate(scenario, receiver);
        tokio::select! {
            report = run => Ok(report?),
            error = narrate => error.and_then(|()| bail!("the requester stopped reporting")),
        }
    }

    /// Shows what the requester reports, and moves time when members are down.
    async fn narrate(
        &self,
        scenario: Scenario,
        mut events: mpsc::UnboundedReceiver<RequesterEvent>,
    ) -> anyhow::Result<()> {
        let mut deadline: Option<PosixMs> = None;
        loop {
            let event = match (scenario, deadline) {
                (Scenario::OracleDown, Some(reached)) => match tokio::time::timeout(SILENCE, events.recv()).await {
                    Ok(event) => event,
                    Err(_) => {
                        self.pass(reached).await?;
                        deadline = None;
                        continue;
                    }
                },
                _ => events.recv().await,
            };
            let Some(event) = event else { return std::future::pending().await };
            if let RequesterEvent::Locked { deadline: agreed, .. } = &event {
                deadline = Some(*agreed);
            }
            let (who, what) = tell(&event);
            self.say(who, what);
        }
    }

    /// Moves the devnet's time to the deadline.
    async fn pass(&self, deadline: PosixMs) -> anyhow::Result<()> {
        let missing = deadline.0.saturating_sub(self.world.devnet.latest().time.0);
        let by = Duration::from_millis(missing) + Duration::from_secs(1);
        self.say("devnet", format!("no verdict can come; {} minutes pass, to the deadline", by.as_secs() / 60));
        self.world.devnet.advance(by).await.context("moving the devnet's time")?;
        Ok(())
    }

    /// Stops everybody and removes what they wrote.
    pub async fn strike(self) {
        self.requester.shutdown().await;
        self.provider.shutdown().await;
        for member in self.members {
            member.shutdown().await;
        }
        self.provider_events.abort();
        self.world.stop().await;
    }

    fn say(&self, who: &'static str, what: String) {
        // Nobody has to listen.
        drop(self.lines.send(Line { at: self.started.elapsed(), who, what }));
    }

    /// The devnet.
    pub fn devnet(&self) -> &Devnet {
        &self.world.devnet
    }

    /// The chain's parameters and slots.
    pub fn chain(&self) -> &Chain {
        &self.world.chain
    }

    /// The token and the wallets.
    pub fn accounts(&self) -> &Accounts {
        &self.world.accounts
    }

    /// The committee.
    pub fn committee(&self) -> &Committee {
        &self.world.committee
    }

    /// What the provider computes with.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// Every address of a role.
    pub fn addresses(&self, role: Role) -> Vec<Address> {
        let wallet = self.world.accounts.wallet(role);
        vec![wallet.enterprise_address(), wallet.address()]
    }
}

fn tell(event: &RequesterEvent) -> (&'static str, String) {
    match event {
        RequesterEvent::Quoted { offers, price, bond } => {
            ("requester", format!("got {offers} quote(s), takes {price} with a bond of {bond}"))
        }
        RequesterEvent::Agreed(hash) => ("both", format!("signed agreement {}", short(hash))),
        RequesterEvent::BondSigned(bond) => {
            ("requester", format!("has the provider's signature for its bond of {bond}"))
        }
        RequesterEvent::LockSent(id) => ("requester", format!("locks the money: transaction {}", short(id))),
        RequesterEvent::Locked { escrow, .. } => {
            ("chain", format!("escrow {}#{} holds the money", short(&escrow.tx), escrow.index))
        }
        RequesterEvent::Committed => ("requester", "has the provider's commitment".into()),
        RequesterEvent::Received => ("requester", "has the result; it opens the commitment".into()),
        RequesterEvent::Found { member, finding } => {
            ("member", format!("{} re-executed the job: {}", short(member), describe(finding)))
        }
        RequesterEvent::CloseSent(id) => ("requester", format!("closes the escrow: transaction {}", short(id))),
    }
}

/// The devnet's provider has no NTX at first.
async fn fund_bond(world: &World) -> anyhow::Result<()> {
    let provider = world.accounts.wallet(Role::Provider).enterprise_address();
    let output = payout(&world.deployment.protocol, &world.chain.params(), provider, BOND, Lovelace(0))?;
    let plan = TxPlan { outputs: vec![output], ..TxPlan::default() };
    world.place(&plan, world.accounts.wallet(Role::Operator)).await.context("funding the provider's bond")?;
    Ok(())
}

/// A finding in words.
pub(super) fn describe(finding: &Finding) -> String {
    match finding {
        Finding::Accepted => "right, bit for bit".into(),
        Finding::WrongResult { at } => format!("wrong at op {}, row {}", at.op, at.row),
        Finding::BadOpening => "the reveal does not open the commitment".into(),
        Finding::NoReveal => "nothing was revealed".into(),
    }
}

/// The first digits of a hash, enough to tell two apart on a screen.
pub(super) fn short(hash: &impl ToString) -> String {
    let text = hash.to_string();
    text.get(..12).map_or(text.clone(), |head| format!("{head}…"))
}

fn show_provider(
    mut events: mpsc::UnboundedReceiver<ProviderEvent>,
    lines: mpsc::UnboundedSender<Line>,
    started: Instant,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            let what = match event {
                ProviderEvent::Agreed(_) => continue,
                ProviderEvent::LockSigned(_) => "checked the lock, signs for its bond and nothing else".to_owned(),
                ProviderEvent::Started(_) => "sees exactly the agreed escrow, starts".to_owned(),
                ProviderEvent::Computed { took, ops, .. } => {
                    format!("ran the model in {:.1} ms, {ops} linear ops in the trace", took.as_secs_f64() * 1e3)
                }
                ProviderEvent::Committed(_) => "committed to trace and result".to_owned(),
                ProviderEvent::TooFewMembers { members, threshold, .. } => {
                    format!("reaches {members} members, needs {threshold}: keeps the result back")
                }
                ProviderEvent::Revealed { members, .. } => {
                    format!("revealed to {members} members, and now to the requester")
                }
                ProviderEvent::Failed { reason, .. } => format!("ended a job without payment: {reason}"),
            };
            drop(lines.send(Line { at: started.elapsed(), who: "provider", what }));
        }
    })
}
