//! Reading strangers' CBOR: size limits first, then one strict pass, and only canonical bytes are accepted.

use minicbor::{
    Decoder, Encoder,
    decode::Error,
    encode::{Encode, Write},
};

use crate::{binding::Binding, hash::Hash32, key::BadSignature};

/// Why received bytes are not the message they should be.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Larger than such a message may be.
    #[error("a {what} of {len} bytes is over the limit of {limit}; ask its sender for a smaller one")]
    TooLong {
        /// The message's name.
        what: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The most that is read.
        limit: usize,
    },
    /// Not the CBOR of such a message.
    #[error("these bytes are not a {what} ({source}); drop them and note who sent them")]
    Malformed {
        /// The message's name.
        what: &'static str,
        /// What the CBOR reader found.
        source: Error,
    },
    /// Readable, but another encoding than the one that would be written.
    #[error("these bytes are not the canonical encoding of a {what}; drop them and note who sent them")]
    NotCanonical {
        /// The message's name.
        what: &'static str,
    },
    /// The signature inside does not verify.
    #[error(transparent)]
    Signature(#[from] BadSignature),
}

/// Reads one value that fills `bytes`, of at most `limit` bytes, written the one way that `T` writes itself.
pub(crate) fn decode_canonical<'b, T: Encode<()>>(
    what: &'static str,
    bytes: &'b [u8],
    limit: usize,
    read: impl FnOnce(&mut Decoder<'b>) -> Result<T, Error>,
) -> Result<T, DecodeError> {
    if bytes.len() > limit {
        return Err(DecodeError::TooLong { what, len: bytes.len(), limit });
    }
    let value = read(&mut Decoder::new(bytes)).map_err(|source| DecodeError::Malformed { what, source })?;
    if to_vec(&value) != bytes {
        return Err(DecodeError::NotCanonical { what });
    }
    Ok(value)
}

/// Writes a value. Memory is the only sink, so the writer cannot fail; a value that refused would come out empty.
pub(crate) fn to_vec(value: &impl Encode<()>) -> Vec<u8> {
    minicbor::to_vec(value).unwrap_or_default()
}

/// The header of an array that has exactly `len` items.
pub(crate) fn array_of(d: &mut Decoder<'_>, len: u64) -> Result<(), Error> {
    match d.array()? {
        Some(found) if found == len => Ok(()),
        _ => Err(Error::message(format!("expected an array of {len}"))),
    }
}

/// The header of an array that has at most `limit` items; how many it has.
pub(crate) fn array_up_to(d: &mut Decoder<'_>, limit: u64) -> Result<u64, Error> {
    match d.array()? {
        Some(found) if found <= limit => Ok(found),
        _ => Err(Error::message(format!("expected an array of at most {limit}"))),
    }
}

/// A byte string of exactly `N` bytes.
pub(crate) fn fixed<const N: usize>(d: &mut Decoder<'_>) -> Result<[u8; N], Error> {
    d.bytes()?.try_into().map_err(|_| Error::message(format!("expected {N} bytes")))
}

/// A byte string of 32 bytes.
pub(crate) fn hash32(d: &mut Decoder<'_>) -> Result<Hash32, Error> {
    fixed(d).map(Hash32)
}

/// An escrow: three items, magic, script hash and outpoint.
pub(crate) fn binding(d: &mut Decoder<'_>) -> Result<Binding, Error> {
    Ok(Binding { magic: d.u32()?, script: fixed(d)?, outpoint: fixed(d)? })
}

/// Writes what [`binding`] reads.
pub(crate) fn write_binding<W: Write>(
    e: &mut Encoder<W>,
    binding: &Binding,
) -> Result<(), minicbor::encode::Error<W::Error>> {
    e.u32(binding.magic)?.bytes(&binding.script)?.bytes(&binding.outpoint)?;
    Ok(())
}
