//! The keystore as an owner, an unlucky disk and an attacker meet it.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const WORDS: &str = "test walk nut penalty hip pave soap entry language right filter choice";
const DEVNET: NetworkMagic = NetworkMagic::DEVNET;
/// The least that Argon2 takes: tests are no defence.
const CHEAP: KdfCost = KdfCost { memory_kib: 8, passes: 1, lanes: 1 };

fn wallet() -> Wallet {
    Wallet::from_mnemonic(WORDS, 0, 2).unwrap()
}

fn passphrase() -> Zeroizing<String> {
    Zeroizing::new("correct horse".into())
}

fn stored() -> StoredWallet {
    StoredWallet::seal(&wallet(), 2, DEVNET, &passphrase(), CHEAP, &mut rand::rng()).unwrap()
}

/// The file with some fields changed, by somebody who knows how the checksum is made.
fn changed(change: impl FnOnce(&mut Value)) -> Result<StoredWallet, KeystoreError> {
    let mut value: Value = serde_json::from_str(&stored().to_json()).unwrap();
    change(&mut value);
    match StoredWallet::from_json(&value.to_string()) {
        Err(KeystoreError::Damaged) => {
            let sum = file::checksum_of(&value.to_string());
            value["checksum"] = hex::encode(sum).into();
            StoredWallet::from_json(&value.to_string())
        }
        other => other,
    }
}

fn refusal(result: Result<StoredWallet, KeystoreError>) -> KeystoreError {
    result.and_then(|stored| stored.unlock(&passphrase()).map(drop)).unwrap_err()
}

fn folder() -> (tempfile::TempDir, Keystore) {
    let folder = tempfile::tempdir().unwrap();
    let keystore = Keystore::new(folder.path().join("wallets"));
    (folder, keystore)
}

fn create(keystore: &Keystore, name: &str) -> Result<PathBuf, KeystoreError> {
    keystore.create(name, &wallet(), 2, DEVNET, &passphrase(), CHEAP)
}

#[test]
fn what_is_stored_is_watched_without_and_unlocked_with_the_passphrase() {
    let (_folder, keystore) = folder();
    assert_eq!(keystore.list().unwrap(), [""; 0]);
    create(&keystore, "main").unwrap();
    create(&keystore, "a-2").unwrap();
    assert_eq!(keystore.list().unwrap(), ["a-2", "main"]);
    let stored = keystore.read("main").unwrap();
    assert_eq!((stored.account(), stored.magic(), stored.account_number()), (wallet().account(), DEVNET, 2));
    let unlocked = stored.unlock(&passphrase()).unwrap();
    let id = nunet_ledger::TxId([3; 32]);
    assert_eq!(unlocked.sign(&id), wallet().sign(&id));
}

#[test]
fn two_files_of_one_wallet_and_passphrase_have_nothing_secret_in_common() {
    let [a, b]: [Value; 2] = [stored(), stored()].map(|stored| serde_json::from_str(&stored.to_json()).unwrap());
    for field in ["salt", "nonce", "secret"] {
        assert_ne!(a["sealed"][field], b["sealed"][field]);
    }
    let secret = hex::encode(wallet().secret_bytes().as_slice());
    assert!(!a.to_string().contains(&secret[..32]));
}

#[test]
fn a_wallet_is_never_overwritten_and_leaves_nothing_behind_when_it_fails() {
    let (_folder, keystore) = folder();
    let path = create(&keystore, "main").unwrap();
    let before = fs::read(&path).unwrap();
    assert!(matches!(create(&keystore, "main").unwrap_err(), KeystoreError::Exists { name, .. } if name == "main"));
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    let short = keystore.create("short", &wallet(), 2, DEVNET, &Zeroizing::new("1234567".into()), CHEAP);
    assert!(matches!(short.unwrap_err(), KeystoreError::WeakPassphrase));
    assert_eq!(keystore.list().unwrap(), ["main"]);
}

#[test]
fn names_that_would_leave_the_folder_are_refused() {
    let (_folder, keystore) = folder();
    for name in ["", ".", "..", "../main", "a/b", "a.b", "-a", "_a", "a b", "ä", &"a".repeat(65)] {
        assert!(matches!(keystore.path(name), Err(KeystoreError::BadName(_))), "{name:?}");
    }
    assert!(matches!(keystore.read("nobody").unwrap_err(), KeystoreError::NotFound { .. }));
}

#[cfg(unix)]
#[test]
fn the_file_is_its_owners_only_and_is_refused_when_others_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, keystore) = folder();
    let path = create(&keystore, "main").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for loose in [0o640, 0o604, 0o620] {
        fs::set_permissions(&path, fs::Permissions::from_mode(loose)).unwrap();
        let error = keystore.read("main").unwrap_err();
        assert!(matches!(error, KeystoreError::Permissions { mode, .. } if mode == loose), "{error}");
        assert!(error.to_string().contains("chmod 600"));
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    keystore.read("main").unwrap();
}

