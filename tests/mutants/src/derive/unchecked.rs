//! Calls of a function that leaves out one of its checks, for one caller only.
//!
//! A check in a function that several ways share is missed as soon as one of them is tested without it. Here each caller
//! gets a copy of the function without the check, while the others keep it: each way must have its own test.

use aiken_lang::ast::{Definition, UntypedModule};

use super::{NO_CHECK, Text, functions, parse};
use crate::{
    Error,
    mutant::{Edit, Mutant},
    source::{Source, Sources},
};

/// A call of a function.
struct Call<'a> {
    source: &'a Source,
    caller: String,
    /// Where the name of the function stands.
    name: std::ops::Range<usize>,
}

/// For each mutant that leaves out a check of a function with several callers: one mutant for each of them.
pub(super) fn calls(sources: &Sources, mutants: &[Mutant]) -> Result<Vec<Mutant>, Error> {
    let mut modules = Vec::new();
    for source in sources.modules.iter().filter(|source| !source.is_for_tests()) {
        modules.push((source, parse(source)?, Text::new(source)?));
    }
    let mut unchecked = Vec::new();
    for mutant in mutants.iter().filter(|mutant| mutant.change == NO_CHECK) {
        let Some(edit) = mutant.edits.first() else { continue };
        let Some((source, module, _)) = modules.iter().find(|(source, ..)| source.name == edit.module) else {
            continue;
        };
        let Some(copy) = copy(source, module, mutant, edit) else { continue };
        let callers = callers(&modules, source, &mutant.function);
        if callers.len() < 2 {
            continue;
        }
        let check = source.code[edit.range.clone()].split_whitespace().collect::<Vec<_>>().join(" ");
        for call in callers {
            let name = renamed(&mutant.function);
            let mut caller = Mutant::new(call.source, &call.caller, "calls without a check", call.name, name);
            caller.mutated = format!("{} without `{check}`", caller.mutated);
            let end = source.code.len();
            caller.edits.push(Edit { module: source.name.clone(), range: end..end, text: copy.clone() });
            unchecked.push(caller);
        }
    }
    Ok(unchecked)
}

fn renamed(function: &str) -> String {
    format!("{function}_unchecked")
}

/// The text of a function under its new name, without what the mutant leaves out.
fn copy(source: &Source, module: &UntypedModule, mutant: &Mutant, edit: &Edit) -> Option<String> {
    let function = module.definitions().find_map(|definition| match definition {
        Definition::Fn(function) if function.name == mutant.function => Some(function),
        _ => None,
    })?;
    let end = function.end_position + 1;
    let body = format!(
        "{}{}{}",
        source.code.get(function.location.end..edit.range.start)?,
        edit.text,
        source.code.get(edit.range.end..end)?
    );
    let head = source.code.get(function.location.start..function.location.end)?;
    let head = head.replacen(&format!("fn {}(", function.name), &format!("fn {}(", renamed(&function.name)), 1);
    let public = if function.public { "" } else { "pub " };
    Some(format!("\n{public}{head}{body}\n"))
}

/// Where others than itself call a function.
fn callers<'a>(modules: &[(&'a Source, UntypedModule, Text<'a>)], of: &Source, function: &str) -> Vec<Call<'a>> {
    let mut calls = Vec::new();
    for (source, module, text) in modules {
        let own = source.name == of.name;
        let alias = alias(module, &of.name);
        for (caller, body) in module.definitions().flat_map(functions) {
            if own && caller == function {
                continue;
            }
            for (qualifier, name) in text.calls(body.location.end..body.end_position, function) {
                let same = if own { qualifier.is_none() } else { qualifier.is_some() && qualifier == alias.as_deref() };
                if same {
                    calls.push(Call { source, caller: caller.clone(), name });
                }
            }
        }
    }
    calls
}

/// By which name a module knows another.
fn alias(module: &UntypedModule, other: &str) -> Option<String> {
    module.definitions().find_map(|definition| match definition {
        Definition::Use(import) if import.module.join("/") == other => {
            import.as_name.clone().or_else(|| import.module.last().cloned())
        }
        _ => None,
    })
}
