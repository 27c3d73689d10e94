//! Plutus data, written exactly as the builtin `serialiseData` writes it and read strictly.
//!
//! Two encodings of one datum would be two different strings to whoever compares bytes, so there is one way to build
//! each value (lists and constructor fields: indefinite length unless empty) and a reader that names what is wrong.

mod read;

use nunet_ledger::{Address, Credential, KeyHash, ScriptHash};
use pallas_codec::{minicbor, utils::MaybeIndefArray};
use pallas_primitives::{BigInt, Constr, PlutusData};

/// Why bytes or data are not what a type expects.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {problem}")]
pub struct DataError {
    /// The datum, redeemer or field.
    pub what: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl DataError {
    pub(crate) fn new(what: &'static str, problem: impl Into<String>) -> Self {
        Self { what, problem: problem.into() }
    }
}

/// An integer.
pub fn int(value: u64) -> PlutusData {
    // CBOR integers hold every u64, so the conversion from i128 is total here.
    match pallas_codec::utils::Int::try_from(i128::from(value)) {
        Ok(int) => PlutusData::BigInt(BigInt::Int(int)),
        Err(_) => PlutusData::BigInt(BigInt::BigUInt(value.to_be_bytes().to_vec().into())),
    }
}

/// -1, which stands where there is no index.
pub(crate) fn minus_one() -> PlutusData {
    PlutusData::BigInt(BigInt::Int(pallas_codec::utils::Int::from(-1i64)))
}

/// A byte string.
pub fn bytes(value: &[u8]) -> PlutusData {
    PlutusData::BoundedBytes(value.to_vec().into())
}

/// A list.
pub fn list(items: Vec<PlutusData>) -> PlutusData {
    PlutusData::Array(sequence(items))
}

/// A constructor with an index below 7 and its fields.
pub fn constr(index: u64, fields: Vec<PlutusData>) -> PlutusData {
    debug_assert!(index < 7, "the compact tags are all that the protocol uses");
    PlutusData::Constr(Constr { tag: 121 + index, any_constructor: None, fields: sequence(fields) })
}

fn sequence(items: Vec<PlutusData>) -> MaybeIndefArray<PlutusData> {
    if items.is_empty() { MaybeIndefArray::Def(items) } else { MaybeIndefArray::Indef(items) }
}

/// The CBOR bytes.
pub fn to_cbor(data: &PlutusData) -> Vec<u8> {
    let mut out = Vec::new();
    // Writing to a Vec cannot fail.
    match minicbor::encode(data, &mut out) {
        Ok(()) => out,
        Err(infallible) => unreachable!("{infallible}"),
    }
}

/// Reads CBOR bytes into the form that this module writes, whichever form they have; trailing bytes are refused, and what
/// nests deeper than anything of the protocol.
pub fn from_cbor(what: &'static str, cbor: &[u8]) -> Result<PlutusData, DataError> {
    let mut decoder = minicbor::Decoder::new(cbor);
    let data = read::read(&mut decoder, 0).map_err(|error| DataError::new(what, format!("malformed CBOR: {error}")))?;
    if decoder.position() != cbor.len() {
        return Err(DataError::new(what, format!("{} bytes follow the datum", cbor.len() - decoder.position())));
    }
    Ok(data)
}

/// The fields of constructor `index`, which must be exactly `N`.
pub fn fields<'a, const N: usize>(
    what: &'static str,
    data: &'a PlutusData,
    index: u64,
) -> Result<&'a [PlutusData; N], DataError> {
    let PlutusData::Constr(constr) = data else {
        return Err(DataError::new(what, "a constructor was expected"));
    };
    if constr.tag != 121 + index {
        return Err(DataError::new(what, format!("constructor {index} was expected, found tag {}", constr.tag)));
    }
    let found: &[PlutusData] = &constr.fields;
    found.try_into().map_err(|_| DataError::new(what, format!("{N} fields were expected, found {}", found.len())))
}

/// A natural number that fits 64 bits.
pub fn as_u64(what: &'static str, data: &PlutusData) -> Result<u64, DataError> {
    let PlutusData::BigInt(BigInt::Int(int)) = data else {
        return Err(DataError::new(what, "an integer below 2^64 was expected"));
    };
    u64::try_from(i128::from(*int)).map_err(|_| DataError::new(what, "the integer is negative or too large"))
}

/// A byte string.
pub fn as_bytes<'a>(what: &'static str, data: &'a PlutusData) -> Result<&'a [u8], DataError> {
    match data {
        PlutusData::BoundedBytes(bytes) => Ok(bytes),
        _ => Err(DataError::new(what, "a byte string was expected")),
    }
}

/// A byte string of `N` bytes.
pub fn as_array<const N: usize>(what: &'static str, data: &PlutusData) -> Result<[u8; N], DataError> {
    let found = as_bytes(what, data)?;
    found.try_into().map_err(|_| DataError::new(what, format!("{N} bytes were expected, found {}", found.len())))
}

/// A list.
pub fn as_list<'a>(what: &'static str, data: &'a PlutusData) -> Result<&'a [PlutusData], DataError> {
    match data {
        PlutusData::Array(items) => Ok(items),
        _ => Err(DataError::new(what, "a list was expected")),
    }
}

