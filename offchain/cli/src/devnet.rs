//! `nunet devnet`: a Cardano devnet in this process until Ctrl-C.

use std::{net::Ipv4Addr, process::ExitCode};

use anyhow::Context;
use nunet_devnet::{Devnet, DevnetConfig};
use serde_json::json;

use crate::{
    accounts::{Accounts, MNEMONIC},
    cli::DevnetArgs,
};

/// Runs a devnet until Ctrl-C.
pub async fn command(args: DevnetArgs) -> anyhow::Result<ExitCode> {
    let accounts = Accounts::new()?;
    let config = DevnetConfig {
        listen: (Ipv4Addr::LOCALHOST, args.port).into(),
        genesis: accounts.genesis.clone(),
        ..DevnetConfig::default()
    };
    let devnet = Devnet::start(config).await.context("starting the devnet")?;
    announce(&args, &accounts, &devnet);
    tokio::signal::ctrl_c().await.context("waiting for Ctrl-C")?;
    devnet.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

fn announce(args: &DevnetArgs, accounts: &Accounts, devnet: &Devnet) {
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
    println!("devnet at {} (Blockfrost's API; network magic 42, a block a second)", devnet.url());
    println!("NTX is {}", accounts.ntx);
    println!("accounts (CIP-1852) of the well-known mnemonic \"{MNEMONIC}\":");
    for (role, lovelace, ntx) in funded {
        println!("  {}  {}  {lovelace}, {ntx}", *role as u32, accounts.wallet(*role).enterprise_address());
    }
    println!("move time: curl -X POST {}/devnet/advance -d '{{\"seconds\": 3600}}'", devnet.url());
    println!("stop with Ctrl-C");
}
