//! What the ledger's rules say of transaction vectors.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use nunet_devnet::judge::judge;
use serde_json::json;

/// The vectors.
#[derive(Debug, Args)]
pub struct JudgeArgs {
    /// Files with a transaction and a ledger state each.
    #[arg(value_name = "VECTOR", required = true)]
    pub vectors: Vec<PathBuf>,
    /// Print one JSON object a line, with the file's name.
    #[arg(long)]
    pub json: bool,
}

/// Prints a line for each file, in their order; a file that is no vector is explained on the error stream.
pub(super) fn command(args: &JudgeArgs) -> anyhow::Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    for vector in &args.vectors {
        let verdict = match judge(vector) {
            Ok(verdict) => verdict.to_string(),
            Err(error) => {
                eprintln!("error: {error}");
                code = ExitCode::FAILURE;
                "NoVector".to_owned()
            }
        };
        if args.json {
            println!("{}", json!({"file": vector.display().to_string(), "verdict": verdict}));
        } else {
            println!("{verdict}");
        }
    }
    Ok(code)
}
