//! The format of a wallet's file, version 1: JSON, with everything that decryption needs but the passphrase.

use std::fmt;

use argon2::{Algorithm, Argon2, Params};
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce, aead::AeadInPlace};
use ed25519_bip32::XPRV_SIZE;
use nunet_ledger::{NetworkMagic, hash::blake2b_256};
use rand::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use zeroize::Zeroizing;

use super::{
    super::{ACCOUNT_KEY_SIZE, Account, Wallet},
    KeystoreError, MIN_PASSPHRASE,
};

/// The version that is written, and the last that is read.
pub(super) const VERSION: u32 = 1;

/// What the file says it is.
const FORMAT: &str = "nunet-wallet";

/// How the key is made of the passphrase and what encrypts with it; another choice would be another version.
const KDF: &str = "argon2id";
const CIPHER: &str = "xchacha20-poly1305";

/// Set before what is hashed, and authenticated beside what is encrypted.
const DOMAIN: &[u8] = b"nunet-wallet-file-v1";

/// What is encrypted: the account's secret key, network magic and account number (both big-endian).
const SECRET: usize = XPRV_SIZE + 4 + 4;

/// Bytes of the authentication tag, after the encrypted ones.
const TAG: usize = 16;

/// What making a key of a passphrase costs, for us and for whoever guesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KdfCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl KdfCost {
    /// What [RFC 9106](https://www.rfc-editor.org/rfc/rfc9106#section-4) recommends where 2 GiB are too much: 64 MiB, 3
    /// passes, 4 lanes.
    pub const RECOMMENDED: Self = Self { memory_kib: 64 * 1024, passes: 3, lanes: 4 };

    /// The most that is spent on a file, whoever wrote it.
    pub const MOST: Self = Self { memory_kib: 512 * 1024, passes: 10, lanes: 16 };

    fn check(self) -> Result<Params, KeystoreError> {
        let most = Self::MOST;
        if self.memory_kib > most.memory_kib || self.passes > most.passes || self.lanes > most.lanes {
            return Err(KeystoreError::TooCostly(self.to_string()));
        }
        Params::new(self.memory_kib, self.passes, self.lanes, Some(32))
            .map_err(|error| KeystoreError::NotAWallet(format!("{self}: {error}")))
    }
}

impl fmt::Display for KdfCost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} KiB of memory, {} passes and {} lanes", self.memory_kib, self.passes, self.lanes)
    }
}

/// A wallet as its file holds it: what is public can be used, what is secret waits for the passphrase.
#[derive(Clone, Debug)]
pub struct StoredWallet {
    file: WalletFile,
    account: Account,
}

/// The file's fields.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WalletFile {
    format: String,
    version: u32,
    magic: NetworkMagic,
    account: u32,
    account_key: Hex<ACCOUNT_KEY_SIZE>,
    /// Missing where the wallet is only watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sealed: Option<Sealed>,
    checksum: Hex<32>,
}

/// The encrypted part.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    kdf: String,
    kdf_cost: KdfCost,
    salt: Hex<16>,
    cipher: String,
    nonce: Hex<24>,
    secret: Hex<{ SECRET + TAG }>,
}

/// What every version has.
#[derive(Deserialize)]
struct Preamble {
    format: String,
    version: u32,
}

impl WalletFile {
    fn new(account: &Account, number: u32, magic: NetworkMagic, sealed: Option<Sealed>) -> Self {
        let mut file = Self {
            format: FORMAT.into(),
            version: VERSION,
            magic,
            account: number,
            account_key: Hex(account.to_bytes()),
            sealed,
            checksum: Hex([0; 32]),
        };
        file.checksum = Hex(file.checksum());
        file
    }

