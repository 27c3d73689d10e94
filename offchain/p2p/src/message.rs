//! What a message is: a typed request with its protocol name, its size limits and its timeout.

use std::{fmt::Display, time::Duration};

use minicbor::{Decode, Decoder, Encode};

/// A request that one node can put to another, and the answer it expects.
///
/// Both travel as CBOR. The limits are enforced by whoever reads, before memory is set aside; a type whose decoder
/// keeps much more than it reads should choose [`MAX_REQUEST`](Request::MAX_REQUEST) with that in mind.
pub trait Request: Encode<()> + for<'b> Decode<'b, ()> + Send + Sync + 'static {
    /// The name negotiated on the stream, with a version: `/nunet/1/quote`. Starts with `/`, at most
    /// [`MAX_PROTOCOL_NAME`](ProtocolSpec::MAX_PROTOCOL_NAME) bytes (checked when compiling).
    const PROTOCOL: &'static str;
    /// The most bytes an encoded request may have.
    const MAX_REQUEST: usize;
    /// The most bytes an encoded answer may have.
    const MAX_RESPONSE: usize;
    /// How long the requester waits for the whole exchange, dialing included, and how long a handler may take.
    const TIMEOUT: Duration;
    /// The answer.
    type Response: Encode<()> + for<'b> Decode<'b, ()> + Send + Sync + 'static;
}

/// The name and limits of one protocol, without its types: what a node needs to serve it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProtocolSpec {
    pub(crate) name: &'static str,
    pub(crate) max_request: usize,
    pub(crate) max_response: usize,
    pub(crate) timeout: Duration,
}

impl ProtocolSpec {
    /// The longest protocol name, in bytes; libp2p's negotiation itself allows 140.
    pub const MAX_PROTOCOL_NAME: usize = 128;

    /// The protocol of a request type. A name or a limit that cannot work does not compile.
    #[must_use]
    pub const fn of<R: Request>() -> Self {
        const {
            assert!(is_protocol_name(R::PROTOCOL), "a protocol name starts with '/' and has 2 to 128 bytes");
            assert!(R::MAX_REQUEST <= u32::MAX as usize, "a request's length travels in 32 bits");
            assert!(R::MAX_RESPONSE <= u32::MAX as usize, "a response's length travels in 32 bits");
        }
        Self { name: R::PROTOCOL, max_request: R::MAX_REQUEST, max_response: R::MAX_RESPONSE, timeout: R::TIMEOUT }
    }

    /// The name negotiated on the stream.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

const fn is_protocol_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.len() >= 2 && bytes.len() <= ProtocolSpec::MAX_PROTOCOL_NAME && bytes[0] == b'/'
}

/// Decodes one value that fills `bytes` exactly; the error says what is wrong with the bytes.
pub(crate) fn decode<T: for<'b> Decode<'b, ()>>(bytes: &[u8]) -> Result<T, String> {
    let mut decoder = Decoder::new(bytes);
    let value = decoder.decode().map_err(|error| error.to_string())?;
    match bytes.len() - decoder.position() {
        0 => Ok(value),
        rest => Err(format!("{rest} bytes follow the message")),
    }
}

/// Encodes a value; only a hand-written [`Encode`] can fail.
pub(crate) fn encode<T: Encode<()>>(value: &T) -> Result<Vec<u8>, impl Display> {
    minicbor::to_vec(value)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn bytes_after_a_message_make_it_malformed() {
        assert_eq!(decode::<u32>(&[0x07]), Ok(7));
        assert_eq!(decode::<u32>(&[0x07, 0x00]), Err("1 bytes follow the message".to_owned()));
        assert!(decode::<u32>(&[]).is_err());
    }

    #[test]
    fn only_sensible_protocol_names_are_taken() {
        assert!(is_protocol_name("/nunet/1/quote"));
        assert!(!is_protocol_name("nunet/1/quote"));
        assert!(!is_protocol_name("/"));
        assert!(!is_protocol_name(&format!("/{}", "x".repeat(128))));
    }
}
