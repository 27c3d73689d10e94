//! Reading and writing CBOR ([RFC 8949](https://www.rfc-editor.org/rfc/rfc8949)) the way the chain needs it: every
//! item's own bytes stay at hand, nothing is allocated before it is there, and depth costs heap, never stack.

mod plutus;
mod writer;

use std::ops::Range;

pub(crate) use writer::Writer;

/// Why bytes are not what a decoder expects.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at byte {at}: expected {expected}")]
pub struct CborError {
    /// Offset of the item within the bytes that were decoded.
    pub at: usize,
    /// What should stand there.
    pub expected: &'static str,
}

/// The major types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Major {
    Unsigned,
    Negative,
    Bytes,
    Text,
    Array,
    Map,
    Tag,
    Simple,
}

/// The first bytes of an item: its type, and its number or length; `None` for an indefinite length (or a break).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) major: Major,
    pub(crate) value: Option<u64>,
}

/// Marks sets (CDDL `set<a>`); optional when reading.
pub(crate) const SET_TAG: u64 = 258;
/// Marks CBOR in a byte string.
pub(crate) const ENCODED_CBOR_TAG: u64 = 24;

/// Reads items one after another.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) fn position(&self) -> usize {
        self.at
    }

    pub(crate) fn since(&self, start: usize) -> &'a [u8] {
        self.slice(start..self.at)
    }

    /// The bytes that were not read yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.slice(self.at..self.bytes.len())
    }

    fn slice(&self, range: Range<usize>) -> &'a [u8] {
        self.bytes.get(range).unwrap_or_default()
    }

    pub(crate) fn error(&self, expected: &'static str) -> CborError {
        CborError { at: self.at, expected }
    }

    /// Refuses bytes after the last item.
    pub(crate) fn end(&self) -> Result<(), CborError> {
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.error("the end")) }
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8], CborError> {
        let end = usize::try_from(count).ok().and_then(|count| self.at.checked_add(count));
        match end.and_then(|end| Some((end, self.bytes.get(self.at..end)?))) {
            Some((end, slice)) => {
                self.at = end;
                Ok(slice)
            }
            None => Err(self.error("more bytes")),
        }
    }

    /// Moves over bytes.
    pub(crate) fn skip(&mut self, count: u64) -> Result<(), CborError> {
        self.take(count).map(|_| ())
    }

    pub(crate) fn head(&mut self) -> Result<Head, CborError> {
        let start = self.at;
        let initial = self.take(1)?.first().copied().unwrap_or_default();
        let major = match initial >> 5 {
            0 => Major::Unsigned,
            1 => Major::Negative,
            2 => Major::Bytes,
            3 => Major::Text,
            4 => Major::Array,
            5 => Major::Map,
            6 => Major::Tag,
            _ => Major::Simple,
        };
        let value = match initial & 31 {
            small @ 0..=23 => Some(u64::from(small)),
            width @ 24..=27 => {
                let bytes = self.take(1 << (width - 24))?;
                Some(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
            }
            31 if !matches!(major, Major::Unsigned | Major::Negative | Major::Tag) => None,
            _ => return Err(CborError { at: start, expected: "a well-formed item" }),
        };
        Ok(Head { major, value })
    }

    /// The next item's head, without moving on.
    pub(crate) fn peek(&self) -> Result<Head, CborError> {
        self.clone().head()
    }

    fn expect(&mut self, major: Major, expected: &'static str) -> Result<Option<u64>, CborError> {
        let at = self.at;
        match self.head()? {
            head if head.major == major => Ok(head.value),
            _ => Err(CborError { at, expected }),
        }
    }

    pub(crate) fn uint(&mut self) -> Result<u64, CborError> {
        self.expect(Major::Unsigned, "an unsigned integer")?.ok_or_else(|| self.error("an unsigned integer"))
    }

    /// A signed integer of 64 bits.
    pub(crate) fn int(&mut self) -> Result<i64, CborError> {
        let error = self.error("an integer of 64 bits");
        match self.head()? {
            Head { major: Major::Unsigned, value: Some(value) } => i64::try_from(value).map_err(|_| error),
            Head { major: Major::Negative, value: Some(value) } => {
                i64::try_from(value).map(|value| -1 - value).map_err(|_| error)
            }
            _ => Err(error),
        }
    }

    pub(crate) fn boolean(&mut self) -> Result<bool, CborError> {
        let error = self.error("a boolean");
        match self.head()? {
            Head { major: Major::Simple, value: Some(20) } => Ok(false),
            Head { major: Major::Simple, value: Some(21) } => Ok(true),
            _ => Err(error),
        }
    }

    /// Moves over a null and says whether there was one.
    pub(crate) fn null(&mut self) -> bool {
        let found = self.bytes.get(self.at) == Some(&0xf6);
        self.at += usize::from(found);
        found
    }

    /// A byte string in one piece.
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], CborError> {
        let length =
            self.expect(Major::Bytes, "a byte string")?.ok_or_else(|| self.error("a byte string in one piece"))?;
        self.take(length)
    }

    /// A text in one piece.
    pub(crate) fn text_in_one_piece(&mut self) -> Result<&'a str, CborError> {
        let length = self.expect(Major::Text, "a text")?.ok_or_else(|| self.error("a text in one piece"))?;
        self.text(length)
    }

    /// A byte string of a fixed width.
    pub(crate) fn fixed<const N: usize>(&mut self, expected: &'static str) -> Result<[u8; N], CborError> {
        let error = self.error(expected);
        self.bytes()?.try_into().map_err(|_| error)
    }

    /// An array's length, `None` when it ends with a break.
    pub(crate) fn array(&mut self) -> Result<Option<u64>, CborError> {
        self.expect(Major::Array, "an array")
    }

    /// A map's number of pairs, `None` when it ends with a break.
    pub(crate) fn map(&mut self) -> Result<Option<u64>, CborError> {
        self.expect(Major::Map, "a map")
    }

    pub(crate) fn tag(&mut self) -> Result<u64, CborError> {
        self.expect(Major::Tag, "a tag")?.ok_or_else(|| self.error("a tag"))
    }

    /// The start of a set: an array, with or without the set tag.
    pub(crate) fn set(&mut self) -> Result<Option<u64>, CborError> {
        if self.peek()?.major == Major::Tag && self.tag()? != SET_TAG {
            return Err(self.error("a set (tag 258)"));
        }
        self.array()
    }

    /// Whether a container of the given length has another item after `done`; moves over the break at its end.
    pub(crate) fn more(&mut self, length: Option<u64>, done: u64) -> bool {
        match length {
            Some(length) => done < length,
            None if self.bytes.get(self.at) == Some(&0xff) => {
                self.at += 1;
                false
            }
            None => true,
        }
    }

    /// Reads every item of an array whose head was read.
    pub(crate) fn items<T>(
        &mut self,
        length: Option<u64>,
        mut item: impl FnMut(&mut Self) -> Result<T, CborError>,
    ) -> Result<Vec<T>, CborError> {
        let mut items = Vec::new();
        while self.more(length, items.len() as u64) {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// Reads the closing break of a container with `expected` items, or checks that its length is that number.
    pub(crate) fn close(&mut self, length: Option<u64>, expected: u64, what: &'static str) -> Result<(), CborError> {
        let error = self.error(what);
        let ends = match length {
            Some(length) => length == expected,
            None => !self.more(None, expected),
        };
        if ends { Ok(()) } else { Err(error) }
    }

    /// CBOR inside a byte string marked with tag 24: the inner bytes.
    pub(crate) fn encoded(&mut self) -> Result<&'a [u8], CborError> {
        let error = self.error("CBOR in a byte string (tag 24)");
        if self.tag()? == ENCODED_CBOR_TAG { self.bytes() } else { Err(error) }
    }

    /// The bytes of the next item, whatever it is, checked to be well-formed.
    pub(crate) fn any(&mut self) -> Result<&'a [u8], CborError> {
        let start = self.at;
        let mut open = vec![Open::Items(1)];
        while let Some(level) = open.last_mut() {
            let is_break = self.bytes.get(self.at) == Some(&0xff);
            match level {
                Open::Items(0) => {
                    open.pop();
                    continue;
                }
                Open::List | Open::Key if is_break => {
                    self.at += 1;
                    open.pop();
                    continue;
                }
                Open::Items(left) => *left -= 1,
                Open::List => {}
                Open::Key => *level = Open::Value,
                // A break here, after a key without its value, is no item.
                Open::Value => *level = Open::Key,
            }
            let head = self.head()?;
            match (head.major, head.value) {
                (Major::Unsigned | Major::Negative, _) | (Major::Simple, Some(_)) => {}
                (Major::Bytes, Some(length)) => {
                    self.take(length)?;
                }
                (Major::Text, Some(length)) => {
                    self.text(length)?;
                }
                (Major::Bytes | Major::Text, None) => self.chunks(head.major, usize::MAX)?,
                (Major::Array, length) => open.push(length.map_or(Open::List, Open::Items)),
                (Major::Map, Some(pairs)) => {
                    open.push(Open::Items(pairs.checked_mul(2).ok_or_else(|| self.error("a shorter map"))?));
                }
                (Major::Map, None) => open.push(Open::Key),
                (Major::Tag, _) => open.push(Open::Items(1)),
                (Major::Simple, None) => return Err(self.error("an item instead of a break")),
            }
        }
        Ok(self.since(start))
    }

    /// The chunks of a string of indefinite length, whose head was read, each at most `longest` bytes.
    fn chunks(&mut self, major: Major, longest: usize) -> Result<(), CborError> {
        while self.more(None, 0) {
            let length = self.expect(major, "a chunk of a string")?.ok_or_else(|| self.error("a chunk of a string"))?;
            if usize::try_from(length).is_ok_and(|length| length > longest) {
                return Err(self.error("a chunk of at most 64 bytes"));
            }
            if major == Major::Text {
                self.text(length)?;
            } else {
                self.take(length)?;
            }
        }
        Ok(())
    }

    fn text(&mut self, length: u64) -> Result<&'a str, CborError> {
        let error = self.error("text in UTF-8");
        std::str::from_utf8(self.take(length)?).map_err(|_| error)
    }
}

