//! One small flaw in one place.

use std::{ops::Range, path::PathBuf};

use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};

use crate::source::{Source, Sources};

/// The longest that a piece of source is shown; of a longer one, both ends are.
const MOST_SHOWN: usize = 200;

/// The text of a module with another text at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The name of the module.
    pub module: String,
    /// The bytes that are replaced.
    pub range: Range<usize>,
    /// What stands there instead.
    pub text: String,
}

/// The project with one flaw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutant {
    /// The file of the flaw, from the project's folder.
    pub file: PathBuf,
    /// The function, validator handler or constant.
    pub function: String,
    /// The line where the flaw begins, from 1.
    pub line: usize,
    /// What kind of flaw it is, in a few words.
    pub change: &'static str,
    /// The lines in question as they are, with single spaces.
    pub original: String,
    /// The same lines with the flaw.
    pub mutated: String,
    /// Which of the mutants it is that have file, function, original and mutated in common, from 1.
    pub place: usize,
    /// What is edited: the flaw first.
    pub edits: Vec<Edit>,
}

impl Mutant {
    /// The mutant of one edit in a function of a module.
    pub fn new(source: &Source, function: &str, change: &'static str, range: Range<usize>, text: String) -> Self {
        let (original, mutated) = shown(&source.code, &range, &text);
        Self {
            file: source.path.clone(),
            function: function.to_owned(),
            line: source.code[..range.start].matches('\n').count() + 1,
            change,
            original,
            mutated,
            place: 1,
            edits: vec![Edit { module: source.name.clone(), range, text }],
        }
    }

    /// The modules that the mutant changes, with their mutated text, in the order of their edits.
    pub fn changed(&self, sources: &Sources) -> Vec<Source> {
        let mut changed: Vec<Source> = Vec::new();
        let mut edits: Vec<&Edit> = self.edits.iter().collect();
        // From the back, so that what an edit moves comes behind all that is left to do.
        edits.sort_by_key(|edit| std::cmp::Reverse(edit.range.start));
        for edit in edits {
            if !changed.iter().any(|module| module.name == edit.module) {
                changed.extend(sources.module(&edit.module).cloned());
            }
            if let Some(module) = changed.iter_mut().find(|module| module.name == edit.module) {
                module.code.replace_range(edit.range.clone(), &edit.text);
            }
        }
        changed
    }

    /// What tells a mutant from the others of its function, and does not change when lines move.
    pub fn key(&self) -> (&std::path::Path, &str, &str, &str) {
        (&self.file, &self.function, &self.original, &self.mutated)
    }
}

/// Numbers the mutants that have the same key.
pub fn number(mutants: &mut [Mutant]) {
    let mut seen = std::collections::HashMap::new();
    for mutant in mutants {
        let (file, function, original, mutated) = mutant.key();
        let key = (file.to_owned(), function.to_owned(), original.to_owned(), mutated.to_owned());
        let count = seen.entry(key).or_insert(0);
        *count += 1;
        mutant.place = *count;
    }
}

/// So many of the mutants, drawn at random, in the order that they have.
pub fn sample(mutants: Vec<Mutant>, count: usize, seed: u64) -> Vec<Mutant> {
    let mut numbered: Vec<(usize, Mutant)> = mutants.into_iter().enumerate().collect();
    numbered.shuffle(&mut StdRng::seed_from_u64(seed));
    numbered.truncate(count);
    numbered.sort_by_key(|(at, _)| *at);
    numbered.into_iter().map(|(_, mutant)| mutant).collect()
}

/// The lines around a range, before and after it is replaced, on one line each.
fn shown(code: &str, range: &Range<usize>, text: &str) -> (String, String) {
    let start = code[..range.start].rfind('\n').map_or(0, |newline| newline + 1);
    let end = code[range.end..].find('\n').map_or(code.len(), |newline| range.end + newline);
    let mutated = format!("{}{text}{}", &code[start..range.start], &code[range.end..end]);
    (on_one_line(&code[start..end]), on_one_line(&mutated))
}

/// A text with single spaces, cut in the middle when it is long.
fn on_one_line(text: &str) -> String {
    let code: Vec<&str> = text.lines().map(|line| line.split("//").next().unwrap_or(line)).collect();
    let words: Vec<&str> = code.iter().flat_map(|line| line.split_whitespace()).collect();
    let line = words.join(" ");
    let characters: Vec<char> = line.chars().collect();
    if characters.len() <= MOST_SHOWN {
        return line;
    }
    let half = MOST_SHOWN / 2;
    let front: String = characters[..half].iter().collect();
    let back: String = characters[characters.len() - half..].iter().collect();
    format!("{front} … {back}")
}