    /// A hash over every field, each of a fixed width. It finds damage; it keeps nobody from changing the file.
    fn checksum(&self) -> [u8; 32] {
        let mut bytes =
            [DOMAIN, &self.magic.0.to_be_bytes(), &self.account.to_be_bytes(), &self.account_key.0].concat();
        if let Some(sealed) = &self.sealed {
            let cost = [sealed.kdf_cost.memory_kib, sealed.kdf_cost.passes, sealed.kdf_cost.lanes];
            cost.iter().for_each(|number| bytes.extend_from_slice(&number.to_be_bytes()));
            bytes.extend_from_slice(&sealed.salt.0);
            bytes.extend_from_slice(&sealed.nonce.0);
            bytes.extend_from_slice(&sealed.secret.0);
        }
        blake2b_256(&bytes)
    }
}

impl Sealed {
    fn new(
        secret: &Zeroizing<[u8; SECRET]>,
        passphrase: &str,
        cost: KdfCost,
        random: &mut impl CryptoRng,
    ) -> Result<Self, KeystoreError> {
        let (mut salt, mut nonce) = ([0; 16], [0; 24]);
        random.fill_bytes(&mut salt);
        random.fill_bytes(&mut nonce);
        let mut buffer = secret.clone();
        let tag = cipher(passphrase, &salt, cost)?
            .encrypt_in_place_detached(XNonce::from_slice(&nonce), DOMAIN, buffer.as_mut_slice())
            .map_err(|_| KeystoreError::NotAWallet("its secret is too long".into()))?;
        let mut encrypted = [0; SECRET + TAG];
        encrypted[..SECRET].copy_from_slice(buffer.as_slice());
        encrypted[SECRET..].copy_from_slice(&tag);
        Ok(Self {
            kdf: KDF.into(),
            kdf_cost: cost,
            salt: Hex(salt),
            cipher: CIPHER.into(),
            nonce: Hex(nonce),
            secret: Hex(encrypted),
        })
    }

    fn open(&self, passphrase: &str) -> Result<Zeroizing<[u8; SECRET]>, KeystoreError> {
        let (encrypted, tag) = self.secret.0.split_at(SECRET);
        let mut secret = Zeroizing::new([0; SECRET]);
        secret.copy_from_slice(encrypted);
        cipher(passphrase, &self.salt.0, self.kdf_cost)?
            .decrypt_in_place_detached(
                XNonce::from_slice(&self.nonce.0),
                DOMAIN,
                secret.as_mut_slice(),
                Tag::from_slice(tag),
            )
            .map_err(|_| KeystoreError::WrongPassphrase)?;
        Ok(secret)
    }
}

/// The cipher under the key that a passphrase gives.
fn cipher(passphrase: &str, salt: &[u8; 16], cost: KdfCost) -> Result<XChaCha20Poly1305, KeystoreError> {
    let argon = Argon2::new(Algorithm::Argon2id, argon2::Version::V0x13, cost.check()?);
    let mut key = Zeroizing::new([0; 32]);
    argon
        .hash_password_into(passphrase.as_bytes(), salt, key.as_mut_slice())
        .map_err(|error| KeystoreError::NotAWallet(format!("{cost}: {error}")))?;
    Ok(XChaCha20Poly1305::new(key.as_slice().into()))
}

impl StoredWallet {
    /// Encrypts a wallet under a passphrase, which must have [`MIN_PASSPHRASE`] characters.
    pub(super) fn seal(
        wallet: &Wallet,
        account: u32,
        magic: NetworkMagic,
        passphrase: &str,
        cost: KdfCost,
        random: &mut impl CryptoRng,
    ) -> Result<Self, KeystoreError> {
        if passphrase.chars().count() < MIN_PASSPHRASE {
            return Err(KeystoreError::WeakPassphrase);
        }
        let mut secret = Zeroizing::new([0; SECRET]);
        secret[..XPRV_SIZE].copy_from_slice(wallet.secret_bytes().as_slice());
        secret[XPRV_SIZE..XPRV_SIZE + 4].copy_from_slice(&magic.0.to_be_bytes());
        secret[XPRV_SIZE + 4..].copy_from_slice(&account.to_be_bytes());
        let sealed = Sealed::new(&secret, passphrase, cost, random)?;
        let file = WalletFile::new(wallet.account(), account, magic, Some(sealed));
        Ok(Self { file, account: wallet.account().clone() })
    }

