//! A devnet in this process until Ctrl-C.

use std::{net::Ipv4Addr, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context;
use clap::Args;
use nunet_devnet::{BLOCK_INTERVAL, Devnet, DevnetConfig};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::accounts::{Accounts, MNEMONIC};

/// How a devnet runs.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 8090, env = "NUNET_DEVNET_PORT")]
    pub port: u16,
    /// Keep the chain in this folder, and go on with what is there. Without it the chain is gone at the end.
    #[arg(long, value_name = "DIR", env = "NUNET_DEVNET_DATA")]
    pub data: Option<PathBuf>,
    /// Time between two blocks, such as 1s or 250ms.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, conflicts_with = "on_demand")]
    pub block_interval: Option<Duration>,
    /// Make blocks only when told to (`nunet devnet blocks`, `nunet devnet advance`).
    #[arg(long)]
    pub on_demand: bool,
    /// Print one JSON object about the accounts instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// Runs a devnet until Ctrl-C.
pub(super) async fn command(args: RunArgs) -> anyhow::Result<ExitCode> {
    let accounts = Accounts::new()?;
    let config = DevnetConfig {
        listen: (Ipv4Addr::LOCALHOST, args.port).into(),
        block_interval: (!args.on_demand).then_some(args.block_interval.unwrap_or(BLOCK_INTERVAL)),
        data: args.data.clone(),
        ..accounts.devnet()?
    };
    let devnet = Devnet::start(config).await.context("starting the devnet")?;
    announce(&args, &accounts, &devnet);
    told_to_stop().await.context("waiting for Ctrl-C")?;
    devnet.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

/// Waits for Ctrl-C, or for what service managers and `kill` send.
async fn told_to_stop() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed,
        _ = terminate.recv() => Ok(()),
    }
}

fn announce(args: &RunArgs, accounts: &Accounts, devnet: &Devnet) {
    let funded = Accounts::funded();
    if args.json {
        let list: Vec<_> = funded
            .iter()
            .map(|(role, lovelace, ntx)| {
                let address = accounts.wallet(*role).enterprise_address().to_string();
                json!({"account": *role as u32, "address": address, "lovelace": lovelace.0, "ntx": ntx.0})
            })
            .collect();
        let ntx = accounts.ntx.to_string();
        println!("{}", json!({"url": devnet.url(), "mnemonic": MNEMONIC, "ntx": ntx, "accounts": list}));
        return;
    }
    let pace = match (args.on_demand, args.block_interval.unwrap_or(BLOCK_INTERVAL)) {
        (true, _) => "blocks on demand".to_owned(),
        (false, interval) => format!("a block every {}", humantime::format_duration(interval)),
    };
    println!("devnet at {} (Blockfrost's API; network magic 42, {pace})", devnet.url());
    match &args.data {
        Some(folder) => println!("the chain is kept in {}; latest block {}", folder.display(), devnet.latest().height),
        None => println!("the chain is in memory only; --data DIR keeps it"),
    }
    println!("NTX is {}", accounts.ntx);
    println!("accounts (CIP-1852) of the well-known mnemonic \"{MNEMONIC}\" start with:");
    for (role, lovelace, ntx) in funded {
        println!("  {}  {}  {lovelace}, {ntx}", *role as u32, accounts.wallet(*role).enterprise_address());
    }
    println!("pay somebody:  nunet devnet faucet ADDRESS 1000ada");
    println!("move time:     nunet devnet advance 1h");
    println!("fork:          nunet devnet rollback 3");
    println!("stop with Ctrl-C");
}
