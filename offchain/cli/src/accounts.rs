//! The devnet's accounts, all from one well-known mnemonic: never send real money to them.

use anyhow::Context;
use nunet_chain::Wallet;
use nunet_contracts::Ntx;
use nunet_devnet::{DevnetConfig, Funding, Genesis, devnet_genesis, ntx_asset};
use nunet_ledger::{AssetId, Lovelace, NetworkMagic, Value};

/// The mnemonic (BIP-39) of all devnet accounts; CIP-1852 account 0, 1, 2 and so on.
pub const MNEMONIC: &str = "test test test test test test test test test test test test \
                            test test test test test test test test test test test sauce";

/// What an account is used for by the demo; on a devnet of its own they are simply accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// Deploys the protocol and creates the committee.
    Operator = 0,
    /// Asks for work.
    Requester = 1,
    /// Does it.
    Provider = 2,
    /// Receives the committee's fees; has nothing at first.
    Treasury = 3,
}

/// The funded roles with their lovelace and NTX.
const FUNDED: [(Role, Lovelace, Ntx); 3] = [
    (Role::Operator, Lovelace(100_000_000_000), Ntx(500_000_000_000_000)),
    (Role::Requester, Lovelace(10_000_000_000), Ntx(1_000_000_000)),
    (Role::Provider, Lovelace(10_000_000_000), Ntx(0)),
];

/// What the faucet of `nunet devnet` starts with: a billion ADA.
const FAUCET_LOVELACE: Lovelace = Lovelace(1_000_000_000_000_000);

/// And a hundred million NTX.
const FAUCET_NTX: Ntx = Ntx(100_000_000_000_000);

/// The devnet's wallets, genesis and token.
pub struct Accounts {
    /// One wallet per role, in the order of [`Role`].
    wallets: [Wallet; 4],
    /// The devnet's NTX.
    pub ntx: AssetId,
    /// What the devnet starts from.
    pub genesis: Genesis,
}

impl Accounts {
    /// Derives the accounts and funds them.
    pub fn new() -> anyhow::Result<Self> {
        let wallets = [
            Self::wallet_of(Role::Operator)?,
            Self::wallet_of(Role::Requester)?,
            Self::wallet_of(Role::Provider)?,
            Self::wallet_of(Role::Treasury)?,
        ];
        let ntx = ntx_asset(wallets[Role::Operator as usize].key_hash());
        let funding: Vec<Funding> = FUNDED
            .iter()
            .map(|(role, lovelace, amount)| Funding {
                address: wallets[*role as usize].enterprise_address(),
                lovelace: *lovelace,
                ntx: amount.0,
            })
            .collect();
        let genesis = devnet_genesis(&ntx, &funding).context("funding the devnet's accounts")?;
        Ok(Self { wallets, ntx, genesis })
    }

    /// A devnet with these accounts, and a faucet for everybody else.
    pub fn devnet(&self) -> anyhow::Result<DevnetConfig> {
        let faucet = Value::lovelace_only(FAUCET_LOVELACE).with(self.ntx.clone(), FAUCET_NTX.0);
        let faucet = faucet.context("filling the faucet")?;
        Ok(DevnetConfig { genesis: self.genesis.clone(), faucet: Some(faucet), ..DevnetConfig::default() })
    }

    /// Derives the wallet of a role.
    pub fn wallet_of(role: Role) -> anyhow::Result<Wallet> {
        Wallet::from_mnemonic(MNEMONIC, NetworkMagic::DEVNET.network_id(), role as u32)
            .with_context(|| format!("deriving the {role:?} account"))
    }

    /// The wallet of a role.
    pub fn wallet(&self, role: Role) -> &Wallet {
        &self.wallets[role as usize]
    }

    /// The funded roles with what they start with.
    pub fn funded() -> &'static [(Role, Lovelace, Ntx)] {
        &FUNDED
    }
}