    /// The same wallet without its secret: enough to see what it holds and to build transactions that are signed
    /// elsewhere.
    #[must_use]
    pub fn watched(&self) -> Self {
        let file = WalletFile::new(&self.account, self.file.account, self.file.magic, None);
        Self { file, account: self.account.clone() }
    }

    /// Whether there is a secret to unlock.
    pub fn can_sign(&self) -> bool {
        self.file.sealed.is_some()
    }

    /// Reads a file. The work that it asks for is bounded, and the checksum fits.
    pub fn from_json(text: &str) -> Result<Self, KeystoreError> {
        let none = |error: serde_json::Error| KeystoreError::NotAWallet(error.to_string());
        let preamble: Preamble = serde_json::from_str(text).map_err(none)?;
        if preamble.format != FORMAT {
            return Err(KeystoreError::NotAWallet(format!("its format is not {FORMAT:?}")));
        }
        if preamble.version > VERSION {
            return Err(KeystoreError::TooNew(preamble.version));
        }
        let file: WalletFile = serde_json::from_str(text).map_err(none)?;
        let known = file.sealed.as_ref().is_none_or(|sealed| sealed.kdf == KDF && sealed.cipher == CIPHER);
        if file.version != VERSION || !known {
            return Err(KeystoreError::NotAWallet(format!("version {VERSION} has {KDF} and {CIPHER}")));
        }
        if file.checksum.0 != file.checksum() {
            return Err(KeystoreError::Damaged);
        }
        if let Some(sealed) = &file.sealed {
            sealed.kdf_cost.check()?;
        }
        let account = Account::from_bytes(file.magic.network_id(), file.account_key.0)
            .map_err(|error| KeystoreError::NotAWallet(error.to_string()))?;
        Ok(Self { file, account })
    }

    /// The file's text.
    #[expect(clippy::expect_used, reason = "texts and numbers are JSON")]
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(&self.file).expect("a wallet's file is JSON");
        text.push('\n');
        text
    }

    /// The public half, as the file says; [`StoredWallet::unlock`] proves it.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The network that the wallet is for.
    pub fn magic(&self) -> NetworkMagic {
        self.file.magic
    }

    /// Which account of its recovery phrase it is.
    pub fn account_number(&self) -> u32 {
        self.file.account
    }

    /// Decrypts the secret key and compares what the file says in clear with it.
    pub fn unlock(&self, passphrase: &Zeroizing<String>) -> Result<Wallet, KeystoreError> {
        let file = &self.file;
        let secret = file.sealed.as_ref().ok_or(KeystoreError::WatchOnly)?.open(passphrase)?;
        let (key, rest) = secret.split_at(XPRV_SIZE);
        let (magic, account) = rest.split_at(4);
        if magic != file.magic.0.to_be_bytes() {
            return Err(KeystoreError::Tampered("network"));
        }
        if account != file.account.to_be_bytes() {
            return Err(KeystoreError::Tampered("account number"));
        }
        let mut bytes = Zeroizing::new([0; XPRV_SIZE]);
        bytes.copy_from_slice(key);
        let wallet = Wallet::from_secret_bytes(&bytes, file.magic.network_id())
            .map_err(|error| KeystoreError::NotAWallet(error.to_string()))?;
        if *wallet.account() != self.account {
            return Err(KeystoreError::Tampered("public key"));
        }
        Ok(wallet)
    }
}

/// Bytes that JSON shows as hex digits.
#[derive(Clone, Copy, Debug)]
struct Hex<const N: usize>([u8; N]);

impl<const N: usize> Serialize for Hex<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(self.0))
    }
}

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut bytes = [0; N];
        hex::decode_to_slice(&text, &mut bytes)
            .map_err(|_| D::Error::custom(format!("expected {} hex digits", 2 * N)))?;
        Ok(Self(bytes))
    }
}

/// The checksum that a file should have.
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) fn checksum_of(text: &str) -> [u8; 32] {
    serde_json::from_str::<WalletFile>(text).unwrap().checksum()
}
