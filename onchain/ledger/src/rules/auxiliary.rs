//! Auxiliary data: present exactly when the body has its hash, and well-formed (`UTXOW` rule, `validMetadatum`).

use crate::{
    cbor::{CborError, Major, Reader},
    hash::blake2b_256,
    rules::{Case, LedgerError},
};

/// Longest text or byte string in metadata, in bytes.
const MAX_METADATUM: u64 = 64;

pub(super) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    match (case.tx.auxiliary, case.tx.body.auxiliary_data_hash) {
        (None, None) => Ok(()),
        (Some(_), None) => Err(LedgerError::MissingTxBodyMetadataHash),
        (None, Some(_)) => Err(LedgerError::MissingTxMetadata),
        (Some(bytes), Some(hash)) if blake2b_256(bytes) != hash => Err(LedgerError::ConflictingMetadataHash),
        (Some(bytes), Some(_)) => metadata_of(bytes).map_err(LedgerError::InvalidMetadata),
    }
}

/// Finds the metadata in each of the three forms of auxiliary data, and checks it.
fn metadata_of(bytes: &[u8]) -> Result<(), CborError> {
    let mut reader = Reader::new(bytes);
    match reader.peek()?.major {
        Major::Map => metadata(&mut reader)?,
        Major::Array => {
            let length = reader.array()?;
            metadata(&mut reader)?;
            reader.any()?;
            reader.close(length, 2, "metadata and scripts")?;
        }
        _ => {
            let error = reader.error("auxiliary data (tag 259)");
            if reader.tag()? != 259 {
                return Err(error);
            }
            let length = reader.map()?;
            let mut fields = 0;
            while reader.more(length, fields) {
                if reader.uint()? == 0 {
                    metadata(&mut reader)?;
                } else {
                    reader.any()?;
                }
                fields += 1;
            }
        }
    }
    reader.end()
}

/// A map from labels to data whose strings are all short enough.
fn metadata(reader: &mut Reader<'_>) -> Result<(), CborError> {
    let length = reader.map()?;
    let mut labels = 0;
    while reader.more(length, labels) {
        reader.uint()?;
        short_strings(reader.any()?)?;
        labels += 1;
    }
    Ok(())
}

/// Goes through the heads of a well-formed item, in order: containers need no bookkeeping for that.
fn short_strings(item: &[u8]) -> Result<(), CborError> {
    let mut reader = Reader::new(item);
    while reader.end().is_err() {
        let error = reader.error("metadata: integers, strings of at most 64 bytes, lists and maps");
        let mut rest = reader.clone();
        let head = rest.head()?;
        match (head.major, head.value) {
            (Major::Bytes | Major::Text, Some(length)) if length <= MAX_METADATUM => {
                reader.any()?;
            }
            (Major::Bytes | Major::Text, None) if reader.clone().any()?.len() as u64 <= MAX_METADATUM => {
                reader.any()?;
            }
            (Major::Unsigned | Major::Negative | Major::Array | Major::Map, _) | (Major::Simple, None) => reader = rest,
            _ => return Err(error),
        }
    }
    Ok(())
}
