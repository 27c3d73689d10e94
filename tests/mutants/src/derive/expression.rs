//! What can go wrong in an expression.

use aiken_lang::{
    ast::{AssignmentPattern, BinOp, CallArg, LogicalOpChainKind, Pattern, UnOp, UntypedClause},
    expr::UntypedExpr,
};

use super::{Deriver, NO_CHECK, pattern::names_something};

/// Functions that do not care which argument comes first.
const COMMUTATIVE: [&str; 2] = ["min", "max"];

/// Functions that make data of what is data for the chain anyhow.
const TO_DATA: [&str; 4] = ["b_data", "i_data", "list_data", "map_data"];

/// Names that somebody could mistake for each other.
const CONFUSED: [(&str, &str); 18] = [
    ("agreement", "committee"),
    ("bond", "withheld"),
    ("carry", "deposit"),
    ("committee_policy", "ntx_policy"),
    ("end", "paid_until"),
    ("fee", "price"),
    ("from", "to"),
    ("Key", "Script"),
    ("lessee", "lessor"),
    ("Lessee", "Lessor"),
    ("lower", "upper"),
    ("lovelace", "ntx"),
    ("max", "min"),
    ("notice", "window"),
    ("paid", "slashed"),
    ("provider", "requester"),
    ("rate", "fee"),
    ("to_lessee", "to_lessor"),
];