/// What a container that [`Reader::any`] is in still waits for.
enum Open {
    /// So many items.
    Items(u64),
    /// Items up to a break.
    List,
    /// A key of a map, or the break at its end.
    Key,
    /// The value of a key.
    Value,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use pallas_codec::minicbor;
    use pallas_primitives::PlutusData;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn depth_costs_no_stack() {
        let mut bytes = vec![0x81; 1_000_000];
        bytes.push(0);
        assert_eq!(Reader::new(&bytes).any().unwrap().len(), bytes.len());
        assert_eq!(Reader::new(&bytes).plutus_data().unwrap().len(), bytes.len());
    }

    proptest! {
        #[test]
        fn written_numbers_read_back(value: u64, signed: i64) {
            let mut writer = Writer::default();
            writer.uint(value);
            writer.int(signed);
            let bytes = writer.into_bytes();
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.uint(), Ok(value));
            prop_assert_eq!(reader.int(), Ok(signed));
            prop_assert_eq!(reader.end(), Ok(()));
        }

        #[test]
        fn random_bytes_never_panic_and_agree_with_another_decoder(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut reader = Reader::new(&bytes);
            let ours = reader.any().map(<[u8]>::len).ok();
            let mut decoder = minicbor::Decoder::new(&bytes);
            // The other decoder is laxer about breaks, so only what we accept is compared.
            if let Some(length) = ours {
                prop_assert!(decoder.skip().is_ok());
                prop_assert_eq!(decoder.position(), length);
            }
            let mut reader = Reader::new(&bytes);
            if let Ok(data) = reader.plutus_data() {
                prop_assert!(minicbor::decode::<PlutusData>(data).is_ok());
            }
        }
    }
}
