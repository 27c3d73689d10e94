//! Judges public transaction vectors (one transaction, one state, one verdict each) when they are beside the repository.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use nunet_devnet::judge::{JudgeError, judge};
use serde_json::{Value as Json, json};

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/ledger-vectors")
}

/// The verdict that a vector expects, as it is printed.
fn expected(json: &Json) -> String {
    match json {
        Json::String(text) => text.clone(),
        other if other["decodingFailure"] == Json::Bool(true) => "DecodingFailure".to_owned(),
        other => other["predicate"].as_str().unwrap().to_owned(),
    }
}

#[test]
fn public_vectors_get_their_verdict() {
    let root = vectors();
    let Ok(folder) = fs::read_dir(root.join("scenarios")) else {
        eprintln!("no vectors in {}: nothing was compared", root.display());
        return;
    };
    let mut files: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    let mut wrong = Vec::new();
    for file in &files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let vector: Json = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        let (expected, actual) = (expected(&vector["expected"]), judge(file).unwrap());
        if actual.to_string() != expected {
            wrong.push(format!("{name}: expected {expected}, got {actual:?}"));
        }
    }
    eprintln!("{} of {} vectors agree", files.len() - wrong.len(), files.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A folder of its own, gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("nunet-judge-{}-{name}", std::process::id()));
        fs::create_dir_all(path.join("scenarios")).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_vector_that_leaves_parts_out_is_judged() {
    let folder = Folder::new("sparse");
    let vector = json!({"network": "preview", "point": {"slot": 7}, "transaction": "80"});
    let file = folder.write("scenarios/sparse.json", &vector.to_string());
    assert_eq!(judge(&file).unwrap().to_string(), "DecodingFailure");
}

#[test]
fn what_a_vector_refers_to_is_found_beside_its_folder() {
    let folder = Folder::new("reference");
    let mut vector = json!({
        "network": "testnet_42", "point": {"slot": 7}, "transaction": "80",
        "protocolParameters": {"$ref": "parameters.json", "$override": {"maxTransactionSize": "many"}},
    });
    let file = folder.write("scenarios/reference.json", &vector.to_string());
    assert!(matches!(judge(&file), Err(JudgeError::Unreadable { path, .. }) if path.ends_with("parameters.json")));
    folder.write("parameters.json", "{}");
    assert!(matches!(judge(&file), Err(JudgeError::Malformed { field, .. }) if field == "maxTransactionSize"));
    vector["protocolParameters"]["$override"] = json!({"maxTransactionSize": 100});
    folder.write("scenarios/reference.json", &vector.to_string());
    assert_eq!(judge(&file).unwrap().to_string(), "DecodingFailure");
}

#[test]
fn files_that_are_no_vectors_are_named() {
    let folder = Folder::new("broken");
    let missing = judge(&folder.0.join("nothing.json")).unwrap_err();
    assert!(missing.to_string().contains("nothing.json"), "{missing}");
    for (text, field) in [
        ("{", "is no JSON"),
        ("[]", "the vector"),
        ("{}", "point.slot"),
        (r#"{"point": {"slot": 1}}"#, "transaction"),
        (r#"{"point": {"slot": 1}, "transaction": "8"}"#, "transaction"),
        (r#"{"point": {"slot": 1}, "network": "elsewhere"}"#, "network"),
        (r#"{"point": {"slot": 1}, "protocolParameters": {"scriptExecutionPrices": {"cpu": "1/0"}}}"#, "cpu"),
        (r#"{"point": {"slot": 1}, "initialState": {"utxo": [{"input": "00"}]}}"#, "initialState.utxo[0].input"),
        (r#"{"point": {"slot": 1}, "initialState": {"accounts": [{}]}}"#, "initialState.accounts[0].credential"),
        (r#"{"point": {"slot": 1}, "initialState": {"pools": ["00"]}}"#, "initialState.pools[0]"),
        (r#"{"point": {"slot": 1}, "initialState": {"dreps": [7]}}"#, "initialState.dreps[0]"),
    ] {
        let file = folder.write("scenarios/broken.json", text);
        let error = judge(&file).unwrap_err().to_string();
        assert!(error.contains(field) && error.contains("broken.json"), "{text}: {error}");
    }
}
