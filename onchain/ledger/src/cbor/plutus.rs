//! Reading Plutus data without building it: only whether it is well-formed, and where it ends.

use crate::cbor::{CborError, Head, Major, Reader};

/// Longest chunk of bytes inside Plutus data (CDDL `bounded_bytes`).
const PLUTUS_CHUNK: usize = 64;

impl<'a> Reader<'a> {
    /// The bytes of the next item, checked to be Plutus data (CDDL `plutus_data`, with the 64-byte bound on chunks).
    pub(crate) fn plutus_data(&mut self) -> Result<&'a [u8], CborError> {
        let start = self.at;
        let mut open = vec![Open { left: Some(1), rule: Closing::Anywhere }];
        while let Some(container) = open.last_mut() {
            let more = match container.left {
                Some(left) => left > 0,
                None => self.more(None, 0),
            };
            match container.rule {
                Closing::AfterKey if !more => return Err(self.error("a value for the last key")),
                Closing::Now if more => return Err(self.error("the end of a constructor")),
                Closing::AfterKey => container.rule = Closing::AfterPair,
                Closing::AfterPair => container.rule = Closing::AfterKey,
                Closing::Anywhere | Closing::Now => {}
            }
            if !more {
                open.pop();
                continue;
            }
            container.left = container.left.map(|left| left - 1);
            self.plutus_item(&mut open)?;
        }
        Ok(self.since(start))
    }

    fn plutus_item(&mut self, open: &mut Vec<Open>) -> Result<(), CborError> {
        let error = self.error("Plutus data");
        let head = self.head()?;
        match (head.major, head.value) {
            (Major::Unsigned | Major::Negative, _) => {}
            (Major::Bytes, _) => self.bounded_bytes(head)?,
            (Major::Array, left) => open.push(Open { left, rule: Closing::Anywhere }),
            (Major::Map, pairs) => {
                let left = match pairs {
                    Some(pairs) => Some(pairs.checked_mul(2).ok_or(error)?),
                    None => None,
                };
                open.push(Open { left, rule: Closing::AfterPair });
            }
            (Major::Tag, Some(2 | 3)) => {
                let head = self.head()?;
                if head.major != Major::Bytes {
                    return Err(error);
                }
                self.bounded_bytes(head)?;
            }
            (Major::Tag, Some(121..=127 | 1280..=1400)) => {
                let left = self.array()?;
                open.push(Open { left, rule: Closing::Anywhere });
            }
            (Major::Tag, Some(102)) => {
                match self.array()? {
                    Some(2) => {}
                    None => open.push(Open { left: None, rule: Closing::Now }),
                    Some(_) => return Err(error),
                }
                self.uint()?;
                let left = self.array()?;
                open.push(Open { left, rule: Closing::Anywhere });
            }
            _ => return Err(error),
        }
        Ok(())
    }

    fn bounded_bytes(&mut self, head: Head) -> Result<(), CborError> {
        match head.value {
            None => self.chunks(Major::Bytes, PLUTUS_CHUNK),
            Some(length) if length <= PLUTUS_CHUNK as u64 => self.take(length).map(|_| ()),
            Some(_) => Err(self.error("bytes in chunks of at most 64")),
        }
    }
}

/// A container of Plutus data whose items are being read.
struct Open {
    /// Items left, `None` when a break ends it.
    left: Option<u64>,
    rule: Closing,
}

/// Where a container of Plutus data may end.
#[derive(Clone, Copy)]
enum Closing {
    /// A list: after any item.
    Anywhere,
    /// A map, before a key.
    AfterPair,
    /// A map, before a value.
    AfterKey,
    /// The pair of a general constructor: at once.
    Now,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn plutus(text: &str) -> Result<usize, CborError> {
        let bytes = hex::decode(text).unwrap();
        let mut reader = Reader::new(&bytes);
        reader.plutus_data().map(<[u8]>::len)
    }

    #[test]
    fn plutus_data_of_every_shape_is_read_to_its_end() {
        for text in [
            "00",
            "20",
            "40",
            "80",
            "9fff",
            "a0",
            "bfff",
            "bf0001ff",
            "d87980",
            "d8799f0102ff",
            "d9050080",
            "d8668218c880",
            "d8669f18c880ff",
            "c240",
            "c249010000000000000000",
            "5f4101ff",
            "a1008100",
            "d8669f189f9f0102ffff",
        ] {
            assert_eq!(plutus(text), Ok(text.len() / 2), "{text}");
        }
    }

    #[test]
    fn what_is_no_plutus_data_is_refused() {
        let long = format!("5841{}", "00".repeat(65));
        for text in [
            "",
            "60",
            "f6",
            "bf00ff",
            "a100",
            "d87900",
            "d8668100",
            "d8668200",
            "d866820000",
            "d86683008000",
            "ff",
            "d8669f008000ff",
            "c200",
            "da00",
            "81",
            "9f",
            "d87a",
            "1c",
            "bb8000000000000000",
            &long,
        ] {
            let text = text.replace(' ', "");
            assert!(plutus(&text).is_err(), "{text}");
        }
    }
}
