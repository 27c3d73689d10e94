//! Everything the demo needs, set up for real: devnet, deployed validators, committee, provider, requester.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use ed25519_dalek::SigningKey;
use nunet_agent::{
    Job, JobReport, Offer, PartyConfig, Policy, Provider, ProviderEvent, Requester, RequesterEvent,
};
use nunet_chain::{Chain, Limit, Wallet, submit_plan};
use nunet_contracts::{
    Committee, CommitteeDatum, Deployment, MemberKey, Ntx, Protocol, TxPlan,
    transactions::{create_committee, publish_scripts},
};
use nunet_devnet::{Devnet, DevnetConfig};
use nunet_ledger::{Address, Lovelace, OutPoint, PosixMs, TxOut};
use nunet_oracle::{Journal, Member, MemberConfig};
use nunet_p2p::{Multiaddr, NodeConfig};
use nunet_proof::Finding;
use rand::Rng;
use tokio::{sync::mpsc, task::JoinHandle};

use super::{Scenario, digits::Digits, display::Line};
use crate::{
    accounts::{Accounts, Role},
    device::cpu_name,
};

/// Members of the demo's committee, and how many must agree.
const MEMBERS: usize = 5;
const THRESHOLD: u8 = 3;
/// What the demo's job costs, and what the requester would pay at most.
const PRICE: Ntx = Ntx(12_500_000);
const MAX_PRICE: Ntx = Ntx(20_000_000);
/// What the requester adds.
const POLICY: Policy = Policy {
    fee: Ntx(500_000),
    deposit: Lovelace(1_500_000),
    tip: Lovelace(2_000_000),
    accept_window_ms: 1_000,
};
/// How long the provider may take after the lock, in milliseconds of chain time.
const RUN_MS: u64 = 10 * 60_000;
/// How often the demo looks at the chain for a transaction that must come into a block.
const BLOCK_POLLS: u32 = 100;
/// With members down: how long after the last finding nothing more is expected.
const SILENCE: Duration = Duration::from_secs(2);

/// The set.
pub struct Stage {
    started: Instant,
    lines: mpsc::UnboundedSender<Line>,
    accounts: Accounts,
    devnet: Devnet,
    chain: Chain,
    committee: Committee,
    members: Vec<Member>,
    provider: Provider,
    provider_events: Option<JoinHandle<()>>,
    requester: Requester,
    device: String,
    folder: PathBuf,
}

