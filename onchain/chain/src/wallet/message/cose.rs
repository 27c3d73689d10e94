//! The CBOR of signed messages: `COSE_Sign1`, its headers and `COSE_Key`, with Ed25519 only.

use std::collections::BTreeSet;

use pallas_codec::minicbor::{
    Decoder, Encoder,
    data::{Tag, Type},
    decode, encode,
};

/// Labels and values of RFC 9052 and RFC 9053, and the two texts of CIP-8.
const HEADER_ALG: Label = Label::Number(1);
const HEADER_CRITICAL: Label = Label::Number(2);
const HEADER_KEY_ID: Label = Label::Number(4);
const EDDSA: i64 = -8;
const KEY_TYPE: Label = Label::Number(1);
const KEY_ALG: Label = Label::Number(3);
const KEY_CURVE: Label = Label::Number(-1);
const KEY_X: Label = Label::Number(-2);
const OCTET_KEY_PAIR: i64 = 1;
const ED25519: i64 = 6;
const ADDRESS: Label = Label::Text("address");
const HASHED: Label = Label::Text("hashed");

/// The tag that may stand before a `COSE_Sign1`.
const SIGN1_TAG: u64 = 18;

/// What bytes are not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no signed message as CIP-30 wallets make them: expected {0}")]
pub struct CoseError(pub(super) &'static str);

/// A key of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Label<'a> {
    Number(i64),
    Text(&'a str),
}

/// A `COSE_Sign1` as received.
#[derive(Debug)]
pub(super) struct Sign1<'a> {
    pub(super) protected: &'a [u8],
    pub(super) address: &'a [u8],
    pub(super) named_key: Option<[u8; 32]>,
    pub(super) hashed: bool,
    pub(super) payload: &'a [u8],
    pub(super) signature: [u8; 64],
}

/// The Ed25519 key in a `COSE_Key`.
#[derive(Debug)]
pub(super) struct CoseKey(pub(super) [u8; 32]);

fn no(expected: &'static str) -> impl Fn(decode::Error) -> CoseError {
    move |_| CoseError(expected)
}

impl<'a> Sign1<'a> {
    pub(super) fn decode(bytes: &'a [u8]) -> Result<Self, CoseError> {
        const SHAPE: &str = "a COSE_Sign1: an array of headers, headers, payload and signature";
        let mut decoder = Decoder::new(bytes);
        if decoder.datatype().map_err(no(SHAPE))? == Type::Tag
            && decoder.tag().map_err(no(SHAPE))? != Tag::new(SIGN1_TAG)
        {
            return Err(CoseError(SHAPE));
        }
        if decoder.array().map_err(no(SHAPE))? != Some(4) {
            return Err(CoseError(SHAPE));
        }
        let protected = decoder.bytes().map_err(no("protected headers as one byte string"))?;
        let mut hashed = false;
        read_map(&mut decoder, |label, decoder| {
            match label {
                HASHED => hashed = decoder.bool().map_err(no("hashed: true or false"))?,
                HEADER_ALG | ADDRESS => return Err(CoseError("algorithm and address among the protected headers")),
                _ => skip(decoder)?,
            }
            Ok(())
        })?;
        let payload = decoder.bytes().map_err(no("the payload within the signature"))?;
        let signature = fixed(&mut decoder, "a signature of 64 bytes")?;
        end(&decoder, bytes)?;
        let Protected { address, named_key } = Protected::decode(protected)?;
        Ok(Self { protected, address, named_key, hashed, payload, signature })
    }
}

/// What the protected headers say.
struct Protected<'a> {
    address: &'a [u8],
    named_key: Option<[u8; 32]>,
}

impl<'a> Protected<'a> {
    fn decode(bytes: &'a [u8]) -> Result<Self, CoseError> {
        let (mut algorithm, mut address, mut named_key) = (None, None, None);
        let mut decoder = Decoder::new(bytes);
        read_map(&mut decoder, |label, decoder| {
            match label {
                HEADER_ALG => algorithm = Some(decoder.i64().map_err(no("a number for the algorithm"))?),
                HEADER_CRITICAL => return Err(CoseError("no critical headers")),
                HEADER_KEY_ID => {
                    // Some wallets name the key, others the address; only a key can be checked with.
                    let id = decoder.bytes().map_err(no("bytes for the key's name"))?;
                    named_key = <[u8; 32]>::try_from(id).ok();
                }
                ADDRESS => address = Some(decoder.bytes().map_err(no("bytes for the address"))?),
                _ => skip(decoder)?,
            }
            Ok(())
        })?;
        end(&decoder, bytes)?;
        if algorithm != Some(EDDSA) {
            return Err(CoseError("EdDSA as the algorithm"));
        }
        Ok(Self { address: address.ok_or(CoseError("an address among the protected headers"))?, named_key })
    }
}

