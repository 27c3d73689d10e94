//! An economy in one process, set up for real: a devnet, the deployed validators, a founded committee, and what each
//! party needs to take part. The demo plays on it, and the end-to-end tests do.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use ed25519_dalek::SigningKey;
use nunet_agent::PartyConfig;
use nunet_chain::{Chain, Wallet};
use nunet_contracts::{Committee, CommitteeDatum, Deployment, MemberKey, Ntx, Protocol, TxPlan};
use nunet_devnet::{BLOCK_INTERVAL, Devnet, DevnetConfig};
use nunet_ledger::TxId;
use nunet_oracle::{Journal, Member, MemberConfig};
use nunet_p2p::{Multiaddr, NodeConfig};
use rand::Rng;

use crate::{
    accounts::{Accounts, Role},
    deployment::{deploy, found_committee, place},
};

/// Members of the committee.
pub const MEMBERS: usize = 5;
/// How many of them must agree.
pub const THRESHOLD: u8 = 3;
/// The least fee for which members check a job.
pub const MIN_FEE: Ntx = Ntx(100_000);

/// The economy without its parties.
pub struct World {
    /// The wallets and the token.
    pub accounts: Accounts,
    /// The chain's one node.
    pub devnet: Devnet,
    /// A connection to it.
    pub chain: Chain,
    /// The validators and where their reference scripts are.
    pub deployment: Deployment,
    /// The committee.
    pub committee: Committee,
    /// The members' keys, in the order of the committee's datum.
    pub member_keys: Vec<SigningKey>,
    folder: TemporaryFolder,
}

impl World {
    /// Starts a devnet, deploys the validators and founds a committee of five.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(std::array::from_fn(|_| new_key())).await
    }

    /// The same with these members.
    pub async fn start_with(members: [SigningKey; MEMBERS]) -> anyhow::Result<Self> {
        Self::start_paced(members, BLOCK_INTERVAL).await
    }

    /// The same with these members, and so much time between blocks.
    pub async fn start_paced(members: [SigningKey; MEMBERS], block_interval: Duration) -> anyhow::Result<Self> {
        let accounts = Accounts::new()?;
        let config = DevnetConfig {
            genesis: accounts.genesis.clone(),
            block_interval: Some(block_interval),
            ..DevnetConfig::default()
        };
        let devnet = Devnet::start(config).await.context("starting the devnet")?;
        let chain = connect(&devnet).await?;
        let protocol = Protocol::new(chain.magic(), accounts.ntx.clone())?;
        let operator = accounts.wallet(Role::Operator);
        let deployment = deploy(&chain, &protocol, operator).await?;
        let mut member_keys = members.to_vec();
        member_keys.sort_by_key(|key| key.verifying_key().to_bytes());
        let members = member_keys.iter().map(|key| MemberKey(key.verifying_key().to_bytes())).collect();
        let treasury = accounts.wallet(Role::Treasury).enterprise_address();
        let datum = CommitteeDatum::new(members, THRESHOLD, treasury)?;
        let committee = found_committee(&chain, &protocol, operator, &datum).await?;
        let folder = TemporaryFolder::new()?;
        Ok(Self { accounts, devnet, chain, deployment, committee, member_keys, folder })
    }

    /// Starts the first `count` members, each with its own chain connection, journal and node, and lets them meet.
    pub async fn start_members(&self, count: usize) -> anyhow::Result<Vec<Member>> {
        let mut members: Vec<Member> = Vec::new();
        for (index, key) in self.member_keys.iter().take(count).enumerate() {
            let config = MemberConfig {
                key: key.clone(),
                node: loopback(),
                chain: connect(&self.devnet).await?,
                protocol: self.deployment.protocol.clone(),
                committee: self.committee.clone(),
                journal: self.journal(&format!("member-{index}")).await?,
                min_fee: MIN_FEE,
            };
            let member = Member::start(config).await?;
            for earlier in &members {
                let address = earlier.addresses().into_iter().next().context("a member listens nowhere")?;
                member.node().connect(address).await.context("members could not meet")?;
            }
            members.push(member);
        }
        Ok(members)
    }

    /// What a party in this role needs: a key, its wallet, a chain connection and a journal of its own.
    pub async fn party(&self, role: Role, members: &[Member]) -> anyhow::Result<PartyConfig> {
        let key = new_key();
        let name = hex::encode(&key.verifying_key().to_bytes()[..8]);
        Ok(PartyConfig {
            key,
            wallet: Arc::new(Accounts::wallet_of(role)?),
            chain: connect(&self.devnet).await?,
            deployment: self.deployment.clone(),
            committee: self.committee.clone(),
            members: members.iter().filter_map(first_address).collect(),
            journal: self.journal(&name).await?,
        })
    }

    async fn journal(&self, name: &str) -> anyhow::Result<Journal> {
        Ok(Journal::open(&self.folder.0.join(format!("{name}.sqlite"))).await?)
    }

    /// Submits a plan from a wallet and waits until it is in a block.
    pub async fn place(&self, plan: &TxPlan, wallet: &Wallet) -> anyhow::Result<TxId> {
        place(&self.chain, plan, wallet).await
    }

    /// Stops the devnet and removes the journals.
    pub async fn stop(self) {
        self.devnet.shutdown().await;
    }
}

/// Where a member can be reached.
fn first_address(member: &Member) -> Option<Multiaddr> {
    member.addresses().into_iter().next()
}

/// A node on free loopback ports; whoever starts it puts its own identity in.
pub fn loopback() -> NodeConfig {
    NodeConfig::new([0; 32])
}

fn new_key() -> SigningKey {
    let mut seed = [0; 32];
    rand::rng().fill_bytes(&mut seed);
    SigningKey::from_bytes(&seed)
}

async fn connect(devnet: &Devnet) -> anyhow::Result<Chain> {
    Chain::connect(&devnet.url(), None).await.context("connecting to the devnet")
}

/// A folder that is gone when the value is.
struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    fn new() -> anyhow::Result<Self> {
        let mut name = [0; 8];
        rand::rng().fill_bytes(&mut name);
        let path = std::env::temp_dir().join(format!("nunet-{}", hex::encode(name)));
        create_private(&path).with_context(|| format!("creating {}", path.display()))?;
        Ok(Self(path))
    }
}

/// Journals name jobs and addresses, so other users of the machine must not read them.
fn create_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().mode(0o700).create(path)
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "a temporary folder was left behind");
        }
    }
}
