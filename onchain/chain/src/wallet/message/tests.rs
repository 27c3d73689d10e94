//! Messages against the bytes of other implementations, and against people who change them.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

const WORDS: &str = "test walk nut penalty hip pave soap entry language right filter choice";
const MESSAGE: &str = "NuNet: pay only for work that was done right";

/// A vector of the reference implementation that browser wallets use.
#[derive(Deserialize)]
struct Vector {
    case: String,
    address: String,
    message: String,
    hashed: bool,
    signature: String,
    key: String,
}

#[derive(Deserialize)]
struct Vectors {
    words: String,
    vectors: Vec<Vector>,
}

/// Made once with the packages that the file names.
fn vectors() -> Vectors {
    serde_json::from_str(include_str!("vectors.json")).unwrap()
}

fn wallet(network_id: u8) -> Wallet {
    Wallet::from_mnemonic(WORDS, network_id, 0).unwrap()
}

fn signed() -> (Signer, SignedMessage) {
    let signer = Signer::Payment(wallet(0).address());
    let signed = wallet(0).sign_message(&signer, MESSAGE.as_bytes()).unwrap();
    (signer, signed)
}

#[test]
fn the_same_bytes_come_out_as_in_browser_wallets() {
    let Vectors { words, vectors } = vectors();
    assert_eq!(words, WORDS);
    assert_eq!(vectors.len(), 10);
    for vector in vectors.iter().filter(|vector| !vector.hashed) {
        let signer: Signer = vector.address.parse().unwrap();
        let network_id = u8::from(!vector.address.contains("_test"));
        let signed = wallet(network_id).sign_message(&signer, vector.message.as_bytes()).unwrap();
        assert_eq!(hex::encode(signed.signature), vector.signature, "{}", vector.case);
        assert_eq!(hex::encode(signed.key), vector.key, "{}", vector.case);
    }
}

#[test]
fn what_browser_wallets_signed_is_verified() {
    for vector in vectors().vectors {
        let (signature, key) = (hex::decode(&vector.signature).unwrap(), hex::decode(&vector.key).unwrap());
        let verified = verify_message(&signature, Some(&key)).unwrap();
        assert_eq!(verified.signer.to_string(), vector.address, "{}", vector.case);
        assert!(verified.says(vector.message.as_bytes()) && !verified.says(b"else"), "{}", vector.case);
        assert_eq!(matches!(verified.payload, Payload::Hashed(_)), vector.hashed, "{}", vector.case);
        assert_eq!(verify_message(&signature, None).unwrap_err(), MessageError::NoKey);
    }
}

/// Made with pycardano 0.19's `cip8.sign`, with and without a key beside the signature; without, the headers name it.
#[test]
fn what_pycardano_signed_is_verified() {
    let beside = hex::decode(
        "84582aa201276761646472657373581d609493315cd92eb5d8c4304e67b7e16ae36d61d34502694657811a2c8ea1666861736865\
         64f4582c4e754e65743a20706179206f6e6c7920666f7220776f726b20746861742077617320646f6e652072696768745840746b\
         cbbdc82f58d0c5d84633e7b8d13b35b18ad00b385e8b47e607a1beec2c1ce5e5bfcf2031d972adfbe215000d40bf1c763cbb5d37\
         16f115b58e68564ef40f",
    )
    .unwrap();
    let key =
        hex::decode("a401010327200621582073fea80d424276ad0978d4fe5310e8bc2d485f5f6bb3bf87612989f112ad5a7d").unwrap();
    let verified = verify_message(&beside, Some(&key)).unwrap();
    assert_eq!(verified.signer, Signer::Payment(wallet(0).enterprise_address()));
    assert!(verified.says(MESSAGE.as_bytes()));
    let ours = wallet(0).sign_message(&verified.signer, MESSAGE.as_bytes()).unwrap();
    assert_eq!((ours.signature, ours.key), (beside, key.clone()));

    let named = hex::decode(
        "84584da301276761646472657373581d619493315cd92eb5d8c4304e67b7e16ae36d61d34502694657811a2c8e04582073fea80d\
         424276ad0978d4fe5310e8bc2d485f5f6bb3bf87612989f112ad5a7da166686173686564f4582c4e754e65743a20706179206f6e\
         6c7920666f7220776f726b20746861742077617320646f6e65207269676874584038f7cf0d560ceb632a8a4bf3af3ef18cc5b256\
         1f4b83dd906c1c90a452d636eef3740521ab0801a29b7cfeeda6c29d64b0c6fc5d8fe81701dfc804963689e606",
    )
    .unwrap();
    let verified = verify_message(&named, None).unwrap();
    assert_eq!(verified.signer, Signer::Payment(wallet(1).enterprise_address()));
    assert_eq!(verify_message(&named, Some(&key)).unwrap(), verified);
    let other = cose::cose_key(&[7; 32]);
    assert_eq!(verify_message(&named, Some(&other)).unwrap_err(), MessageError::OtherKey);
}

#[test]
fn a_wallet_signs_for_its_own_addresses_only() {
    let ours = wallet(0);
    let other = Wallet::from_mnemonic(WORDS, 0, 1).unwrap();
    let script = Credential::Script(nunet_ledger::ScriptHash([1; 28]));
    for signer in [
        Signer::Payment(other.address()),
        Signer::Stake(other.stake_account()),
        Signer::Payment(Address::new(0, script, Some(ours.stake_account().credential))),
        Signer::Stake(RewardAccount { network_id: 0, credential: script }),
    ] {
        assert_eq!(ours.sign_message(&signer, b"x").unwrap_err(), MessageError::NotOurs(signer));
    }
    let long = vec![0; MAX_MESSAGE];
    assert_eq!(
        ours.sign_message(&Signer::Stake(ours.stake_account()), &long).unwrap_err(),
        MessageError::TooLong(MAX_MESSAGE)
    );
    assert_eq!(verify_message(&[0; MAX_MESSAGE + 1], None).unwrap_err(), MessageError::TooLong(MAX_MESSAGE + 1));
}