impl Deriver<'_> {
    /// An expression, and all that is in it.
    pub(super) fn expression(&mut self, expression: &UntypedExpr) {
        match expression {
            UntypedExpr::UInt { value, .. } => self.number(expression, value),
            UntypedExpr::ByteArray { .. } => self.bytes(expression),
            UntypedExpr::Var { name, location } => self.confuse(name, location.end),
            UntypedExpr::FieldAccess { label, container, location } => {
                self.confuse(label, location.end);
                self.expression(container);
            }
            UntypedExpr::TupleIndex { index, tuple, location } => {
                let (ordinal, other) = if *index == 0 { ("1st", "2nd") } else { ("2nd", "1st") };
                if self.text.code[..location.end].ends_with(ordinal) {
                    let range = location.end - ordinal.len()..location.end;
                    self.edit("takes the other of a pair", range, other.to_owned());
                }
                self.expression(tuple);
            }
            UntypedExpr::Sequence { expressions, .. } => self.sequence(expressions),
            UntypedExpr::Fn { body, .. } => self.expression(body),
            UntypedExpr::List { elements, tail, .. } => self.list(expression, elements, tail.as_deref()),
            UntypedExpr::Call { fun, arguments, .. } => {
                self.call(expression, fun, arguments, true);
            }
            UntypedExpr::PipeLine { expressions, .. } => self.pipeline(expressions),
            UntypedExpr::BinOp { name, left, right, .. } => self.operation(expression, *name, left, right),
            UntypedExpr::UnOp { op, value, .. } => {
                let change = match op {
                    UnOp::Not => "does not negate",
                    UnOp::Negate => "drops a sign",
                };
                self.replace(expression, change, self.text.of(value));
                self.expression(value);
            }
            UntypedExpr::LogicalOpChain { kind, expressions, .. } => {
                let without = match kind {
                    LogicalOpChainKind::And => "True",
                    LogicalOpChainKind::Or => "False",
                };
                for condition in expressions {
                    self.replace(condition, "leaves out a condition", without.to_owned());
                    self.condition(condition);
                }
            }
            UntypedExpr::Assignment { .. } => self.assignment(expression),
            UntypedExpr::When { subject, clauses, .. } => {
                self.expression(subject);
                clauses.iter().for_each(|clause| self.clause(clause));
            }
            UntypedExpr::If { branches, final_else, .. } => {
                for branch in branches.iter() {
                    self.outcome(&branch.condition, "takes one branch always");
                    self.condition(&branch.condition);
                    self.expression(&branch.body);
                }
                self.expression(final_else);
            }
            UntypedExpr::Tuple { elems, .. } => {
                self.exchange(&elems.iter().collect::<Vec<_>>());
                elems.iter().for_each(|element| self.expression(element));
            }
            UntypedExpr::Pair { fst, snd, .. } => {
                self.exchange(&[fst, snd]);
                self.expression(fst);
                self.expression(snd);
            }
            UntypedExpr::RecordUpdate { .. } => self.update(expression),
            UntypedExpr::TraceIfFalse { value, .. } => self.expression(value),
            UntypedExpr::Trace { .. }
            | UntypedExpr::String { .. }
            | UntypedExpr::Value { .. }
            | UntypedExpr::CurvePoint { .. }
            | UntypedExpr::ErrorTerm { .. } => {}
        }
    }

    /// An expression that decides.
    fn condition(&mut self, condition: &UntypedExpr) {
        let negated_otherwise = matches!(
            condition,
            UntypedExpr::BinOp { .. }
                | UntypedExpr::UnOp { .. }
                | UntypedExpr::LogicalOpChain { .. }
                | UntypedExpr::Sequence { .. }
        );
        if !negated_otherwise {
            self.replace(condition, "negates a condition", format!("!({})", self.text.of(condition)));
        }
        self.expression(condition);
    }

    fn number(&mut self, expression: &UntypedExpr, value: &str) {
        if let Ok(value) = value.replace('_', "").parse::<i128>() {
            for other in [value + 1, value - 1] {
                self.replace(expression, "is off by one", other.to_string());
            }
        }
    }

    /// Bytes in quotes: a domain tag, or a constant in hexadecimal. The last character is another.
    fn bytes(&mut self, expression: &UntypedExpr) {
        let text = self.text.of(expression);
        let Some(inside) = text.strip_suffix('"') else { return };
        let other = match inside.chars().last() {
            Some('"') | None => format!("{inside}x\""),
            Some(last) => {
                let kept = inside.strip_suffix(last).unwrap_or(inside);
                format!("{kept}{}\"", if last == '1' { '2' } else { '1' })
            }
        };
        self.replace(expression, "has other bytes", other);
    }

    /// The name that ends at a place, mistaken for another.
    fn confuse(&mut self, name: &str, end: usize) {
        let Some(start) = end.checked_sub(name.len()) else { return };
        if self.text.code.get(start..end) != Some(name) {
            return;
        }
        for (one, other) in CONFUSED {
            if name == one {
                self.edit("confuses two names", start..end, other.to_owned());
            } else if name == other {
                self.edit("confuses two names", start..end, one.to_owned());
            }
        }
    }

    fn sequence(&mut self, expressions: &[UntypedExpr]) {
        for expression in expressions {
            self.expression(expression);
        }
    }

    fn list(&mut self, whole: &UntypedExpr, elements: &[UntypedExpr], tail: Option<&UntypedExpr>) {
        let texts: Vec<String> = elements.iter().map(|element| self.text.of(element)).collect();
        let tail_text = tail.map(|tail| self.text.of(tail));
        for dropped in 0..texts.len() {
            let kept: Vec<&str> =
                texts.iter().enumerate().filter(|(at, _)| *at != dropped).map(|(_, text)| text.as_str()).collect();
            let text = match (&tail_text, kept.is_empty()) {
                (None, _) => format!("[{}]", kept.join(", ")),
                (Some(tail), true) => tail.clone(),
                (Some(tail), false) => format!("[{}, ..{tail}]", kept.join(", ")),
            };
            self.replace(whole, "leaves out an item", text);
        }
        if tail_text.is_some() {
            self.replace(whole, "leaves out the rest", format!("[{}]", texts.join(", ")));
        }
        self.exchange(&elements.iter().collect::<Vec<_>>());
        elements.iter().chain(tail).for_each(|element| self.expression(element));
    }

    /// A call. `whole` says whether nothing is piped into it, so that an argument could stand for all of it.
    fn call(&mut self, expression: &UntypedExpr, fun: &UntypedExpr, arguments: &[CallArg<UntypedExpr>], whole: bool) {
        let name = match fun {
            UntypedExpr::Var { name, .. } => name.as_str(),
            UntypedExpr::FieldAccess { label, .. } => label.as_str(),
            _ => "",
        };
        let constructs = name.starts_with(|first: char| first.is_uppercase());
        let plain: Vec<&UntypedExpr> = arguments
            .iter()
            .filter(|argument| argument.label.is_none() && !argument.is_capture_hole())
            .map(|argument| &argument.value)
            .collect();
        if whole && !constructs && !TO_DATA.contains(&name) && plain.len() == arguments.len() {
            for argument in &plain {
                if !matches!(argument, UntypedExpr::Fn { .. }) {
                    self.replace(expression, "does not call", self.text.of(argument));
                }
            }
        }
        if plain.len() == arguments.len() && !COMMUTATIVE.contains(&name) {
            self.exchange(&plain);
        }
        self.expression(fun);
        arguments.iter().for_each(|argument| self.expression(&argument.value));
    }

    fn pipeline(&mut self, stages: &[UntypedExpr]) {
        for pair in stages.windows(2) {
            let [before, stage] = pair else { continue };
            let range = self.text.extent(before).end..self.text.extent(stage).end;
            self.edit("leaves out a step", range, String::new());
        }
        for (at, stage) in stages.iter().enumerate() {
            match stage {
                UntypedExpr::Call { fun, arguments, .. } => self.call(stage, fun, arguments, at == 0),
                _ => self.expression(stage),
            }
        }
    }

    fn operation(&mut self, whole: &UntypedExpr, operator: BinOp, left: &UntypedExpr, right: &UntypedExpr) {
        let others: &[&str] = match operator {
            BinOp::Eq => &["!=", "<=", ">="],
            BinOp::NotEq => &["=="],
            BinOp::LtInt => &["<=", ">=", "=="],
            BinOp::LtEqInt => &["<", ">", "=="],
            BinOp::GtInt => &[">=", "<=", "=="],
            BinOp::GtEqInt => &[">", "<", "=="],
            BinOp::AddInt => &["-"],
            BinOp::SubInt => &["+"],
            BinOp::MultInt => &["/"],
            BinOp::DivInt | BinOp::ModInt => &["*"],
            BinOp::And => &["||"],
            BinOp::Or => &["&&"],
        };
        let compares = matches!(
            operator,
            BinOp::Eq | BinOp::NotEq | BinOp::LtInt | BinOp::LtEqInt | BinOp::GtInt | BinOp::GtEqInt
        );
        if let Some(place) = self.text.operator(left, right) {
            let change = if compares { "compares otherwise" } else { "has another operator" };
            for other in others {
                self.edit(change, place.clone(), (*other).to_owned());
            }
        }
        if compares {
            self.expression(left);
            self.expression(right);
        } else {
            let change = match operator {
                BinOp::And | BinOp::Or => "leaves out a condition",
                _ => "leaves out a term",
            };
            self.replace(whole, change, self.text.of(left));
            self.replace(whole, change, self.text.of(right));
            for side in [left, right] {
                if matches!(operator, BinOp::And | BinOp::Or) {
                    self.condition(side);
                } else {
                    self.expression(side);
                }
            }
        }
    }

    fn assignment(&mut self, whole: &UntypedExpr) {
        let UntypedExpr::Assignment { value, patterns, kind, location, .. } = whole else { return };
        let pattern = &patterns.first().pattern;
        if kind.is_expect() && pattern.location() == *location {
            // The parser gives `expect condition` the pattern `True`, at the place of the whole.
            self.replace(whole, NO_CHECK, String::new());
            self.condition(value);
            return;
        }
        for AssignmentPattern { pattern, annotation, .. } in patterns.iter() {
            if kind.is_expect() {
                if patterns.len() == 1 && !names_something(pattern) {
                    self.replace(whole, NO_CHECK, String::new());
                }
                if annotation.is_none() {
                    self.sibling(pattern, value);
                }
                self.expected_pattern(pattern);
            }
            self.named_parts(pattern);
        }
        match &**value {
            // What comes back from a function that is passed the rest is not one of its arguments.
            UntypedExpr::Call { fun, arguments, .. } if kind.is_backpassing() => {
                self.call(value, fun, arguments, false);
            }
            value => self.expression(value),
        }
    }

    fn clause(&mut self, clause: &UntypedClause) {
        for pattern in clause.patterns.iter() {
            if let Pattern::Int { value, location, .. } = pattern
                && let Ok(number) = value.parse::<u128>()
            {
                self.edit("is off by one", location.start..location.end, (number + 1).to_string());
            }
            self.named_parts(pattern);
        }
        let fails = matches!(&clause.then, UntypedExpr::Trace { .. });
        self.outcome(&clause.then, "answers without looking");
        if !fails {
            self.replace(&clause.then, "fails", "fail".to_owned());
        }
        self.expression(&clause.then);
    }

    fn update(&mut self, whole: &UntypedExpr) {
        let UntypedExpr::RecordUpdate { constructor, spread, arguments, .. } = whole else { return };
        let (name, base) = (self.text.of(constructor), self.text.of(&spread.base));
        for dropped in 0..arguments.len() {
            let kept: Vec<String> = arguments
                .iter()
                .enumerate()
                .filter(|(at, _)| *at != dropped)
                .map(|(_, argument)| self.text.at(argument.location.start..argument.location.end))
                .collect();
            let text =
                if kept.is_empty() { base.clone() } else { format!("{name} {{ ..{base}, {} }}", kept.join(", ")) };
            self.replace(whole, "leaves a field as it was", text);
        }
        for argument in arguments {
            self.expression(&argument.value);
        }
    }

    /// Exchanges neighbours.
    fn exchange(&mut self, expressions: &[&UntypedExpr]) {
        for pair in expressions.windows(2) {
            let [one, other] = pair else { continue };
            let (one, other) = (self.text.extent(one), self.text.extent(other));
            let between = self.text.at(one.end..other.start);
            let text = format!("{}{between}{}", self.text.at(other.clone()), self.text.at(one.clone()));
            self.edit("exchanges two arguments", one.start..other.end, text);
        }
    }
}
