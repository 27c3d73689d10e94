//! Where in the text an expression is.
//!
//! The parser's places leave out the parentheses around an expression, so that a piece of text between two places may
//! hold only one of a pair. Here pieces are made whole.

use std::ops::Range;

use aiken_lang::{
    ast::Span,
    expr::UntypedExpr,
    parser::{lexer, token::Token},
};

use crate::{Error, source::Source};

/// A module's text, with its tokens.
pub(crate) struct Text<'a> {
    pub(super) code: &'a str,
    tokens: Vec<(Token, Span)>,
}

impl<'a> Text<'a> {
    pub(crate) fn new(source: &'a Source) -> Result<Self, Error> {
        match lexer::run(&source.code) {
            Ok(lexed) => Ok(Self { code: &source.code, tokens: lexed.tokens }),
            Err(errors) => {
                Err(Error::Compile { path: source.path.display().to_string(), error: format!("{:?}", errors.first()) })
            }
        }
    }

    /// The text at a place.
    pub(super) fn at(&self, range: Range<usize>) -> String {
        self.code[range].to_owned()
    }

    /// The text of an expression.
    pub(super) fn of(&self, expression: &UntypedExpr) -> String {
        self.at(self.extent(expression))
    }

    /// From where to where an expression is.
    pub(super) fn extent(&self, expression: &UntypedExpr) -> Range<usize> {
        self.whole(start(expression)..expression.location().end)
    }

    /// The place of the operator between two expressions.
    pub(super) fn operator(&self, left: &UntypedExpr, right: &UntypedExpr) -> Option<Range<usize>> {
        let between = left.location().end..start(right);
        self.tokens
            .iter()
            .filter(|(_, span)| between.start <= span.start && span.end <= between.end)
            .find(|(token, _)| !opens(token) && !closes(token) && *token != Token::NewLine)
            .map(|(_, span)| span.start..span.end)
    }

    /// The place of the first brace in a piece of text.
    pub(crate) fn brace(&self, range: Range<usize>) -> Option<Range<usize>> {
        let mut tokens = self.tokens.iter().filter(|(_, span)| range.start <= span.start && span.end <= range.end);
        tokens.find(|(token, _)| *token == Token::LeftBrace).map(|(_, span)| span.start..span.end)
    }

    /// The calls of a function in a piece of text: what stands before the dot, when there is one, and where the name is.
    pub(super) fn calls(&self, range: Range<usize>, function: &str) -> Vec<(Option<&str>, Range<usize>)> {
        let mut calls = Vec::new();
        for (at, (token, span)) in self.tokens.iter().enumerate() {
            let named = matches!(token, Token::Name { name } if name == function);
            let called = self.tokens.get(at + 1).is_some_and(|(next, _)| *next == Token::LeftParen);
            if !named || !called || span.start < range.start || range.end < span.end {
                continue;
            }
            let before = |back: usize| at.checked_sub(back).and_then(|at| self.tokens.get(at)).map(|(token, _)| token);
            let qualifier = match (before(2), before(1)) {
                (Some(Token::Name { name }), Some(Token::Dot)) => Some(name.as_str()),
                _ => None,
            };
            calls.push((qualifier, span.start..span.end));
        }
        calls
    }

    /// A piece of text with the parentheses whose partner is in it.
    fn whole(&self, range: Range<usize>) -> Range<usize> {
        let (mut open, mut closed) = (0usize, 0usize);
        for (token, span) in &self.tokens {
            if span.start < range.start || range.end < span.end {
                continue;
            }
            if opens(token) {
                open += 1;
            } else if closes(token) {
                if open > 0 {
                    open -= 1;
                } else {
                    closed += 1;
                }
            }
        }
        let before = self.tokens.iter().rev().filter(|(_, span)| span.end <= range.start);
        let start = before.take(closed).take_while(|(token, _)| opens(token)).map(|(_, span)| span.start).last();
        let after = self.tokens.iter().filter(|(_, span)| range.end <= span.start);
        let end = after.take(open).take_while(|(token, _)| closes(token)).map(|(_, span)| span.end).last();
        start.unwrap_or(range.start)..end.unwrap_or(range.end)
    }
}

fn opens(token: &Token) -> bool {
    matches!(token, Token::LeftParen | Token::NewLineLeftParen)
}

fn closes(token: &Token) -> bool {
    *token == Token::RightParen
}

/// Where an expression begins.
fn start(expression: &UntypedExpr) -> usize {
    match expression {
        UntypedExpr::BinOp { left, .. } => start(left).min(expression.location().start),
        UntypedExpr::Call { fun, .. } => start(fun).min(expression.location().start),
        UntypedExpr::FieldAccess { container, .. } => start(container).min(expression.location().start),
        UntypedExpr::TupleIndex { tuple, .. } => start(tuple).min(expression.location().start),
        _ => expression.start_byte_index(),
    }
}
