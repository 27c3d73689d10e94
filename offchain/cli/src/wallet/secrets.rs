//! Reading secrets: from the terminal without showing them, or from a file; never from arguments.

use std::{
    fs::File,
    io::{self, IsTerminal, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};
use clap::Args;
use zeroize::Zeroizing;

/// Most bytes of a file that holds a secret.
const MAX_SECRET: usize = 4096;

/// Where a wallet's passphrase comes from.
#[derive(Debug, Args)]
pub struct PassphraseArgs {
    /// A file whose only line is the wallet's passphrase, or - for standard input; asked for on the terminal without it.
    #[arg(long, value_name = "FILE", env = "NUNET_WALLET_PASSPHRASE_FILE")]
    pub passphrase_file: Option<PathBuf>,
}

impl PassphraseArgs {
    /// The passphrase of a wallet that is there.
    pub fn read(&self, wallet: &str) -> anyhow::Result<Zeroizing<String>> {
        match &self.passphrase_file {
            Some(path) => read_file(path).context("the passphrase"),
            None => ask(&format!("Passphrase of wallet {wallet}: ")).with_context(no_terminal),
        }
    }

    /// A passphrase for a new wallet, typed twice.
    pub fn read_new(&self) -> anyhow::Result<Zeroizing<String>> {
        if let Some(path) = &self.passphrase_file {
            return read_file(path).context("the passphrase");
        }
        let first = ask("New passphrase: ").with_context(no_terminal)?;
        let second = ask("The same again: ").with_context(no_terminal)?;
        ensure!(first == second, "the two passphrases differ: nothing was stored, try again");
        Ok(first)
    }
}

fn no_terminal() -> &'static str {
    "no passphrase can be asked for here: use --passphrase-file or NUNET_WALLET_PASSPHRASE_FILE"
}

/// Asks on the terminal, without showing what is typed.
pub fn ask(prompt: &str) -> anyhow::Result<Zeroizing<String>> {
    Ok(Zeroizing::new(rpassword::prompt_password(prompt)?))
}

/// Reads a secret from a file, or from standard input where the path is -, without its final line break.
pub fn read_file(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let read = |source: &mut dyn Read| read_secret(source).with_context(|| format!("reading {}", path.display()));
    if path == Path::new("-") {
        return read(&mut io::stdin().lock());
    }
    let mut file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    read(&mut file)
}

fn read_secret(source: &mut dyn Read) -> anyhow::Result<Zeroizing<String>> {
    // A buffer of fixed size: one that grows would leave copies behind.
    let mut bytes = Zeroizing::new([0; MAX_SECRET]);
    let mut length = 0;
    loop {
        match source.read(&mut bytes[length..])? {
            0 if length == MAX_SECRET => bail!("it has {MAX_SECRET} bytes or more: that is no secret of a wallet"),
            0 => break,
            read => length += read,
        }
    }
    let text = std::str::from_utf8(&bytes[..length]).context("it is no text")?;
    Ok(Zeroizing::new(text.trim_end_matches(['\n', '\r']).to_owned()))
}

/// Asks a question that is answered with yes or no; anything but yes is a no.
pub fn confirm(question: &str) -> anyhow::Result<bool> {
    ensure!(io::stdin().is_terminal(), "nobody can be asked here: look at the lines above and add --yes");
    eprint!("{question} [y/N] ");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_the_final_line_break_is_no_part_of_a_secret() {
        for (bytes, secret) in [("pass phrase\r\n", "pass phrase"), (" a \n", " a "), ("a\nb", "a\nb"), ("", "")] {
            assert_eq!(read_secret(&mut bytes.as_bytes()).unwrap().as_str(), secret);
        }
        assert!(read_secret(&mut vec![b'a'; MAX_SECRET].as_slice()).is_err());
        assert!(read_secret(&mut [0xff].as_slice()).is_err());
    }
}
