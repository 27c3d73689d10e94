//! How the newtypes of other crates travel in CBOR; used through `#[cbor(with = "…")]`.

macro_rules! fixed_bytes {
    ($module:ident, $type:ty, $width:literal, $wrap:expr) => {
        pub(crate) mod $module {
            use minicbor::{
                Decoder, Encoder,
                decode::Error as DecodeError,
                encode::{Error as EncodeError, Write},
            };

            #[allow(unused_imports)]
            use super::*;

            pub(crate) fn encode<C, W: Write>(
                value: &$type,
                encoder: &mut Encoder<W>,
                _: &mut C,
            ) -> Result<(), EncodeError<W::Error>> {
                let bytes: &[u8; $width] = &value.0;
                encoder.bytes(bytes)?.ok()
            }

            pub(crate) fn decode<C>(decoder: &mut Decoder<'_>, _: &mut C) -> Result<$type, DecodeError> {
                let position = decoder.position();
                let bytes: [u8; $width] = decoder.bytes()?.try_into().map_err(|_| {
                    DecodeError::message(concat!($width, " bytes were expected for a ", stringify!($type))).at(position)
                })?;
                Ok($wrap(bytes))
            }
        }
    };
}

macro_rules! number {
    ($module:ident, $type:ty, $primitive:ty) => {
        pub(crate) mod $module {
            use minicbor::{
                Decoder, Encoder,
                decode::Error as DecodeError,
                encode::{Error as EncodeError, Write},
            };

            #[allow(unused_imports)]
            use super::*;

            pub(crate) fn encode<C, W: Write>(
                value: &$type,
                encoder: &mut Encoder<W>,
                _: &mut C,
            ) -> Result<(), EncodeError<W::Error>> {
                encoder.encode(value.0)?.ok()
            }

            pub(crate) fn decode<C>(decoder: &mut Decoder<'_>, _: &mut C) -> Result<$type, DecodeError> {
                Ok(<$type>::from_primitive(decoder.decode::<$primitive>()?))
            }
        }
    };
}

trait FromPrimitive<P> {
    fn from_primitive(primitive: P) -> Self;
}

use nunet_contracts::{CommitteeId, Ntx};
use nunet_ledger::{Lovelace, NetworkMagic, PosixMs, ScriptHash};

use crate::signing::PartyKey;

macro_rules! from_primitive {
    ($($type:ident: $primitive:ty),*) => {
        $(impl FromPrimitive<$primitive> for $type {
            fn from_primitive(primitive: $primitive) -> Self {
                $type(primitive)
            }
        })*
    };
}

from_primitive!(Ntx: u64, Lovelace: u64, PosixMs: u64, NetworkMagic: u32);

fixed_bytes!(party_key, PartyKey, 32, PartyKey);
fixed_bytes!(committee_id, CommitteeId, 32, CommitteeId);
fixed_bytes!(script_hash, ScriptHash, 28, ScriptHash);
number!(ntx, Ntx, u64);
number!(lovelace, Lovelace, u64);
number!(posix_ms, PosixMs, u64);
number!(magic, NetworkMagic, u32);

pub(crate) mod address {
    use minicbor::{
        Decoder, Encoder,
        decode::Error as DecodeError,
        encode::{Error as EncodeError, Write},
    };
    use nunet_ledger::Address;

    pub(crate) fn encode<C, W: Write>(
        value: &Address,
        encoder: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), EncodeError<W::Error>> {
        encoder.bytes(value.as_bytes())?.ok()
    }

    pub(crate) fn decode<C>(decoder: &mut Decoder<'_>, _: &mut C) -> Result<Address, DecodeError> {
        let position = decoder.position();
        Address::from_bytes(decoder.bytes()?).map_err(|error| DecodeError::message(error).at(position))
    }
}

pub(crate) mod kind {
    use minicbor::{
        Decoder, Encoder,
        decode::Error as DecodeError,
        encode::{Error as EncodeError, Write},
    };
    use nunet_proof::ProofKind;

    pub(crate) fn encode<C, W: Write>(
        value: &ProofKind,
        encoder: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), EncodeError<W::Error>> {
        encoder.u8(value.number())?.ok()
    }

    pub(crate) fn decode<C>(decoder: &mut Decoder<'_>, _: &mut C) -> Result<ProofKind, DecodeError> {
        let position = decoder.position();
        ProofKind::from_number(decoder.u8()?)
            .ok_or_else(|| DecodeError::message("an unknown kind of proof").at(position))
    }
}