impl Stage {
    /// Starts the devnet, deploys the protocol, starts everybody who is up that day.
    pub async fn set(scenario: Scenario, lines: mpsc::UnboundedSender<Line>) -> anyhow::Result<Self> {
        let started = Instant::now();
        let say = |who, what: String| drop(lines.send(Line { at: started.elapsed(), who, what }));
        let accounts = Accounts::new()?;
        let config = DevnetConfig { genesis: accounts.genesis.clone(), ..DevnetConfig::default() };
        let devnet = Devnet::start(config).await.context("starting the devnet")?;
        say("devnet", format!("a fresh Cardano devnet at {}", devnet.url()));

        // Each party has its own connection to the chain, as it would have at home.
        let chain = connect(&devnet).await?;
        let protocol = Protocol::new(chain.magic(), accounts.ntx.clone())?;
        let deployment = deploy(&chain, &protocol, accounts.wallet(Role::Operator)).await?;
        say("operator", format!("deployed the job validator {}", short(&protocol.logic_hash())));
        let mut keys: Vec<SigningKey> = (0..MEMBERS).map(|_| new_key()).collect();
        keys.sort_by_key(|key| key.verifying_key().to_bytes());
        let committee = found_committee(&chain, &protocol, &accounts, &keys).await?;
        say("operator", format!("founded a committee: {THRESHOLD} of {MEMBERS} members must agree"));

        let folder = std::env::temp_dir().join(format!("nunet-demo-{}", hex::encode(random::<8>())));
        std::fs::create_dir(&folder).with_context(|| format!("creating {}", folder.display()))?;
        let members = start_members(scenario, &devnet, &protocol, &committee, &keys, &folder).await?;
        let addresses: Vec<Multiaddr> =
            members.iter().filter_map(|member| member.addresses().first().cloned()).collect();
        say("committee", format!("{} of {MEMBERS} members are up", members.len()));

        let party = async |role: Role, name: &str| -> anyhow::Result<PartyConfig> {
            let wallet = Accounts::new()?.into_wallet(role);
            Ok(PartyConfig {
                key: new_key(),
                wallet: Arc::new(wallet),
                chain: connect(&devnet).await?,
                deployment: deployment.clone(),
                committee: committee.clone(),
                members: addresses.clone(),
                journal: Journal::open(&folder.join(format!("{name}.sqlite"))).await?,
            })
        };
        let (provider_sender, provider_receiver) = mpsc::unbounded_channel();
        let device = cpu_name();
        let offer =
            Offer { price: PRICE, run_ms: RUN_MS, device: device.clone(), conduct: scenario.conduct() };
        let provider =
            Provider::start(party(Role::Provider, "provider").await?, loopback(), offer, provider_sender).await?;
        let requester = Requester::start(party(Role::Requester, "requester").await?, loopback(), POLICY).await?;
        let provider_events = Some(show_provider(provider_receiver, lines.clone(), started));
        Ok(Self {
            started,
            lines,
            accounts,
            devnet,
            chain,
            committee,
            members,
            provider,
            provider_events,
            requester,
            device,
            folder,
        })
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
        let mut found = 0;
        loop {
            let waits_for_nobody = scenario == Scenario::OracleDown && found == scenario.members_up();
            let event = if waits_for_nobody {
                match tokio::time::timeout(SILENCE, events.recv()).await {
                    Ok(event) => event,
                    Err(_) => {
                        if let Some(deadline) = deadline.take() {
                            self.pass(deadline).await?;
                        }
                        events.recv().await
                    }
                }
            } else {
                events.recv().await
            };
            let Some(event) = event else { return std::future::pending().await };
            match &event {
                RequesterEvent::Locked { deadline: agreed, .. } => deadline = Some(*agreed),
                RequesterEvent::Found { .. } => found += 1,
                _ => {}
            }
            let (who, what) = tell(&event);
            self.say(who, what);
        }
    }

    /// Moves the devnet's time to the deadline.
    async fn pass(&self, deadline: PosixMs) -> anyhow::Result<()> {
        let missing = deadline.0.saturating_sub(self.devnet.latest().time.0);
        let by = Duration::from_millis(missing) + Duration::from_secs(1);
        self.say("devnet", format!("no verdict can come; {} minutes pass, to the deadline", by.as_secs() / 60));
        self.devnet.advance(by).await.context("moving the devnet's time")?;
        Ok(())
    }

    /// Stops everybody and removes what they wrote.
    pub async fn strike(self) {
        self.requester.shutdown().await;
        self.provider.shutdown().await;
        for member in self.members {
            member.shutdown().await;
        }
        if let Some(events) = self.provider_events {
            events.abort();
        }
        self.devnet.shutdown().await;
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            tracing::warn!(folder = %self.folder.display(), %error, "a temporary folder was left behind");
        }
    }

    fn say(&self, who: &'static str, what: String) {
        // Nobody has to listen.
        drop(self.lines.send(Line { at: self.started.elapsed(), who, what }));
    }

    /// The devnet.
    pub fn devnet(&self) -> &Devnet {
        &self.devnet
    }

    /// The chain's parameters and slots.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The token and the wallets.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// The committee.
    pub fn committee(&self) -> &Committee {
        &self.committee
    }

    /// What the provider computes with.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// Every address of a role.
    pub fn addresses(&self, role: Role) -> Vec<Address> {
        let wallet = self.accounts.wallet(role);
        vec![wallet.enterprise_address(), wallet.address()]
    }
}

