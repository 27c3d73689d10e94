//! The survivors that are explained: mutants that change nothing which could be observed, each with the reason why.

use std::{fs, path::Path};

use serde::Deserialize;

use crate::{Error, Mutant};

/// One entry of the list.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The file, from the project's folder.
    pub file: String,
    /// The function, validator handler or constant.
    pub function: String,
    /// The lines as they are, as the tool prints them.
    pub original: String,
    /// The lines with the flaw, likewise.
    pub mutated: String,
    /// Which one it is, when several have all of this in common; from 1.
    #[serde(default = "first")]
    pub place: usize,
    /// Why no test can tell the difference.
    pub reason: String,
}

fn first() -> usize {
    1
}

impl Entry {
    fn is_about(&self, mutant: &Mutant) -> bool {
        let (file, function, original, mutated) = mutant.key();
        Path::new(&self.file) == file
            && self.function == function
            && self.original == original
            && self.mutated == mutated
            && self.place == mutant.place
    }
}

/// The list.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Explained {
    /// Its entries.
    #[serde(default, rename = "survivor")]
    pub entries: Vec<Entry>,
}

impl Explained {
    /// Reads the list.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(|error| Error::Read { path: path.display().to_string(), error })?;
        let list: Self = toml::from_str(&text).map_err(|error| Error::Explained(error.to_string()))?;
        match list.entries.iter().find(|entry| entry.reason.trim().is_empty()) {
            Some(entry) => Err(Error::Explained(format!("no reason is given for `{}`", entry.mutated))),
            None => Ok(list),
        }
    }

    /// Why a mutant may survive, when the list says so.
    pub fn reason(&self, mutant: &Mutant) -> Option<&str> {
        self.entries.iter().find(|entry| entry.is_about(mutant)).map(|entry| entry.reason.as_str())
    }

    /// The entries that are about none of these mutants.
    pub fn about_none<'a>(&'a self, mutants: &[&Mutant]) -> Vec<&'a Entry> {
        self.entries.iter().filter(|entry| !mutants.iter().any(|mutant| entry.is_about(mutant))).collect()
    }
}