#[test]
fn a_wrong_passphrase_damage_a_stranger_and_a_newer_version_are_told_apart() {
    let wrong = stored().unlock(&Zeroizing::new("correct hors".into())).unwrap_err();
    assert!(matches!(wrong, KeystoreError::WrongPassphrase));
    let damaged = stored().to_json().replacen("\"account\": 2", "\"account\": 3", 1);
    assert!(matches!(StoredWallet::from_json(&damaged).unwrap_err(), KeystoreError::Damaged));
    let cut = &stored().to_json()[..300];
    assert!(matches!(StoredWallet::from_json(cut).unwrap_err(), KeystoreError::NotAWallet(_)));
    assert!(matches!(StoredWallet::from_json("{}").unwrap_err(), KeystoreError::NotAWallet(_)));
    let newer = json!({"format": "nunet-wallet", "version": 2, "anything": "else"}).to_string();
    assert!(matches!(StoredWallet::from_json(&newer).unwrap_err(), KeystoreError::TooNew(2)));
    assert!(matches!(refusal(changed(|file| file["version"] = 0.into())), KeystoreError::NotAWallet(_)));
    assert!(matches!(refusal(changed(|file| file["sealed"]["kdf"] = "none".into())), KeystoreError::NotAWallet(_)));
}

#[test]
fn a_swapped_public_key_network_or_account_never_signs() {
    let other = Wallet::from_mnemonic(WORDS, 0, 7).unwrap();
    let swapped = changed(|file| file["account_key"] = hex::encode(other.account().to_bytes()).into()).unwrap();
    assert_eq!(swapped.account(), other.account(), "until it is unlocked nothing shows the swap");
    assert!(matches!(refusal(Ok(swapped)), KeystoreError::Tampered("public key")));
    let network = refusal(changed(|file| file["magic"] = NetworkMagic::MAINNET.0.into()));
    assert!(matches!(network, KeystoreError::Tampered("network")), "{network}");
    let account = refusal(changed(|file| file["account"] = 0.into()));
    assert!(matches!(account, KeystoreError::Tampered("account number")), "{account}");
    let secret = refusal(changed(|file| file["sealed"]["nonce"] = "00".repeat(24).into()));
    assert!(matches!(secret, KeystoreError::WrongPassphrase));
}

#[test]
fn a_strangers_file_gets_no_more_work_than_the_limit() {
    for (field, value) in [("memory_kib", u32::MAX), ("passes", 11), ("lanes", 17)] {
        let error = changed(|file| file["sealed"]["kdf_cost"][field] = value.into()).unwrap_err();
        assert!(matches!(error, KeystoreError::TooCostly(_)), "{error}");
    }
    for (field, value) in [("memory_kib", 0), ("passes", 0), ("lanes", 0)] {
        let error = changed(|file| file["sealed"]["kdf_cost"][field] = value.into()).unwrap_err();
        assert!(matches!(error, KeystoreError::NotAWallet(_)), "{error}");
    }
    let (_folder, keystore) = folder();
    let path = create(&keystore, "long").unwrap();
    fs::write(&path, " ".repeat(20_000)).unwrap();
    assert!(keystore.read("long").unwrap_err().to_string().contains("longer than"));
}

#[test]
fn a_watched_wallet_shows_addresses_and_signs_nothing() {
    let (_folder, keystore) = folder();
    let watched = stored().watched();
    assert!(!watched.to_json().contains("secret"));
    keystore.add("cold", &watched).unwrap();
    let read = keystore.read("cold").unwrap();
    assert!(!read.can_sign() && stored().can_sign());
    assert_eq!((read.account(), read.magic()), (wallet().account(), DEVNET));
    assert!(matches!(read.unlock(&passphrase()).unwrap_err(), KeystoreError::WatchOnly));
    assert!(matches!(keystore.add("cold", &watched).unwrap_err(), KeystoreError::Exists { .. }));
    // Cutting the secret out of a file leaves its checksum behind.
    let cut = changed(|file| drop(file.as_object_mut().unwrap().remove("sealed"))).unwrap();
    assert!(!cut.can_sign());
}

/// A file that an earlier build wrote, so that a change of the format cannot pass unseen.
#[test]
fn files_of_version_1_can_be_read_for_ever() {
    let stored = StoredWallet::from_json(include_str!("version1.json")).unwrap();
    assert_eq!(*stored.unlock(&passphrase()).unwrap().account(), *wallet().account());
}

/// Made once: a wallet takes thousands of hashes.
static FILE: LazyLock<String> = LazyLock::new(|| stored().to_json());

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,400}") {
        let _ = StoredWallet::from_json(&text);
    }

    #[test]
    fn no_change_of_a_file_is_taken_for_the_wallet(at in 0_usize..900, byte in 0_u8..128) {
        let text = FILE.clone();
        let at = at % text.len();
        let mut bytes = text.clone().into_bytes();
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        let Ok(changed) = String::from_utf8(bytes) else { return Ok(()) };
        // White space and the case of hex digits mean nothing; all else is noticed.
        if let Ok(read) = StoredWallet::from_json(&changed) {
            prop_assert_eq!(read.to_json(), text);
        }
    }
}
