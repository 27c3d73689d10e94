//! `nunet wallet sign-message` and `verify-message`.

use std::{fs::File, io::Read, path::PathBuf, process::ExitCode};

use anyhow::{Context, ensure};
use clap::Args;
use nunet_chain::wallet::{
    KeyPath,
    message::{MAX_MESSAGE, Payload, Signer, verify_message},
};
use serde_json::json;

use super::{secrets::PassphraseArgs, store::WalletArgs};

/// The message.
#[derive(Debug, Args)]
#[group(required = false, multiple = false, args = ["text", "file"])]
pub struct MessageArgs {
    /// The message.
    #[arg(long)]
    pub text: Option<String>,
    /// A file with the message, every byte of which counts.
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

impl MessageArgs {
    fn read(&self) -> anyhow::Result<Option<Vec<u8>>> {
        let Some(path) = &self.file else { return Ok(self.text.clone().map(String::into_bytes)) };
        let reading = || format!("reading {}", path.display());
        let file = File::open(path).with_context(reading)?;
        let mut message = Vec::new();
        file.take(MAX_MESSAGE as u64 + 1).read_to_end(&mut message).with_context(reading)?;
        ensure!(message.len() <= MAX_MESSAGE, "{} has more than {MAX_MESSAGE} bytes", path.display());
        Ok(Some(message))
    }
}

/// What to sign, and with which key.
#[derive(Debug, Args)]
pub struct SignArgs {
    /// The message.
    #[command(flatten)]
    pub message: MessageArgs,
    /// The address to sign for; the wallet's first base address without it.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "stake")]
    pub address: Option<Signer>,
    /// Sign with the stake key, for the stake address.
    #[arg(long)]
    pub stake: bool,
    /// The wallet.
    #[command(flatten)]
    pub wallet: WalletArgs,
    /// Its passphrase.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// `nunet wallet sign-message`.
pub fn sign(args: SignArgs) -> anyhow::Result<ExitCode> {
    let message = args.message.read()?.context("which message? add --text or --file")?;
    let stored = args.wallet.stored()?;
    let account = stored.account();
    let signer = match args.address {
        Some(address) => address,
        None if args.stake => Signer::Stake(account.stake_account()),
        None => Signer::Payment(account.address(KeyPath::PAYMENT)),
    };
    let signed = args.wallet.unlocked(&stored, &args.passphrase)?.sign_message(&signer, &message)?;
    let (signature, key) = (hex::encode(signed.signature), hex::encode(signed.key));
    if args.json {
        println!("{}", json!({"address": signer.to_string(), "signature": signature, "key": key}));
    } else {
        println!("address   {signer}\nsignature {signature}\nkey       {key}");
    }
    Ok(ExitCode::SUCCESS)
}

/// What to check.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The signature (COSE_Sign1), in hex.
    #[arg(long, value_name = "HEX")]
    pub signature: String,
    /// The key (COSE_Key) that came with it, in hex; not needed where the signature names it.
    #[arg(long, value_name = "HEX")]
    pub key: Option<String>,
    /// The address that must have signed.
    #[arg(long, value_name = "ADDRESS")]
    pub address: Option<Signer>,
    /// The message that must have been signed.
    #[command(flatten)]
    pub message: MessageArgs,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// `nunet wallet verify-message`.
pub fn verify(args: VerifyArgs) -> anyhow::Result<ExitCode> {
    let signature = hex::decode(args.signature.trim()).context("the signature is not hex")?;
    let key = args.key.as_deref().map(|key| hex::decode(key.trim()).context("the key is not hex")).transpose()?;
    let verified = verify_message(&signature, key.as_deref())?;
    if let Some(expected) = &args.address {
        ensure!(verified.signer == *expected, "{} signed this, not {expected}", verified.signer);
    }
    let message = args.message.read()?;
    if let Some(message) = &message {
        ensure!(verified.says(message), "{} signed another message than this", verified.signer);
    }
    let (kind, bytes) = match &verified.payload {
        Payload::Clear(bytes) => ("payload", bytes.clone()),
        Payload::Hashed(hash) => ("payload_hash", hash.to_vec()),
    };
    if args.json {
        println!("{}", json!({"valid": true, "address": verified.signer.to_string(), kind: hex::encode(&bytes)}));
    } else {
        println!("signed by {}", verified.signer);
        if message.is_none() {
            match String::from_utf8(bytes) {
                Ok(text) if !text.chars().any(|c| c.is_control() && c != '\n') => println!("{text}"),
                Ok(_) | Err(_) => println!("(the message is no plain text: use --json for its bytes)"),
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
