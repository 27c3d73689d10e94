//! Making, restoring and keeping wallets.

use std::fs;

use nunet::accounts::{Accounts, Role};
use nunet_ledger::hash::blake2b_256;
use serde_json::Value;

use super::{Machine, PASSPHRASE, stderr};

#[test]
fn a_new_wallet_is_restored_from_its_words_and_listed_without_a_passphrase() {
    let machine = Machine::new();
    let new = machine.json(&["wallet", "new", "--network", "preprod", "--show-words"]);
    let words = new["words"].as_str().unwrap();
    assert_eq!(words.split(' ').count(), 24);
    let other = Machine::new();
    let file = other.write("words", &format!("{words}\n"));
    let restored =
        other.json(&["wallet", "restore", "--network", "preprod", "--words-file", &file, "--wallet", "again"]);
    assert_eq!((&restored["address"], &restored["stake_address"]), (&new["address"], &new["stake_address"]));
    assert_eq!(restored.get("words"), None);
    fs::remove_file(other.path("passphrase")).unwrap();
    let listed = other.json(&["wallet", "list"]);
    assert_eq!((&listed["name"], &listed["address"]), (&"again".into(), &new["address"]));
    let shown = other.json(&["wallet", "address", "--wallet", "again", "--form", "stake"]);
    assert_eq!(shown["address"], new["stake_address"]);
    assert_eq!(shown["path"], "m/1852'/1815'/0'/2/0");
    let change = other.json(&["wallet", "address", "--wallet", "again", "--change", "--index", "3"]);
    assert_eq!(change["path"], "m/1852'/1815'/0'/1/3");
}

#[test]
fn words_are_never_printed_where_nobody_asked_for_them_nor_kept() {
    let machine = Machine::new();
    let lost = machine.refusal(&["wallet", "new", "--network", "devnet"]);
    assert!(lost.contains("--show-words"), "{lost}");
    assert_eq!(machine.run(&["wallet", "list", "--json"]).stdout, b"");
    let new = machine.json(&["wallet", "new", "--network", "devnet", "--show-words"]);
    let file = fs::read_to_string(new["file"].as_str().unwrap()).unwrap();
    let words: Vec<&str> = new["words"].as_str().unwrap().split(' ').collect();
    // Pairs: single words are also names of the file's fields.
    assert!(words.windows(2).all(|pair| !file.contains(&pair.join(" "))), "{file}");
    assert!(!file.contains(PASSPHRASE));
}

#[test]
fn a_second_factor_gives_another_wallet() {
    let machine = Machine::new();
    let words = machine.write("words", "test walk nut penalty hip pave soap entry language right filter choice");
    let factor = machine.write("factor", "second factor\n");
    let restore = ["wallet", "restore", "--network", "preprod", "--words-file", &words];
    let plain = machine.json(&[&restore[..], &["--wallet", "plain"]].concat());
    let second = machine.json(&[&restore[..], &["--wallet", "second", "--second-factor-file", &factor]].concat());
    assert_ne!(plain["address"], second["address"]);
    // The address of these words and this passphrase in pycardano.
    assert!(
        second["address"].as_str().unwrap().starts_with("addr_test1qp4a0kpyrxkge7dmws0wzzshkuupgaa8qfvkp7fw8hydgnht4")
    );
}

#[test]
fn the_devnets_accounts_are_wallets_of_the_devnet_only() {
    let machine = Machine::new().with_devnet_account("operator", "0");
    let shown = machine.json(&["wallet", "address", "--wallet", "operator", "--form", "enterprise", "--check"]);
    let expected = Accounts::wallet_of(Role::Operator).unwrap().enterprise_address();
    assert_eq!((shown["address"].as_str().unwrap(), &shown["checked"]), (expected.to_string().as_str(), &true.into()));
    let real =
        machine.refusal(&["wallet", "restore", "--devnet-account", "0", "--network", "mainnet", "--wallet", "x"]);
    assert!(real.contains("devnet only"), "{real}");
}

