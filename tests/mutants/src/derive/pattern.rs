//! Patterns that accept more, or something else.

use aiken_lang::{
    ast::{CallArg, Pattern, UntypedPattern},
    expr::UntypedExpr,
};

use super::Deriver;

impl Deriver<'_> {
    /// A pattern that something is expected to have.
    pub(super) fn expected_pattern(&mut self, pattern: &UntypedPattern) {
        match pattern {
            Pattern::List { location, elements, tail } => {
                if tail.is_none() && !elements.is_empty() {
                    let end = elements.last().map_or(location.start, |last| last.location().end);
                    self.edit("accepts a longer list", end..end, ", ..".to_owned());
                }
                elements.iter().chain(tail.as_deref()).for_each(|element| self.expected_pattern(element));
            }
            Pattern::Int { location, value, .. } => {
                self.edit("accepts any number", location.start..location.end, "_".to_owned());
                if let Ok(number) = value.parse::<u128>() {
                    self.edit("expects the next number", location.start..location.end, (number + 1).to_string());
                }
            }
            Pattern::ByteArray { location, .. } => {
                self.edit("accepts any bytes", location.start..location.end, "_".to_owned());
            }
            Pattern::Constructor { arguments, .. } => {
                arguments.iter().for_each(|argument| self.expected_pattern(&argument.value));
            }
            Pattern::Pair { fst, snd, .. } => {
                self.expected_pattern(fst);
                self.expected_pattern(snd);
            }
            Pattern::Tuple { elems, .. } => elems.iter().for_each(|element| self.expected_pattern(element)),
            Pattern::Assign { pattern, .. } => self.expected_pattern(pattern),
            Pattern::Var { .. } | Pattern::Discard { .. } => {}
        }
    }

    /// A pattern that names parts: neighbours are exchanged.
    pub(super) fn named_parts(&mut self, pattern: &UntypedPattern) {
        match pattern {
            Pattern::List { elements, tail, .. } => {
                self.exchange_patterns(elements);
                elements.iter().chain(tail.as_deref()).for_each(|element| self.named_parts(element));
            }
            Pattern::Tuple { elems, .. } => {
                self.exchange_patterns(elems);
                elems.iter().for_each(|element| self.named_parts(element));
            }
            Pattern::Constructor { arguments, is_record, .. } => {
                if !is_record {
                    let values: Vec<UntypedPattern> = arguments.iter().map(|argument| argument.value.clone()).collect();
                    self.exchange_patterns(&values);
                }
                arguments.iter().for_each(|argument| self.named_parts(&argument.value));
            }
            Pattern::Pair { fst, snd, .. } => {
                self.exchange_patterns(&[(**fst).clone(), (**snd).clone()]);
                self.named_parts(fst);
                self.named_parts(snd);
            }
            Pattern::Assign { pattern, .. } => self.named_parts(pattern),
            Pattern::Int { .. } | Pattern::ByteArray { .. } | Pattern::Var { .. } | Pattern::Discard { .. } => {}
        }
    }

    /// A constructor that is expected, and names its one part: another constructor with one part is accepted too.
    pub(super) fn sibling(&mut self, pattern: &UntypedPattern, value: &UntypedExpr) {
        let Pattern::Constructor { name, arguments, .. } = pattern else { return };
        let [CallArg { value: Pattern::Var { name: part, .. }, .. }] = arguments.as_slice() else { return };
        let Some((_, sibling)) = SIBLINGS.iter().find(|(one, _)| one == name) else { return };
        let start = pattern.location().start;
        let value = self.text.extent(value);
        let text = format!(
            "{part} = when {} is {{ {name}({part}) -> {part} {sibling}({part}) -> {part} }}",
            self.text.at(value.clone())
        );
        let Some(keyword) = self.text.code[..start].rfind("expect") else { return };
        self.edit("accepts another constructor", keyword..value.end, format!("let {text}"));
    }

    fn exchange_patterns(&mut self, patterns: &[UntypedPattern]) {
        for pair in patterns.windows(2) {
            let [one, other] = pair else { continue };
            if matches!((one, other), (Pattern::Discard { .. }, Pattern::Discard { .. })) {
                continue;
            }
            let (one, other) = (one.location(), other.location());
            let between = self.text.at(one.end..other.start);
            let text = format!("{}{between}{}", self.text.at(other.start..other.end), self.text.at(one.start..one.end));
            self.edit("exchanges two parts", one.start..other.end, text);
        }
    }
}

/// Whether a pattern names something that what follows may use.
pub(super) fn names_something(pattern: &UntypedPattern) -> bool {
    let mut names = false;
    pattern.collect_identifiers(&mut |_| names = true);
    names
}

/// Constructors of a type that has no others, whose one part has the same type.
const SIBLINGS: [(&str, &str); 2] = [("Script", "Key"), ("Key", "Script")];
