//! Checks, tests and compiles the validators, and holds the checked-in blueprint against what their source gives.
//!
//! With `NUNET_BLESS=1` in the environment the blueprint is rewritten instead of compared.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::fs;

use support::{
    Aiken,
    context::{Compiled, Settlement, bytes, constr, entry, hash, int, none, numbers, script, transaction},
    validators_dir,
};
use uplc::PlutusData;

/// How many random cases each property test of the validators runs.
const PROPERTY_CASES: usize = 100;

/// The seed of the property tests: fixed, so that a failure here is the same failure everywhere.
const PROPERTY_SEED: u32 = 0x6e75_6e65;

/// What rewrites what is generated.
const BLESS: &str = "`NUNET_BLESS=1 cargo test -p nunet-contracts --test blueprint`";

fn bless() -> bool {
    std::env::var_os("NUNET_BLESS").is_some_and(|bless| bless == "1")
}

#[test]
fn the_validators_pass_their_own_tests() {
    let filter = std::env::var("NUNET_AIKEN_TESTS").ok().map(|names| names.split(',').map(str::to_owned).collect());
    let report = Aiken::copy("check").test(filter, PROPERTY_SEED, PROPERTY_CASES);
    for line in &report.lines {
        println!("{line}");
    }
    assert!(report.errors.is_empty(), "the validators do not compile:\n{}", report.errors.join("\n"));
    assert!(report.failed.is_empty(), "these tests of the validators fail:\n{}", report.failed.join("\n"));
    assert!(report.passed > 0, "no test of the validators ran");
    assert!(report.warnings.is_empty(), "the compiler warns about the validators:\n{}", report.warnings.join("\n"));
}

#[test]
fn the_validators_are_formatted() {
    let folder = validators_dir().display().to_string();
    if let Err(errors) = aiken_project::format::run(false, !bless(), vec![folder]) {
        panic!("format the validators with {BLESS}:\n{errors:?}");
    }
}

#[test]
fn the_checked_in_blueprint_is_what_the_source_compiles_to() {
    let built = Aiken::copy("build").build();
    let path = validators_dir().join("plutus.json");
    if bless() {
        fs::write(&path, format!("{}\n", serde_json::to_string_pretty(&built).unwrap())).unwrap();
    }
    let advice = format!("run {BLESS} and check validators/plutus.json in");
    let checked_in =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("no blueprint to compare ({error}): {advice}"));
    let checked_in: serde_json::Value = serde_json::from_str(&checked_in)
        .unwrap_or_else(|error| panic!("the blueprint is no JSON ({error}): {advice}"));
    assert!(
        checked_in["validators"] == built["validators"],
        "the validators' source gives another blueprint: {advice}"
    );
}

#[test]
fn every_script_of_the_protocol_is_in_the_blueprint() {
    let built = Aiken::copy("titles").build();
    let titles: Vec<&str> =
        built["validators"].as_array().unwrap().iter().map(|v| v["title"].as_str().unwrap()).collect();
    for script in ["job.stub.", "job.logic.", "committee.committee.", "lease.lease."] {
        assert!(titles.iter().any(|title| title.starts_with(script)), "no script {script} among {titles:?}");
    }
}

const MAGIC: u32 = 42;

fn logic(blueprint: &serde_json::Value) -> Compiled {
    let parameters = [int(MAGIC.into()), hash(numbers::NTX), bytes(b"NTX"), hash(numbers::COMMITTEE)];
    Compiled::new(blueprint, "job.logic.", &parameters)
}

fn stub(blueprint: &serde_json::Value) -> Compiled {
    Compiled::new(blueprint, "job.stub.", &[script(numbers::LOGIC)])
}

fn spending(out_point: &PlutusData) -> PlutusData {
    constr(1, vec![out_point.clone(), none()])
}

fn withdrawing() -> PlutusData {
    constr(2, vec![script(numbers::LOGIC)])
}

#[test]
fn the_compiled_scripts_settle_within_their_budget() {
    let built = Aiken::copy("costs").build();
    let (logic, stub) = (logic(&built), stub(&built));
    println!("bytes with parameters: stub {}, logic {}", stub.size, logic.size);
    assert!(stub.size + logic.size <= 6_000, "stub and logic have {} bytes together", stub.size + logic.size);

    let mut units = Vec::new();
    for escrows in [1, 10, 100] {
        let Settlement { transaction, redeemer, first } = Settlement::new(escrows, MAGIC);
        let by_logic = logic.run(&transaction, &redeemer, &withdrawing()).unwrap();
        let by_stub = stub.run(&transaction, &constr(0, vec![]), &spending(&first)).unwrap();
        println!("{escrows} escrows: logic {by_logic:?}, stub for each {by_stub:?}");
        assert!(by_stub.memory <= 12_900 && by_stub.steps <= 5_100_000, "the stub costs {by_stub:?}");
        units.push(by_logic);
    }
    let each = (units[1].memory - units[0].memory) / 9;
    assert!(each <= 66_700, "one more escrow costs the logic {each} memory");
    let late = (units[2].memory - units[1].memory) / 90;
    assert!(late <= each + each / 20, "the logic's cost is not linear: {each} memory for an escrow, later {late}");
}

#[test]
fn the_compiled_logic_refuses_another_network() {
    let built = Aiken::copy("network").build();
    let Settlement { transaction, redeemer, .. } = Settlement::new(2, MAGIC + 1);
    assert_eq!(logic(&built).run(&transaction, &redeemer, &withdrawing()), None);
}

/// Each purpose for which somebody may run one of the scripts, spending the outpoint.
fn purposes(out_point: &PlutusData) -> [(&'static str, PlutusData); 6] {
    let deregistration = constr(1, vec![script(numbers::LOGIC), none()]);
    [
        ("minting", constr(0, vec![hash(numbers::LOGIC)])),
        ("spending", spending(out_point)),
        ("withdrawing", withdrawing()),
        ("publishing", constr(3, vec![int(0), deregistration])),
        ("voting", constr(4, vec![constr(0, vec![script(numbers::LOGIC)])])),
        ("proposing", constr(5, vec![int(0), int(0)])),
    ]
}

#[test]
fn the_compiled_logic_runs_for_a_withdrawal_only() {
    let logic = logic(&Aiken::copy("logic-purposes").build());
    let Settlement { transaction, redeemer, first } = Settlement::new(1, MAGIC);
    for (name, purpose) in purposes(&first) {
        let runs = logic.run(&transaction, &redeemer, &purpose).is_some();
        assert_eq!(runs, name == "withdrawing", "the logic, for {name}");
    }
}

/// It looks at no purpose, since all that it guards are escrows: no token, stake or vote of its hash means anything to
/// anybody. Where the logic does not run, it opens for none.
#[test]
fn the_compiled_stub_asks_for_the_logic_whatever_the_purpose() {
    let stub = stub(&Aiken::copy("stub-purposes").build());
    let settlement = Settlement::new(1, MAGIC);
    let nobody_withdraws = transaction(vec![], vec![], vec![], vec![]);
    let another_withdraws = transaction(vec![], vec![], vec![], vec![entry(script(numbers::STUB), int(0))]);
    for (name, purpose) in purposes(&settlement.first) {
        let opens = |transaction| stub.run(transaction, &settlement.redeemer, &purpose).is_some();
        assert!(opens(&settlement.transaction), "the stub does not open beside the logic, for {name}");
        assert!(!opens(&nobody_withdraws), "the stub opens without a withdrawal, for {name}");
        assert!(!opens(&another_withdraws), "the stub opens beside another withdrawal, for {name}");
    }
}