/// Signatures aligned to the members of a committee; who did not sign has an empty byte string.
pub fn signatures(aligned: &[Option<[u8; 64]>]) -> PlutusData {
    list(aligned.iter().map(|signature| bytes(signature.as_ref().map_or(&[], |bytes| bytes.as_slice()))).collect())
}

/// The inverse of [`signatures`].
pub fn as_signatures(data: &PlutusData) -> Result<Vec<Option<[u8; 64]>>, DataError> {
    let signature = |data: &PlutusData| match as_bytes("signature", data)? {
        [] => Ok(None),
        _ => as_array("signature", data).map(Some),
    };
    as_list("signatures", data)?.iter().map(signature).collect()
}

fn credential(credential: Credential) -> PlutusData {
    match credential {
        Credential::Key(hash) => constr(0, vec![bytes(&hash.0)]),
        Credential::Script(hash) => constr(1, vec![bytes(&hash.0)]),
    }
}

fn as_credential(what: &'static str, data: &PlutusData) -> Result<Credential, DataError> {
    if let Ok([hash]) = fields::<1>(what, data, 0) {
        return Ok(Credential::Key(KeyHash(as_array(what, hash)?)));
    }
    let [hash] = fields::<1>(what, data, 1)?;
    Ok(Credential::Script(ScriptHash(as_array(what, hash)?)))
}

/// An address as validators see it: payment and stake credential. Only Shelley addresses without pointers have one.
pub fn address(what: &'static str, address: &Address) -> Result<PlutusData, DataError> {
    let payment = address
        .payment()
        .ok_or_else(|| DataError::new(what, format!("{address} is a Byron address; use a Shelley address")))?;
    let stake = match address.stake() {
        Some(stake) => constr(0, vec![constr(0, vec![credential(stake)])]),
        None => constr(1, vec![]),
    };
    // A pointer would be lost in this form and the payout would then go to another address.
    let id = address.network_id().unwrap_or(0);
    if Address::new(id, payment, address.stake()) != *address {
        return Err(DataError::new(what, format!("{address} has a pointer as its stake part; use another address")));
    }
    Ok(constr(0, vec![credential(payment), stake]))
}

/// The inverse of [`address()`], on the network with this id.
pub fn as_address(what: &'static str, data: &PlutusData, network_id: u8) -> Result<Address, DataError> {
    let [payment, stake] = fields::<2>(what, data, 0)?;
    let payment = as_credential(what, payment)?;
    let stake = match fields::<0>(what, stake, 1) {
        Ok([]) => None,
        Err(_) => {
            let [inline] = fields::<1>(what, stake, 0)?;
            let [inner] = fields::<1>(what, inline, 0)?;
            Some(as_credential(what, inner)?)
        }
    };
    Ok(Address::new(network_id, payment, stake))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn other_forms_of_the_same_data_are_read_as_the_same() {
        let three = int(3);
        let forms: [&[u8]; 5] = [
            &[0x03],
            &[0x18, 0x03],
            &[0xc2, 0x41, 0x03],
            &[0xc2, 0x49, 0, 0, 0, 0, 0, 0, 0, 0, 0x03],
            &[0xc2, 0x5f, 0x41, 0x00, 0x41, 0x03, 0xff],
        ];
        for form in forms {
            assert_eq!(from_cbor("number", form).unwrap(), three, "{form:02x?}");
        }
        for form in [&[0x20][..], &[0xc3, 0x41, 0x00], &[0xc3, 0x40]] {
            assert_eq!(from_cbor("number", form).unwrap(), minus_one(), "{form:02x?}");
        }
        let pair = constr(1, vec![int(3), list(vec![])]);
        let forms: [&[u8]; 4] = [
            &[0xd8, 0x7a, 0x9f, 0x03, 0x80, 0xff],
            &[0xd8, 0x7a, 0x82, 0x03, 0x9f, 0xff],
            &[0xd8, 0x66, 0x82, 0x01, 0x82, 0x03, 0x80],
            &[0xd8, 0x66, 0x9f, 0x01, 0x82, 0x03, 0x80, 0xff],
        ];
        for form in forms {
            assert_eq!(from_cbor("pair", form).unwrap(), pair, "{form:02x?}");
        }
        let most = [&[0xc2, 0x48][..], &[0xff; 8]].concat();
        assert_eq!(as_u64("number", &from_cbor("number", &most).unwrap()), Ok(u64::MAX));
        let more = [&[0xc2, 0x49, 0x01][..], &[0; 8]].concat();
        assert!(as_u64("number", &from_cbor("number", &more).unwrap()).is_err());
    }

    #[test]
    fn depth_is_refused_not_followed() {
        for nest in [&[0x81][..], &[0x9f], &[0xd8, 0x79, 0x81], &[0xa1, 0x00], &[0xd8, 0x66, 0x82, 0x00, 0x81]] {
            let error = from_cbor("datum", &nest.repeat(16_000)).unwrap_err();
            assert!(error.problem.contains("32 levels"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn strangers_bytes_are_read_or_refused(bytes: Vec<u8>) {
            if let Ok(data) = from_cbor("datum", &bytes) {
                prop_assert_eq!(from_cbor("datum", &to_cbor(&data)).unwrap(), data);
            }
        }
    }
}
