//! Which mutants a project has.
//!
//! Mutants are edits of the text, at places that Aiken's own parser gives. Whether one has the right types, the compiler
//! says later: to try is cheap, and the ones that do not compile are counted apart.

mod expression;
mod pattern;
mod text;
mod unchecked;

use std::{collections::HashSet, ops::Range};

use aiken_lang::{
    ast::{Annotation, Definition, UntypedDefinition, UntypedFunction, UntypedModule},
    expr::UntypedExpr,
};
pub(crate) use text::Text;

use crate::{
    Error,
    mutant::{self, Mutant},
    source::{Source, Sources},
};

/// All mutants of the project's modules but those for tests, in the order of their places.
pub fn derive(sources: &Sources) -> Result<Vec<Mutant>, Error> {
    let mut mutants = Vec::new();
    for source in sources.modules.iter().filter(|source| !source.is_for_tests()) {
        let module = parse(source)?;
        let mut deriver = Deriver::new(source)?;
        for definition in module.definitions() {
            deriver.definition(definition);
        }
        mutants.append(&mut deriver.mutants);
    }
    let mut calls = unchecked::calls(sources, &mutants)?;
    mutants.append(&mut calls);
    mutants.sort_by(|one, other| (&one.file, one.line).cmp(&(&other.file, other.line)));
    mutant::number(&mut mutants);
    Ok(mutants)
}

/// Parses a module.
pub(crate) fn parse(source: &Source) -> Result<UntypedModule, Error> {
    match aiken_lang::parser::module(&source.code, source.kind) {
        Ok((module, _)) => Ok(module),
        Err(errors) => {
            Err(Error::Compile { path: source.path.display().to_string(), error: format!("{:?}", errors.first()) })
        }
    }
}

/// The functions of a definition, each with the name that is shown: a validator has one for each of its handlers.
pub(crate) fn functions(definition: &UntypedDefinition) -> Vec<(String, &UntypedFunction)> {
    match definition {
        Definition::Fn(function) => vec![(function.name.clone(), function)],
        Definition::Validator(validator) => validator
            .handlers
            .iter()
            .chain(std::iter::once(&validator.fallback))
            .map(|handler| (format!("{}.{}", validator.name, handler.name), handler))
            .collect(),
        _ => Vec::new(),
    }
}

/// The names of a module's constants.
pub(crate) fn constants(source: &Source) -> Result<Vec<String>, Error> {
    let module = parse(source)?;
    let constants = module.definitions().filter_map(|definition| match definition {
        Definition::ModuleConstant(constant) => Some(constant.name.clone()),
        _ => None,
    });
    Ok(constants.collect())
}

/// What a mutant that leaves out a whole check is called.
const NO_CHECK: &str = "does not check";

/// Derives the mutants of one module.
struct Deriver<'a> {
    source: &'a Source,
    text: Text<'a>,
    /// The function whose body is being looked at.
    function: String,
    mutants: Vec<Mutant>,
    /// The edits so far: several rules may come to the same one.
    seen: HashSet<(Range<usize>, String)>,
}

impl<'a> Deriver<'a> {
    fn new(source: &'a Source) -> Result<Self, Error> {
        let text = Text::new(source)?;
        Ok(Self { source, text, function: String::new(), mutants: Vec::new(), seen: HashSet::new() })
    }

    fn definition(&mut self, definition: &UntypedDefinition) {
        for (name, function) in functions(definition) {
            // The handler that a validator has when it names none is nowhere in the text.
            if function.end_position > function.location.end {
                self.function = name;
                self.body(function);
            }
        }
        if let Definition::ModuleConstant(constant) = definition {
            self.function = constant.name.clone();
            self.expression(&constant.value);
        }
    }

    fn body(&mut self, function: &UntypedFunction) {
        let says = matches!(&function.return_annotation, Some(Annotation::Constructor { name, .. }) if name == "Bool");
        if says {
            self.outcome(&function.body, "answers without looking");
        }
        self.expression(&function.body);
    }

    /// Replaces an expression that decides by what it may come to.
    fn outcome(&mut self, decision: &UntypedExpr, change: &'static str) {
        for answer in ["True", "False"] {
            self.replace(decision, change, answer.to_owned());
        }
    }

    /// Replaces an expression.
    fn replace(&mut self, expression: &UntypedExpr, change: &'static str, text: String) {
        self.edit(change, self.text.extent(expression), text);
    }

    /// Replaces a piece of the text.
    fn edit(&mut self, change: &'static str, range: Range<usize>, text: String) {
        if self.text.code[range.clone()] != text && self.seen.insert((range.clone(), text.clone())) {
            self.mutants.push(Mutant::new(self.source, &self.function, change, range, text));
        }
    }
}
