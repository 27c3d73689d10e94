//! `nunet contracts show`: the validators for a network and token, and what of them stands on chain.

use std::process::ExitCode;

use clap::Args;
use nunet_chain::Chain;
use nunet_contracts::{Committee, CommitteeId, Protocol};
use nunet_ledger::{OutPoint, Script};
use serde_json::{Value, json};

use super::{NetworkArgs, Setting, committee_json, committee_text, connect, network_name};
use crate::deployment::{Survey, dotted, parse_committee};

/// What to show.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The network and the token.
    #[command(flatten)]
    pub network: NetworkArgs,
    /// A Blockfrost API: also look for reference scripts, the logic's account and committees there.
    #[arg(long)]
    pub url: Option<String>,
    /// The key of a hosted API.
    #[arg(long, env = "NUNET_PROJECT_ID", hide_env_values = true)]
    pub project_id: Option<String>,
    /// Show this committee, too; may be repeated.
    #[arg(long = "committee", value_name = "ID", value_parser = parse_committee, requires = "url")]
    pub committees: Vec<CommitteeId>,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// `nunet contracts show`.
pub async fn command(args: ShowArgs) -> anyhow::Result<ExitCode> {
    let chain = match &args.url {
        Some(url) => Some(connect(url, args.project_id.as_deref()).await?),
        None => None,
    };
    let Setting { protocol, note } = args.network.setting(chain.as_ref())?;
    let on_chain = match &chain {
        Some(chain) => Some(OnChain::look(chain, &protocol, &args.committees).await?),
        None => None,
    };
    let missing = on_chain.iter().flat_map(|found| &found.missing).count();
    if args.json {
        println!("{}", to_json(&protocol, note, on_chain.as_ref()));
    } else {
        print!("{}", to_text(&protocol, note, on_chain.as_ref()));
    }
    for id in on_chain.iter().flat_map(|found| &found.missing) {
        eprintln!("error: committee {id} is not on this chain; check the id, the network and the token");
    }
    Ok(if missing == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What a chain says about the protocol.
struct OnChain {
    survey: Survey,
    committees: Vec<Committee>,
    missing: Vec<CommitteeId>,
}

impl OnChain {
    async fn look(chain: &Chain, protocol: &Protocol, wanted: &[CommitteeId]) -> anyhow::Result<Self> {
        let survey = Survey::of(chain, protocol).await?;
        let (mut committees, mut missing) = (Vec::new(), Vec::new());
        for id in wanted {
            match chain.committee(protocol, *id).await? {
                Some(committee) => committees.push(committee),
                None => missing.push(*id),
            }
        }
        Ok(Self { survey, committees, missing })
    }

    /// Where a script stands, when it is one that is published for reference.
    fn reference(&self, script: &Script) -> Option<Option<OutPoint>> {
        let hash = script.hash();
        let (_, output) = self.survey.published.iter().find(|(candidate, _)| *candidate == hash)?;
        Some(output.as_ref().map(|(outpoint, _)| *outpoint))
    }
}

/// Every validator with its name.
fn validators(protocol: &Protocol) -> [(&'static str, &Script); 4] {
    [
        ("stub", protocol.stub()),
        ("logic", protocol.logic()),
        ("lease", protocol.lease()),
        ("committee", protocol.committee()),
    ]
}

/// Every address with its name.
fn addresses(protocol: &Protocol) -> [(&'static str, String); 5] {
    [
        ("escrow", protocol.escrow_address().to_string()),
        ("lease", protocol.lease_address().to_string()),
        ("committee", protocol.committee_address().to_string()),
        ("reference", protocol.reference_address().to_string()),
        ("logic_account", protocol.logic_account().to_string()),
    ]
}

fn to_json(protocol: &Protocol, note: Option<&str>, on_chain: Option<&OnChain>) -> Value {
    let scripts: Vec<Value> = validators(protocol)
        .into_iter()
        .map(|(name, script)| {
            let mut entry = json!({"name": name, "hash": script.hash().to_string(), "bytes": script.bytes().len()});
            if let Some(place) = on_chain.and_then(|found| found.reference(script)) {
                entry["reference"] = place.map_or(Value::Null, |outpoint| outpoint.to_string().into());
            }
            entry
        })
        .collect();
    let addresses: serde_json::Map<String, Value> =
        addresses(protocol).into_iter().map(|(name, address)| (name.to_owned(), address.into())).collect();
    let mut shown = json!({
        "network": network_name(protocol.magic()),
        "magic": protocol.magic().0,
        "ntx": dotted(protocol.ntx()),
        "validators": scripts,
        "addresses": addresses,
    });
    if let Some(note) = note {
        shown["note"] = note.into();
    }
    if let Some(found) = on_chain {
        shown["logic_registered"] = found.survey.registered.into();
        shown["committees"] = found.committees.iter().map(committee_json).collect();
    }
    shown
}

fn to_text(protocol: &Protocol, note: Option<&str>, on_chain: Option<&OnChain>) -> String {
    let mut text = String::new();
    let mut line = |line: String| text.push_str(&format!("{line}\n"));
    line(format!("network    {} (magic {})", network_name(protocol.magic()), protocol.magic().0));
    line(format!("NTX        {}", dotted(protocol.ntx())));
    if let Some(note) = note {
        line(format!("           note: {note}"));
    }
    line(format!("\n{:<10} {:<56} {:>6}", "validator", "script hash", "bytes"));
    for (name, script) in validators(protocol) {
        line(format!("{name:<10} {} {:>6}", script.hash(), script.bytes().len()));
    }
    line(String::new());
    for (name, address) in addresses(protocol) {
        line(format!("{:<14} {address}", name.replace('_', " ")));
    }
    if let Some(found) = on_chain {
        line(String::new());
        for (name, script) in validators(protocol) {
            if let Some(place) = found.reference(script) {
                let place = place.map_or("not published".into(), |outpoint| outpoint.to_string());
                line(format!("{name} by reference: {place}"));
            }
        }
        line(format!("logic's account: {}", if found.survey.registered { "registered" } else { "not registered" }));
        for committee in &found.committees {
            line(format!("\n{}", committee_text(committee).trim_end()));
        }
    }
    text
}
