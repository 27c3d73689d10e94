//! How fast the devnet is: one JSON line per figure. `cargo bench -p nunet-devnet`, or with a figure's name as an
//! argument for that one only.
//!
//! # The work
//!
//! So that it can be given to other implementations of the ledger too. Signing is not timed; parameters are
//! mainnet's.
//!
//! - **payments, independent**: N transactions, each with 1 input of 10 ADA (a different one) and 2 outputs without
//!   datum or assets: 2 ADA to one other address, and the change to the payer. Fee 200,000 lovelace, no validity
//!   interval, 1 key witness; all addresses have a payment key and no stake part. 230 bytes each.
//! - **payments, chained**: the same, but each spends the change of the one before; the first input holds enough
//!   for all.
//! - **script spends**: N transactions, each with 1 input of 5 ADA (a different one) that is locked at the Plutus
//!   V3 script `450101002499` (`(program 1.1.0 (lam context (con unit ())))`) with the inline datum 42; the
//!   redeemer 42 with 100,000 memory and 100,000,000 steps declared; the script in the witness set; 1 output of the
//!   rest to the payer; fee 300,000 lovelace; one collateral input of 100 ADA, the same for all; 1 key witness.
//!
//! A run submits the transactions one by one in order, each validated in full against the mempool, and makes a
//! block after every 250; 391 payments have room in a block by their bytes, and 200 script spends by the steps that
//! they declare.
//!
//! # Figures
//!
//! - `core …`: the sans-IO core in one thread, submissions and blocks.
//! - `http …`: the same through `POST /tx/submit` and `POST /devnet/blocks` over eight keep-alive connections,
//!   client and server in this process; `durable` with a data folder.
//! - `ready …`: from the call to the first answer over HTTP. `restart …`: the same for a chain that is on disk.
//! - `full blocks`: how full the blocks are at a block a second under load.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod http;
mod work;

use std::{env, time::Instant};

use http::Kept;
use nunet_devnet::Chain;
use nunet_ledger::{PosixMs, parameters::ProtocolParameters};
use serde_json::{Value, json};
use work::{Work, genesis};

/// Transactions between two blocks on demand.
const PER_BLOCK: usize = 250;

/// Prints a figure when it was asked for. `measure` returns the line's other fields.
fn figure(name: &str, measure: impl FnOnce() -> Value) {
    // Cargo passes `--bench`; what else there is names figures.
    let wanted: Vec<String> = env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    if wanted.is_empty() || wanted.iter().any(|text| name.contains(text.as_str())) {
        let mut line = measure();
        line["figure"] = json!(name);
        println!("{line}");
    }
}

fn rate(count: usize, began: Instant) -> Value {
    let seconds = began.elapsed().as_secs_f64();
    json!({ "transactions": count, "seconds": seconds, "per_second": count as f64 / seconds })
}

/// Submissions and blocks in the core alone.
fn core(work: &Work) -> Value {
    const START: PosixMs = PosixMs(1_700_000_000_000);
    let (mut chain, _) = Chain::new(&genesis(), ProtocolParameters::mainnet(), START).unwrap();
    for cbor in &work.setup {
        chain.submit(cbor.clone(), START).unwrap();
        chain.tick(START);
    }
    let began = Instant::now();
    let mut made = 0;
    for batch in work.transactions.chunks(PER_BLOCK) {
        for cbor in batch {
            chain.submit(cbor.clone(), START).unwrap();
        }
        made += chain.tick(START).transactions.len();
    }
    while chain.mempool_len() > 0 {
        made += chain.tick(START).transactions.len();
    }
    let line = rate(work.transactions.len(), began);
    assert_eq!(made, work.transactions.len());
    line
}

fn main() {
    // What runs every target as a test leaves figures alone.
    if !env::args().any(|argument| argument == "--bench") {
        println!("figures are taken by `cargo bench`");
        return;
    }
    figure("ready in memory", || http::ready(Kept::InMemory));
    figure("ready with a data folder", || http::ready(Kept::OnDisk));
    figure("core payments independent", || core(&Work::independent(20_000)));
    figure("core payments chained", || core(&Work::chained(20_000)));
    figure("core script spends", || core(&Work::scripts(4_000)));
    figure("http payments independent", || http::load(&Work::independent(20_000), Kept::InMemory));
    figure("http payments independent durable", || http::load(&Work::independent(20_000), Kept::OnDisk));
    figure("http script spends", || http::load(&Work::scripts(4_000), Kept::InMemory));
    figure("restart after payments", || http::restart(&Work::independent(20_000), 0));
    figure("restart after a day of empty blocks", || http::restart(&Work::independent(0), 86_400));
    figure("full blocks", || http::full_blocks(&Work::independent(4_500)));
}
