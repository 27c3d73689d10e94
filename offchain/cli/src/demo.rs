//! `nunet demo`: the main job from end to end, in one process on a fresh devnet, nothing faked.

pub mod audit;
mod books;
mod digits;
mod display;
mod receipt;
mod stage;

use std::{process::ExitCode, time::Instant};

use anyhow::Context;
use nunet_agent::Conduct;
use nunet_contracts::Closing;
use nunet_proof::FindingCode;
use tokio::sync::mpsc;

pub use self::{
    books::Books,
    digits::Digits,
    display::Line,
    receipt::{Outcome, Receipt},
    stage::Stage,
};
use crate::cli::{Cheat, DemoArgs};

/// Which day it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Everybody does their part.
    Honest,
    /// The provider changes one label of its result.
    CheatResult,
    /// Three of the five members are off.
    OracleDown,
}

impl Scenario {
    /// How many of the five members run.
    pub fn members_up(self) -> usize {
        if self == Self::OracleDown { 2 } else { 5 }
    }

    /// How the provider behaves.
    pub fn conduct(self) -> Conduct {
        if self == Self::CheatResult { Conduct::ChangesOneElement } else { Conduct::Honest }
    }

    /// Whether a receipt is what this day must end with.
    pub fn is_met_by(self, receipt: &Receipt) -> bool {
        let paid_in_full = receipt.paid == receipt.price && receipt.refunded.0 == 0;
        let settled = matches!(receipt.closing, Closing::Settled { .. });
        receipt.conserved()
            && match self {
                Self::Honest => {
                    settled && paid_in_full && receipt.slashed.0 == 0 && receipt.finding == Some(FindingCode::Accepted)
                }
                Self::CheatResult => {
                    settled
                        && receipt.paid.0 == 0
                        && receipt.refunded == receipt.price
                        && receipt.slashed.0 > 0
                        && receipt.slashed == receipt.bond
                        && receipt.finding == Some(FindingCode::WrongResult)
                        && receipt.at.is_some()
                }
                Self::OracleDown => {
                    receipt.closing == Closing::Refunded && receipt.paid.0 == 0 && receipt.finding.is_none()
                }
            }
    }
}

/// `nunet demo`.
pub async fn command(args: DemoArgs) -> anyhow::Result<ExitCode> {
    let scenario = match (args.cheat, args.oracle_down) {
        (Some(Cheat::Result), _) => Scenario::CheatResult,
        (None, true) => Scenario::OracleDown,
        (None, false) => Scenario::Honest,
    };
    let (lines, mut shown) = mpsc::unbounded_channel::<Line>();
    let printer = tokio::spawn(async move {
        while let Some(line) = shown.recv().await {
            display::print(&line);
        }
    });
    let outcome = run(scenario, lines).await;
    printer.await.context("printing the progress")?;
    let receipt = outcome?;
    if args.json {
        println!("{}", receipt.to_json());
    } else {
        print!("{}", receipt.to_text());
    }
    if scenario.is_met_by(&receipt) {
        Ok(ExitCode::SUCCESS)
    } else {
        eprintln!("error: this is not how {scenario:?} has to end; run again with NUNET_LOG=info for the log");
        Ok(ExitCode::FAILURE)
    }
}

/// Plays one day on a fresh devnet; what happens is sent to `lines` as it happens.
pub async fn run(scenario: Scenario, lines: mpsc::UnboundedSender<Line>) -> anyhow::Result<Receipt> {
    let (receipt, _) = run_with_books(scenario, lines).await?;
    Ok(receipt)
}

/// The same, with the ledger before and after and all else that the audit looked at.
pub async fn run_with_books(
    scenario: Scenario,
    lines: mpsc::UnboundedSender<Line>,
) -> anyhow::Result<(Receipt, Books)> {
    let started = Instant::now();
    let digits = Digits::load()?;
    let stage = Stage::set(scenario, lines).await?;
    let before = stage.devnet().snapshot();
    let report = stage.play(scenario, &digits).await;
    let after = stage.devnet().snapshot();
    let drawn = report.and_then(|report| {
        let books = Books::new(&stage, &report, before, after)?;
        Ok((Receipt::new(&stage, &digits, report, &books), books))
    });
    stage.strike().await;
    let (mut receipt, books) = drawn?;
    receipt.took = started.elapsed();
    Ok((receipt, books))
}