#[test]
fn mistakes_are_told_apart() {
    let machine = Machine::new().with_devnet_account("main", "1");
    let again = machine.refusal(&["wallet", "restore", "--devnet-account", "2"]);
    assert!(again.contains("already") && again.contains("never overwritten"), "{again}");
    let nowhere = machine.refusal(&["wallet", "new", "--wallet", "other", "--show-words"]);
    assert!(nowhere.contains("--network devnet"), "{nowhere}");
    let nobody = machine.refusal(&["wallet", "address", "--wallet", "nobody"]);
    assert!(nobody.contains("no wallet \"nobody\"") && nobody.contains("nunet wallet new"), "{nobody}");
    let escape = machine.refusal(&["wallet", "address", "--wallet", "../main"]);
    assert!(escape.contains("cannot be a wallet's name"), "{escape}");
    machine.write("short", "1234567");
    let short =
        ["wallet", "restore", "--devnet-account", "2", "--wallet", "x", "--passphrase-file", &machine.text("short")];
    assert!(machine.refusal(&short).contains("too short"));
    let words = machine.write("words", "these are no words of a wallet at all my dear good friend");
    let phrase =
        machine.refusal(&["wallet", "restore", "--network", "devnet", "--wallet", "x", "--words-file", &words]);
    assert!(phrase.contains("recovery phrase") && !phrase.contains("friend"), "{phrase}");
    machine.misuse(&["wallet", "new", "--network", "moon"]);

    machine.write("wrong", "four words or less");
    let wrong = machine.refusal(&["wallet", "address", "--check", "--passphrase-file", &machine.text("wrong")]);
    assert!(wrong.contains("the passphrase is wrong") && !wrong.contains("less"), "{wrong}");
}

#[cfg(unix)]
#[test]
fn a_file_that_others_can_read_or_that_was_changed_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let machine = Machine::new().with_devnet_account("main", "1").with_devnet_account("other", "2");
    let file = machine.path("wallets/main.json");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let loose = machine.refusal(&["wallet", "address"]);
    assert!(loose.contains("mode 644") && loose.contains("chmod 600"), "{loose}");
    let listed = machine.run(&["wallet", "list"]);
    assert_eq!(listed.status.code(), Some(1));
    assert!(stderr(&listed).contains("chmod 600") && String::from_utf8(listed.stdout).unwrap().contains("other"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();

    // The public key of another wallet: addresses of somebody else.
    let read =
        |name: &str| -> Value { serde_json::from_str(&fs::read_to_string(machine.path(name)).unwrap()).unwrap() };
    let mut swapped = read("wallets/main.json");
    swapped["account_key"] = read("wallets/other.json")["account_key"].clone();
    fs::write(&file, swapped.to_string()).unwrap();
    let damaged = machine.refusal(&["wallet", "address"]);
    assert!(damaged.contains("checksum"), "{damaged}");

    // By somebody who knows how the checksum is made.
    swapped["checksum"] = hex::encode(checksum(&swapped)).into();
    fs::write(&file, swapped.to_string()).unwrap();
    let unlocked = machine.refusal(&["wallet", "address", "--check"]);
    assert!(unlocked.contains("somebody changed the wallet file: its public key"), "{unlocked}");
    let signed = machine.refusal(&["wallet", "sign-message", "--text", "x"]);
    assert!(signed.contains("somebody changed the wallet file"), "{signed}");
}

/// The checksum of a wallet's file.
fn checksum(file: &Value) -> [u8; 32] {
    let number = |value: &Value| u32::try_from(value.as_u64().unwrap()).unwrap().to_be_bytes().to_vec();
    let bytes = |value: &Value| hex::decode(value.as_str().unwrap()).unwrap();
    let (sealed, cost) = (&file["sealed"], &file["sealed"]["kdf_cost"]);
    let parts = [
        b"nunet-wallet-file-v1".to_vec(),
        number(&file["magic"]),
        number(&file["account"]),
        bytes(&file["account_key"]),
        number(&cost["memory_kib"]),
        number(&cost["passes"]),
        number(&cost["lanes"]),
        bytes(&sealed["salt"]),
        bytes(&sealed["nonce"]),
        bytes(&sealed["secret"]),
    ];
    blake2b_256(&parts.concat())
}
