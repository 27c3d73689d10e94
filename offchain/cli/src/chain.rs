//! Which chain a command talks to.

use anyhow::ensure;
use clap::Args;
use nunet_chain::Chain;
use nunet_ledger::NetworkMagic;

use crate::contracts::network_name;

/// Where `devnet` is.
pub(crate) const DEVNET_URL: &str = "http://127.0.0.1:8090/api/v0";

/// A Blockfrost API.
#[derive(Debug, Args)]
pub struct ChainArgs {
    /// The URL of a Blockfrost API, or `devnet` for http://127.0.0.1:8090/api/v0.
    #[arg(long = "chain", value_name = "URL", env = "NUNET_CHAIN", default_value = "devnet")]
    pub url: String,
    /// The key of a hosted API.
    #[arg(long, env = "NUNET_PROJECT_ID", hide_env_values = true)]
    pub project_id: Option<String>,
}

impl ChainArgs {
    /// Connects; the chain must be the one that a wallet or a transaction is for.
    pub async fn connect(&self, magic: NetworkMagic, what: &str) -> anyhow::Result<Chain> {
        let url = if self.url == "devnet" { DEVNET_URL } else { &self.url };
        let chain = Chain::connect(url, self.project_id.as_deref()).await?;
        ensure!(
            chain.magic() == magic,
            "{url} is of {} (magic {}), but {what} is for {} (magic {}): use another --chain or another wallet",
            network_name(chain.magic()),
            chain.magic().0,
            network_name(magic),
            magic.0
        );
        Ok(chain)
    }
}
