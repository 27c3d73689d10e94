//! `nunet contracts costs`: every transaction of the protocol, made for real on a devnet, with its size, execution
//! units and fee; held against what the protocol promises and against the checked-in costs.

mod bench;
pub mod budget;
pub mod fit;
pub mod marks;
mod row;
mod scenarios;

use std::process::ExitCode;

use clap::Args;

use self::{
    fit::{Cost, Fit},
    marks::judge,
};
pub use self::{row::Row, scenarios::measure};

/// How the costs are shown.
#[derive(Debug, Args)]
pub struct CostsArgs {
    /// Print one JSON object per transaction; the rest goes to standard error.
    #[arg(long)]
    pub json: bool,
}

/// `nunet contracts costs`.
pub async fn command(args: CostsArgs) -> anyhow::Result<ExitCode> {
    let json = args.json;
    if !json {
        println!(
            "Each transaction was accepted by a devnet with mainnet's parameters, as checked in; amounts in ADA.\n"
        );
        println!("{}", Row::head());
    }
    let mut show = move |row: &Row| {
        if json {
            println!("{}", row.to_json());
        } else {
            println!("{}", row.to_text());
        }
    };
    let (rows, world) = measure(&mut show).await?;
    world.stop().await;
    let say = |line: String| if json { eprintln!("{line}") } else { println!("{line}") };

    say(format!("\nA settlement by its number of escrows ({}…):", scenarios::SERIES));
    let series: Vec<&Row> = rows.iter().filter(|row| row.transaction.starts_with(scenarios::SERIES)).collect();
    for cost in Cost::ALL {
        if let Some(fit) = Fit::of(&series, cost) {
            say(fit.to_text(cost));
        }
    }
    say("\nMarks:".into());
    let judged = judge(&rows);
    judged.iter().for_each(|judged| say(judged.to_text()));
    let excesses = budget::compare(&rows, &budget::parse(budget::BUDGETS)?);
    if excesses.is_empty() {
        say(format!("\nNo cost grew by more than {} % over the checked-in costs.", budget::TOLERANCE_PERCENT));
    } else {
        say("\nOver the checked-in costs:".into());
        excesses.iter().for_each(|excess| say(excess.to_string()));
        say(budget::BLESS.into());
    }
    let kept = excesses.is_empty() && judged.iter().all(|judged| judged.is_kept());
    Ok(if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
