//! Plutus data from strangers' CBOR, in its one canonical form.
//!
//! Validators compare data, not bytes: whoever continues a lease or a committee may write 3 as a big number, or a
//! constructor with the general tag. So every form that means the same is read as the same. And anybody may put anything at
//! an address: depth is bounded, since whatever handles the data afterwards recurses.

use pallas_codec::{
    minicbor::{
        Decoder,
        data::{Tag, Type},
        decode::Error,
    },
    utils::{Int, KeyValuePairs},
};
use pallas_primitives::{BigInt, Constr, PlutusData};

use super::sequence;

/// The deepest nesting that is read. What the protocol writes nests seven levels: an address in a field of a datum.
pub(super) const MAX_DEPTH: usize = 32;

/// The tag of a constructor whose index stands beside its fields (CDDL `constr`).
const GENERAL_CONSTRUCTOR: u64 = 102;

/// Reads one item.
pub(super) fn read(decoder: &mut Decoder<'_>, depth: usize) -> Result<PlutusData, Error> {
    if depth > MAX_DEPTH {
        return Err(Error::message(format!("it nests more than {MAX_DEPTH} levels")));
    }
    match decoder.datatype()? {
        Type::Bytes | Type::BytesIndef => Ok(PlutusData::BoundedBytes(bytes(decoder)?.into())),
        Type::Array | Type::ArrayIndef => Ok(PlutusData::Array(sequence(items(decoder, depth)?))),
        Type::Map | Type::MapIndef => map(decoder, depth),
        Type::Tag => tagged(decoder, depth),
        _ => Ok(PlutusData::BigInt(BigInt::Int(decoder.decode::<Int>()?))),
    }
}

fn tagged(decoder: &mut Decoder<'_>, depth: usize) -> Result<PlutusData, Error> {
    let tag: Tag = decoder.tag()?;
    match tag.as_u64() {
        2 => Ok(PlutusData::BigInt(big(bytes(decoder)?, Sign::Plus))),
        3 => Ok(PlutusData::BigInt(big(bytes(decoder)?, Sign::Minus))),
        GENERAL_CONSTRUCTOR => {
            let length = decoder.array()?;
            let index = decoder.u64()?;
            let fields = items(decoder, depth)?;
            let closed = match length {
                Some(length) => length == 2,
                None => decoder.datatype()? == Type::Break && decoder.skip().is_ok(),
            };
            if closed { Ok(constructor(index, fields)) } else { Err(Error::message("a constructor has two parts")) }
        }
        tag @ 121..=127 => Ok(constructor(tag - 121, items(decoder, depth)?)),
        tag @ 1280..=1400 => Ok(constructor(tag - 1280 + 7, items(decoder, depth)?)),
        tag => Err(Error::message(format!("tag {tag} has no place in Plutus data"))),
    }
}

fn constructor(index: u64, fields: Vec<PlutusData>) -> PlutusData {
    let (tag, any_constructor) = match index {
        0..=6 => (121 + index, None),
        7..=127 => (1280 + index - 7, None),
        _ => (GENERAL_CONSTRUCTOR, Some(index)),
    };
    PlutusData::Constr(Constr { tag, any_constructor, fields: sequence(fields) })
}

enum Sign {
    /// The number itself.
    Plus,
    /// -1 less the number.
    Minus,
}

/// A big number, as a small one where it is.
fn big(digits: Vec<u8>, sign: Sign) -> BigInt {
    let significant = digits.iter().copied().skip_while(|digit| *digit == 0);
    let short: Vec<u8> = significant.collect();
    let small = (short.len() <= 8).then(|| short.iter().fold(0i128, |sum, digit| sum << 8 | i128::from(*digit)));
    let small = small.and_then(|number| {
        Int::try_from(match sign {
            Sign::Plus => number,
            Sign::Minus => -1 - number,
        })
        .ok()
    });
    match (small, sign) {
        (Some(int), _) => BigInt::Int(int),
        (None, Sign::Plus) => BigInt::BigUInt(short.into()),
        (None, Sign::Minus) => BigInt::BigNInt(short.into()),
    }
}

fn bytes(decoder: &mut Decoder<'_>) -> Result<Vec<u8>, Error> {
    let mut whole = Vec::new();
    for chunk in decoder.bytes_iter()? {
        whole.extend_from_slice(chunk?);
    }
    Ok(whole)
}

fn items(decoder: &mut Decoder<'_>, depth: usize) -> Result<Vec<PlutusData>, Error> {
    let mut left = decoder.array()?;
    let mut items = Vec::new();
    while more(decoder, &mut left)? {
        items.push(read(decoder, depth + 1)?);
    }
    Ok(items)
}

fn map(decoder: &mut Decoder<'_>, depth: usize) -> Result<PlutusData, Error> {
    let mut left = decoder.map()?;
    let mut pairs = Vec::new();
    while more(decoder, &mut left)? {
        let key = read(decoder, depth + 1)?;
        pairs.push((key, read(decoder, depth + 1)?));
    }
    Ok(PlutusData::Map(KeyValuePairs::Def(pairs)))
}

/// Whether another member of a container follows; takes the end of an indefinite one.
fn more(decoder: &mut Decoder<'_>, left: &mut Option<u64>) -> Result<bool, Error> {
    match left {
        Some(0) => Ok(false),
        Some(count) => {
            *count -= 1;
            Ok(true)
        }
        None if decoder.datatype()? == Type::Break => {
            decoder.skip()?;
            Ok(false)
        }
        None => Ok(true),
    }
}