fn tell(event: &RequesterEvent) -> (&'static str, String) {
    match event {
        RequesterEvent::Quoted { offers, price } => ("requester", format!("got {offers} quote(s), takes {price}")),
        RequesterEvent::Agreed(hash) => ("both", format!("signed agreement {}", short(hash))),
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
                ProviderEvent::Started(_) => "sees exactly the agreed escrow, starts".to_owned(),
                ProviderEvent::Computed { took, ops, .. } => {
                    format!("ran the model in {:.1} ms, {ops} linear ops in the trace", took.as_secs_f64() * 1e3)
                }
                ProviderEvent::Committed(_) => "committed to trace and result".to_owned(),
                ProviderEvent::Revealed { members, .. } => format!("revealed to {members} members"),
                ProviderEvent::Failed { reason, .. } => format!("ended a job without payment: {reason}"),
            };
            drop(lines.send(Line { at: started.elapsed(), who: "provider", what }));
        }
    })
}

fn new_key() -> SigningKey {
    SigningKey::from_bytes(&random())
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

/// A node on free loopback ports; its identity comes from the party's key.
fn loopback() -> NodeConfig {
    NodeConfig::new([0; 32])
}

async fn connect(devnet: &Devnet) -> anyhow::Result<Chain> {
    Chain::connect(&devnet.url(), None).await.context("connecting to the devnet")
}

/// Submits a plan and waits until it is in a block.
async fn place(chain: &Chain, plan: &TxPlan, wallet: &Wallet) -> anyhow::Result<nunet_ledger::TxId> {
    let (id, _) = submit_plan(chain, plan, wallet).await?;
    chain.wait_for(&id, 1, Limit::Polls(BLOCK_POLLS)).await?;
    Ok(id)
}

async fn output(chain: &Chain, tx: nunet_ledger::TxId, index: u16) -> anyhow::Result<(OutPoint, TxOut)> {
    let outpoint = OutPoint { tx, index };
    Ok((outpoint, chain.unspent(&outpoint).await?))
}

async fn deploy(chain: &Chain, protocol: &Protocol, operator: &Wallet) -> anyhow::Result<Deployment> {
    let id = place(chain, &publish_scripts(protocol, &chain.params()), operator)
        .await
        .context("publishing the validators")?;
    Ok(Deployment::new(protocol.clone(), output(chain, id, 0).await?, output(chain, id, 1).await?)?)
}

async fn found_committee(
    chain: &Chain,
    protocol: &Protocol,
    accounts: &Accounts,
    keys: &[SigningKey],
) -> anyhow::Result<Committee> {
    let operator = accounts.wallet(Role::Operator);
    let members = keys.iter().map(|key| MemberKey(key.verifying_key().to_bytes())).collect();
    let treasury = accounts.wallet(Role::Treasury).enterprise_address();
    let datum = CommitteeDatum::new(members, THRESHOLD, treasury)?;
    let funds = chain.spendable_at(&[operator.address(), operator.enterprise_address()]).await?;
    let seed = funds.into_iter().min_by_key(|utxo| utxo.outpoint).context("the operator has no funds")?;
    let (_, plan) = create_committee(protocol, &chain.params(), (seed.outpoint, seed.output), &datum)?;
    let id = place(chain, &plan, operator).await.context("founding the committee")?;
    let (outpoint, output) = output(chain, id, 0).await?;
    Ok(Committee::read(protocol, outpoint, output)?)
}

/// Starts the members that are up, each with its own chain connection, journal and node, and lets them meet.
async fn start_members(
    scenario: Scenario,
    devnet: &Devnet,
    protocol: &Protocol,
    committee: &Committee,
    keys: &[SigningKey],
    folder: &std::path::Path,
) -> anyhow::Result<Vec<Member>> {
    let mut members: Vec<Member> = Vec::new();
    for (index, key) in keys.iter().take(scenario.members_up()).enumerate() {
        let member = Member::start(MemberConfig {
            key: key.clone(),
            node: loopback(),
            chain: connect(devnet).await?,
            protocol: protocol.clone(),
            committee: committee.clone(),
            journal: Journal::open(&folder.join(format!("member-{index}.sqlite"))).await?,
        })
        .await?;
        for earlier in &members {
            let address = earlier.addresses().into_iter().next().context("a member listens nowhere")?;
            member.node().connect(address).await.context("members could not meet")?;
        }
        members.push(member);
    }
    Ok(members)
}