impl CoseKey {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, CoseError> {
        const SHAPE: &str = "a COSE_Key for Ed25519";
        let (mut kind, mut curve, mut x) = (None, None, None);
        let mut decoder = Decoder::new(bytes);
        read_map(&mut decoder, |label, decoder| {
            match label {
                KEY_TYPE => kind = Some(decoder.i64().map_err(no(SHAPE))?),
                KEY_ALG => {
                    if decoder.i64().map_err(no(SHAPE))? != EDDSA {
                        return Err(CoseError(SHAPE));
                    }
                }
                KEY_CURVE => curve = Some(decoder.i64().map_err(no(SHAPE))?),
                KEY_X => x = Some(fixed(decoder, "a key of 32 bytes")?),
                _ => skip(decoder)?,
            }
            Ok(())
        })?;
        end(&decoder, bytes)?;
        match (kind, curve, x) {
            (Some(OCTET_KEY_PAIR), Some(ED25519), Some(x)) => Ok(Self(x)),
            _ => Err(CoseError(SHAPE)),
        }
    }
}

/// Reads a map whose labels are numbers and texts, none twice; `entry` reads the value.
fn read_map<'a>(
    decoder: &mut Decoder<'a>,
    mut entry: impl FnMut(Label<'a>, &mut Decoder<'a>) -> Result<(), CoseError>,
) -> Result<(), CoseError> {
    const SHAPE: &str = "a map of known length, its keys numbers or texts";
    let length = decoder.map().map_err(no(SHAPE))?.ok_or(CoseError(SHAPE))?;
    let mut seen = BTreeSet::new();
    for _ in 0..length {
        let label = match decoder.datatype().map_err(no(SHAPE))? {
            Type::String => Label::Text(decoder.str().map_err(no(SHAPE))?),
            _ => Label::Number(decoder.i64().map_err(no(SHAPE))?),
        };
        if !seen.insert(label) {
            return Err(CoseError("every header once"));
        }
        entry(label, decoder)?;
    }
    Ok(())
}

fn skip(decoder: &mut Decoder<'_>) -> Result<(), CoseError> {
    decoder.skip().map_err(no("well-formed CBOR"))
}

fn fixed<const N: usize>(decoder: &mut Decoder<'_>, expected: &'static str) -> Result<[u8; N], CoseError> {
    decoder.bytes().map_err(no(expected))?.try_into().map_err(|_| CoseError(expected))
}

fn end(decoder: &Decoder<'_>, bytes: &[u8]) -> Result<(), CoseError> {
    if decoder.position() == bytes.len() { Ok(()) } else { Err(CoseError("nothing after it")) }
}

type Writer = Encoder<Vec<u8>>;

#[expect(clippy::expect_used, reason = "writing to memory cannot fail")]
fn written(write: impl FnOnce(&mut Writer) -> Result<(), encode::Error<std::convert::Infallible>>) -> Vec<u8> {
    let mut writer = Encoder::new(Vec::new());
    write(&mut writer).expect("CBOR is written into memory");
    writer.into_writer()
}

fn put<'w>(
    writer: &'w mut Writer,
    label: Label<'_>,
) -> Result<&'w mut Writer, encode::Error<std::convert::Infallible>> {
    match label {
        Label::Number(number) => writer.i64(number),
        Label::Text(text) => writer.str(text),
    }
}

/// The protected headers: the algorithm, then the address.
pub(super) fn protected_header(address: &[u8]) -> Vec<u8> {
    written(|writer| {
        writer.map(2)?;
        put(writer, HEADER_ALG)?.i64(EDDSA)?;
        put(writer, ADDRESS)?.bytes(address)?;
        Ok(())
    })
}

/// The `Sig_structure` that is signed (RFC 9052, section 4.4), without external data.
pub(super) fn to_be_signed(protected: &[u8], payload: &[u8]) -> Vec<u8> {
    written(|writer| {
        writer.array(4)?.str("Signature1")?.bytes(protected)?.bytes(&[])?.bytes(payload)?;
        Ok(())
    })
}

/// The `COSE_Sign1`, without its tag.
pub(super) fn sign1(protected: &[u8], payload: &[u8], signature: &[u8; 64]) -> Vec<u8> {
    written(|writer| {
        writer.array(4)?.bytes(protected)?.map(1)?;
        put(writer, HASHED)?.bool(false)?.bytes(payload)?.bytes(signature)?;
        Ok(())
    })
}

/// The `COSE_Key` of an Ed25519 verification key.
pub(super) fn cose_key(key: &[u8; 32]) -> Vec<u8> {
    written(|writer| {
        writer.map(4)?;
        put(writer, KEY_TYPE)?.i64(OCTET_KEY_PAIR)?;
        put(writer, KEY_ALG)?.i64(EDDSA)?;
        put(writer, KEY_CURVE)?.i64(ED25519)?;
        put(writer, KEY_X)?.bytes(key)?;
        Ok(())
    })
}
