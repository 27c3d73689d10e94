//! Refusals: the answer of a node that does not do what it was asked, with a code for programs and a text for people.

use std::fmt;

use minicbor::{Decode, Encode};

/// Why a node refused a request. The number is what travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalCode {
    /// 1: the bytes are not a message of the protocol.
    Malformed,
    /// 2: the request is longer than the protocol allows.
    TooLarge,
    /// 3: too much is under way already; ask again later.
    Busy,
    /// 4: this peer asks too often; ask again later, and less.
    RateLimited,
    /// 5: there is no such thing here.
    NotFound,
    /// 6: the request was understood, and the answer is no.
    Rejected,
    /// 7: something went wrong on the refusing side.
    Failed,
    /// 8: the refusing side did not finish in time.
    TimedOut,
    /// A code of a later version.
    Other(u16),
}

impl RefusalCode {
    const fn number(self) -> u16 {
        match self {
            Self::Malformed => 1,
            Self::TooLarge => 2,
            Self::Busy => 3,
            Self::RateLimited => 4,
            Self::NotFound => 5,
            Self::Rejected => 6,
            Self::Failed => 7,
            Self::TimedOut => 8,
            Self::Other(number) => number,
        }
    }

    const fn from_number(number: u16) -> Self {
        match number {
            1 => Self::Malformed,
            2 => Self::TooLarge,
            3 => Self::Busy,
            4 => Self::RateLimited,
            5 => Self::NotFound,
            6 => Self::Rejected,
            7 => Self::Failed,
            8 => Self::TimedOut,
            other => Self::Other(other),
        }
    }
}

/// A refusal: a code and a text of at most [`MAX_TEXT`](Refusal::MAX_TEXT) bytes without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    code: RefusalCode,
    text: String,
}

impl Refusal {
    /// The longest text, in bytes of UTF-8; a longer one is cut.
    pub const MAX_TEXT: usize = 512;
    /// The longest encoding: array head, 16-bit code, text head and text.
    pub(crate) const MAX_ENCODED: usize = 1 + 3 + 3 + Self::MAX_TEXT;

    /// A refusal with any code.
    ///
    /// The text may come from a stranger and end in a terminal: control characters become `U+FFFD`, and what does not
    /// fit is cut between characters.
    #[must_use]
    pub fn new(code: RefusalCode, text: impl AsRef<str>) -> Self {
        let mut clean = String::new();
        for character in text.as_ref().chars() {
            let character = if character.is_control() { char::REPLACEMENT_CHARACTER } else { character };
            if clean.len() + character.len_utf8() > Self::MAX_TEXT {
                break;
            }
            clean.push(character);
        }
        Self { code, text: clean }
    }

    /// "No": the request was understood and is turned down for this reason, a text or an error.
    #[must_use]
    pub fn rejected(reason: impl fmt::Display) -> Self {
        Self::new(RefusalCode::Rejected, reason.to_string())
    }

    /// "There is no such thing here."
    #[must_use]
    pub fn not_found(text: impl AsRef<str>) -> Self {
        Self::new(RefusalCode::NotFound, text)
    }

    /// "Ask again later."
    #[must_use]
    pub fn busy(text: impl AsRef<str>) -> Self {
        Self::new(RefusalCode::Busy, text)
    }

    /// "Something went wrong here"; what exactly belongs into the log, not to a stranger.
    #[must_use]
    pub fn failed(text: impl AsRef<str>) -> Self {
        Self::new(RefusalCode::Failed, text)
    }

    /// "Malformed …": the bytes are not a message of the protocol.
    pub(crate) fn malformed(what: impl fmt::Display) -> Self {
        Self::new(RefusalCode::Malformed, format!("malformed {what}"))
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> RefusalCode {
        self.code
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// On the wire a refusal is the CBOR array `[code, text]`.
impl<C> Encode<C> for Refusal {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(2)?.u16(self.code.number())?.str(&self.text)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Refusal {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        if d.array()? != Some(2) {
            return Err(minicbor::decode::Error::message("a refusal is an array of two"));
        }
        let code = RefusalCode::from_number(d.u16()?);
        Ok(Self::new(code, d.str()?))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_stranger_cannot_write_escape_sequences_into_our_terminal() {
        let sent = minicbor::to_vec((6u16, "no\u{1b}[2J\nfriend")).unwrap();
        let refusal: Refusal = minicbor::decode(&sent).unwrap();
        assert_eq!(refusal.code(), RefusalCode::Rejected);
        assert_eq!(refusal.text(), "no\u{fffd}[2J\u{fffd}friend");
    }

    proptest! {
        #[test]
        fn a_refusal_survives_the_wire_and_stays_small(code: u16, text in ".{0,700}") {
            let refusal = Refusal::new(RefusalCode::from_number(code), &text);
            prop_assert!(refusal.text().len() <= Refusal::MAX_TEXT);
            let bytes = minicbor::to_vec(&refusal).unwrap();
            prop_assert!(bytes.len() <= Refusal::MAX_ENCODED);
            prop_assert_eq!(minicbor::decode::<Refusal>(&bytes).unwrap(), refusal);
        }
    }
}
