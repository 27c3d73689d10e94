//! Transaction files on disk: read with a limit, written whole, never over another file.

use std::{
    fs::File,
    io::{Read, Write},
    path::Path,
};

use anyhow::{Context, ensure};
use nunet_chain::{MAX_FILE, Unsigned};

/// Reads a transaction file; nothing in it is believed that can be checked.
pub fn read(path: &Path) -> anyhow::Result<Unsigned> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes).with_context(|| format!("reading {}", path.display()))?;
    Unsigned::from_bytes(&bytes).with_context(|| path.display().to_string())
}

/// An error when the file is there already.
pub fn check_free(path: &Path) -> anyhow::Result<()> {
    ensure!(path.symlink_metadata().is_err(), "{} is there already: choose another --out", path.display());
    Ok(())
}

/// Writes a transaction file under a new name.
pub fn write(path: &Path, unsigned: &Unsigned) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let writing = || format!("writing {}", path.display());
    let mut temporary = tempfile::Builder::new().prefix(".nunet-tx-").tempfile_in(folder).with_context(writing)?;
    temporary.write_all(&unsigned.to_bytes()).with_context(writing)?;
    temporary.as_file().sync_all().with_context(writing)?;
    temporary.persist_noclobber(path).map_err(|failed| failed.error).with_context(writing)?;
    Ok(())
}
