//! Reading auxiliary data, in the forms of the Shelley, Allegra and Alonzo eras (CDDL `auxiliary_data`).

use std::collections::BTreeSet;

use crate::{
    cbor::{CborError, Head, Major, Reader},
    received::{ReceivedAuxiliary, output},
    transaction::Script,
};

/// Marks the form that came with the Alonzo era.
const ALONZO_TAG: u64 = 259;

pub(super) fn auxiliary<'a>(reader: &mut Reader<'a>) -> Result<ReceivedAuxiliary<'a>, CborError> {
    let start = reader.position();
    let mut read = ReceivedAuxiliary::default();
    match reader.peek()?.major {
        Major::Map => metadata(reader, &mut read)?,
        Major::Array => {
            let length = reader.array()?;
            metadata(reader, &mut read)?;
            scripts(reader, &mut read, native)?;
            reader.close(length, 2, "metadata and scripts")?;
        }
        _ => alonzo(reader, &mut read)?,
    }
    read.bytes = reader.since(start);
    Ok(read)
}

fn alonzo(reader: &mut Reader<'_>, read: &mut ReceivedAuxiliary<'_>) -> Result<(), CborError> {
    let error = reader.error("auxiliary data (tag 259)");
    if reader.tag()? != ALONZO_TAG {
        return Err(error);
    }
    let length = reader.map()?;
    let mut seen = BTreeSet::new();
    while reader.more(length, seen.len() as u64) {
        let error = reader.error("a field of auxiliary data, each at most once");
        let key = reader.uint()?;
        if !seen.insert(key) {
            return Err(error);
        }
        match key {
            0 => metadata(reader, read)?,
            1 => scripts(reader, read, native)?,
            2 => scripts(reader, read, |reader| Ok(Script::PlutusV1(reader.bytes()?.to_vec())))?,
            3 => scripts(reader, read, |reader| Ok(Script::PlutusV2(reader.bytes()?.to_vec())))?,
            4 => scripts(reader, read, |reader| Ok(Script::PlutusV3(reader.bytes()?.to_vec())))?,
            _ => return Err(error),
        }
    }
    Ok(())
}

fn native(reader: &mut Reader<'_>) -> Result<Script, CborError> {
    Ok(Script::Native(output::native_script(reader)?.to_vec()))
}

fn scripts(
    reader: &mut Reader<'_>,
    read: &mut ReceivedAuxiliary<'_>,
    script: fn(&mut Reader<'_>) -> Result<Script, CborError>,
) -> Result<(), CborError> {
    let length = reader.array()?;
    read.scripts.extend(reader.items(length, script)?);
    Ok(())
}

/// A map from labels, each once, to data of integers, strings, lists and maps.
fn metadata(reader: &mut Reader<'_>, read: &mut ReceivedAuxiliary<'_>) -> Result<(), CborError> {
    let length = reader.map()?;
    let mut labels = BTreeSet::new();
    while reader.more(length, labels.len() as u64) {
        let error = reader.error("each label of metadata once");
        if !labels.insert(reader.uint()?) {
            return Err(error);
        }
        metadatum(reader.any()?, read)?;
    }
    Ok(())
}

/// Goes through the heads of a well-formed item, in order: containers need no bookkeeping for that.
fn metadatum(item: &[u8], read: &mut ReceivedAuxiliary<'_>) -> Result<(), CborError> {
    let mut reader = Reader::new(item);
    while reader.end().is_err() {
        let error = reader.error("metadata: integers, strings, lists and maps");
        let head = reader.head()?;
        match (head.major, head.value) {
            (Major::Bytes | Major::Text, _) => {
                let length = string(&mut reader, head)?;
                read.longest_string = read.longest_string.max(length);
            }
            // A simple value without a value is the break at the end of a container.
            (Major::Unsigned | Major::Negative | Major::Array | Major::Map, _) | (Major::Simple, None) => {}
            (Major::Tag | Major::Simple, _) => return Err(error),
        }
    }
    Ok(())
}

/// Moves over a string whose head was read and returns its length in bytes, that of all chunks together.
fn string(reader: &mut Reader<'_>, head: Head) -> Result<u64, CborError> {
    if let Some(length) = head.value {
        reader.skip(length)?;
        return Ok(length);
    }
    let mut sum = 0_u64;
    while reader.more(None, 0) {
        let length = reader.head()?.value.ok_or_else(|| reader.error("a chunk of a string"))?;
        reader.skip(length)?;
        sum = sum.saturating_add(length);
    }
    Ok(sum)
}
