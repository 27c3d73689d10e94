//! Finds a transaction's metadata in its auxiliary data.

use std::collections::BTreeMap;

use minicbor::{Decoder, data::Type, decode::Error};

/// The tag of auxiliary data since the Alonzo era.
const AUXILIARY_DATA: u64 = 259;

/// The values of metadata as CBOR, by their labels, out of any of the three forms of auxiliary data (`auxiliary_data`
/// in the CDDL).
pub(super) fn metadata(auxiliary: &[u8]) -> Result<BTreeMap<u64, Vec<u8>>, Error> {
    let mut decoder = Decoder::new(auxiliary);
    match decoder.datatype()? {
        Type::Map | Type::MapIndef => labels(&mut decoder),
        Type::Array | Type::ArrayIndef => {
            decoder.array()?;
            labels(&mut decoder)
        }
        _ => {
            if decoder.tag()?.as_u64() != AUXILIARY_DATA {
                return Err(Error::message("no auxiliary data"));
            }
            let length = decoder.map()?;
            let mut fields = 0;
            while more(&decoder, length, fields)? {
                if decoder.u64()? == 0 {
                    return labels(&mut decoder);
                }
                decoder.skip()?;
                fields += 1;
            }
            Ok(BTreeMap::new())
        }
    }
}

fn labels(decoder: &mut Decoder<'_>) -> Result<BTreeMap<u64, Vec<u8>>, Error> {
    let length = decoder.map()?;
    let mut labels = BTreeMap::new();
    let mut read = 0;
    while more(decoder, length, read)? {
        let label = decoder.u64()?;
        let start = decoder.position();
        decoder.skip()?;
        let value = decoder.input().get(start..decoder.position()).unwrap_or_default();
        labels.insert(label, value.to_vec());
        read += 1;
    }
    Ok(labels)
}

/// Whether a map of that length has another entry.
fn more(decoder: &Decoder<'_>, length: Option<u64>, read: u64) -> Result<bool, Error> {
    match length {
        Some(length) => Ok(read < length),
        None => Ok(decoder.datatype()? != Type::Break),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_found_in_every_form() {
        let expected = BTreeMap::from([(1, vec![0x02]), (674, vec![0xa1, 0x63, b'm', b's', b'g', 0x80])]);
        let map = "a201021902a2a1636d736780";
        for form in
            [map.to_owned(), format!("82{map}80"), format!("d90103a1 00{map}"), format!("d90103bf018000{map}ff")]
        {
            let bytes = hex::decode(form.replace(' ', "")).unwrap();
            assert_eq!(metadata(&bytes).unwrap(), expected, "{form}");
        }
        assert!(metadata(&hex::decode("d90103a1018080").unwrap()).unwrap().is_empty());
    }

    #[test]
    fn other_bytes_are_refused() {
        for bad in ["", "00", "d9010200", "a10102ff00".get(..4).unwrap(), "bf0102"] {
            assert!(metadata(&hex::decode(bad).unwrap()).is_err(), "{bad}");
        }
    }
}
