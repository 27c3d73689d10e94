//! Writes the seeds into folders: `fuzz-seeds FOLDER` fills `FOLDER/transaction` and `FOLDER/http`.

use std::{env, fs, io, path::PathBuf};

use nunet_fuzz::{Seed, seeds};

fn main() -> io::Result<()> {
    let Some(root) = env::args_os().nth(1).map(PathBuf::from) else {
        return Err(io::Error::other("usage: fuzz-seeds FOLDER"));
    };
    for (index, seed) in seeds().into_iter().enumerate() {
        let (target, bytes) = match seed {
            Seed::Transaction(bytes) => ("transaction", bytes),
            Seed::Request(bytes) => ("http", bytes),
        };
        let folder = root.join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(format!("seed-{index:02}")), bytes)?;
    }
    Ok(())
}