#[test]
fn a_key_that_does_not_control_the_address_proves_nothing() {
    let (signer, _) = signed();
    let mallory = Wallet::from_mnemonic(WORDS, 0, 1).unwrap();
    let protected = cose::protected_header(&signer.to_bytes());
    let signature = mallory.payment.sign_bytes(&cose::to_be_signed(&protected, b"I am Alice"));
    let forged = cose::sign1(&protected, b"I am Alice", &signature);
    let error = verify_message(&forged, Some(&cose::cose_key(&mallory.payment.public))).unwrap_err();
    assert_eq!(error, MessageError::WrongAddress { key: mallory.key_hash(), address: signer });
    // Not even the stake key of the address: it is the payment key that owns what is there.
    let ours = wallet(0);
    let signature = ours.stake.sign_bytes(&cose::to_be_signed(&protected, b"x"));
    let error = verify_message(&cose::sign1(&protected, b"x", &signature), Some(&cose::cose_key(&ours.stake.public)));
    assert!(matches!(error, Err(MessageError::WrongAddress { .. })));
}

#[test]
fn addresses_that_no_key_controls_or_that_are_too_long_are_refused() {
    let ours = wallet(0);
    let mut long = ours.enterprise_address().as_bytes().to_vec();
    long.push(0);
    let script = Address::new(0, Credential::Script(nunet_ledger::ScriptHash([1; 28])), None);
    for address in [long, script.as_bytes().to_vec(), Vec::new(), vec![0xe5; 29]] {
        let protected = cose::protected_header(&address);
        let signature = ours.payment.sign_bytes(&cose::to_be_signed(&protected, b"x"));
        let message = cose::sign1(&protected, b"x", &signature);
        let error = verify_message(&message, Some(&cose::cose_key(&ours.payment.public))).unwrap_err();
        assert!(matches!(error, MessageError::BadAddress(_)), "{error}");
    }
}

#[test]
fn a_tag_before_and_unknown_headers_within_are_fine_but_no_header_twice_or_unprotected() {
    let (_, SignedMessage { signature, key }) = signed();
    let tagged = [&[0xd2], signature.as_slice()].concat();
    assert!(verify_message(&tagged, Some(&key)).unwrap().says(MESSAGE.as_bytes()));
    let trailing = [signature.as_slice(), &[0]].concat();
    assert_eq!(verify_message(&trailing, Some(&key)).unwrap_err(), CoseError("nothing after it").into());

    let ours = wallet(0);
    let address = ours.enterprise_address();
    let sign = |protected: Vec<u8>| {
        let signature = ours.payment.sign_bytes(&cose::to_be_signed(&protected, b"x"));
        verify_message(&cose::sign1(&protected, b"x", &signature), Some(&cose::cose_key(&ours.payment.public)))
    };
    let plain = cose::protected_header(address.as_bytes());
    let with = |entry: &[u8]| [&[0xa3], &plain[1..], entry].concat();
    sign(with(&[0x18, 0x63, 0x82, 0x01, 0xa1, 0x01, 0x02])).unwrap();
    assert_eq!(sign(with(&[0x01, 0x27])).unwrap_err(), CoseError("every header once").into());
    assert_eq!(sign(with(&[0x02, 0x81, 0x01])).unwrap_err(), CoseError("no critical headers").into());
    let other_algorithm = [&[0xa2, 0x01, 0x26], &plain[3..]].concat();
    assert_eq!(sign(other_algorithm).unwrap_err(), CoseError("EdDSA as the algorithm").into());
}

#[test]
fn addresses_are_read_with_their_checksum() {
    let ours = wallet(0);
    for signer in [Signer::Payment(ours.address()), Signer::Stake(ours.stake_account())] {
        let text = signer.to_string();
        assert_eq!(text.parse::<Signer>().unwrap(), signer);
        let last = if text.ends_with('q') { "p" } else { "q" };
        assert!(format!("{}{last}", &text[..text.len() - 1]).parse::<Signer>().is_err());
    }
}

/// Made once: a wallet takes thousands of hashes.
static SIGNED: LazyLock<(Signer, SignedMessage)> = LazyLock::new(signed);

proptest! {
    #[test]
    fn strangers_bytes_never_panic(signature in proptest::collection::vec(any::<u8>(), 0..300), key in proptest::collection::vec(any::<u8>(), 0..60)) {
        let _ = verify_message(&signature, Some(&key));
    }

    #[test]
    fn no_changed_bit_goes_unnoticed(at in 0_usize..4000) {
        let (signer, SignedMessage { signature, key }) = SIGNED.clone();
        let at = at % (8 * (signature.len() + key.len()));
        let mut all = [signature.as_slice(), &key].concat();
        all[at / 8] ^= 1 << (at % 8);
        let (changed, key) = all.split_at(signature.len());
        if let Ok(verified) = verify_message(changed, Some(key)) {
            // Only labels of what may be left out can change without harm: "hashed", and the key's algorithm.
            prop_assert_eq!((verified.signer, verified.payload), (signer, Payload::Clear(MESSAGE.into())));
            let hashed = signature.windows(6).position(|window| window == b"hashed").unwrap();
            let harmless = (hashed - 1..hashed + 6).chain([signature.len() + 3]).any(|byte| byte == at / 8);
            prop_assert!(harmless, "byte {}", at / 8);
        }
    }
}
