//! A walk over a model file that bounds what decoding it can cost, before anything is decoded.
//!
//! A protobuf message of two bytes decodes to hundreds in memory, and one byte of a packed integer list to eight. The
//! walk counts both. It follows the levels below and no further, so its depth is fixed.

/// The most protobuf fields in the graph and below it.
pub(crate) const MAX_FIELDS: usize = 1 << 20;
/// The most bytes of packed integer lists. Tools store large tensors as raw bytes, which are not counted here.
pub(crate) const MAX_PACKED: usize = 16 << 20;

/// Why a file is refused before it is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScanError {
    /// Not protobuf, or cut short.
    Malformed,
    /// More than [`MAX_FIELDS`].
    Fields,
    /// More than [`MAX_PACKED`].
    Packed,
}

/// A message of the format, by what it can contain.
#[derive(Clone, Copy)]
enum Level {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    ValueInfo,
    Type,
    TensorType,
    Shape,
    Leaf,
    PackedIntegers,
    Opaque,
}

impl Level {
    /// What a length-delimited field of this message holds. Levels only go down.
    fn child(self, field: u64) -> Self {
        match (self, field) {
            (Self::Model, 7) => Self::Graph,
            (Self::Graph, 1) => Self::Node,
            (Self::Graph, 5) | (Self::Attribute, 5) => Self::Tensor,
            (Self::Graph, 11 | 12) => Self::ValueInfo,
            (Self::Node, 5) => Self::Attribute,
            (Self::ValueInfo, 2) => Self::Type,
            (Self::Type, 1) => Self::TensorType,
            (Self::TensorType, 2) => Self::Shape,
            (Self::Shape, 1) | (Self::Model, 8) => Self::Leaf,
            (Self::Attribute, 8) | (Self::Tensor, 1 | 5 | 7) => Self::PackedIntegers,
            _ => Self::Opaque,
        }
    }
}

/// Checks that decoding the file stays within the limits.
pub(crate) fn scan(file: &[u8]) -> Result<(), ScanError> {
    Budget { fields: MAX_FIELDS, packed: MAX_PACKED }.message(Level::Model, file)
}

struct Budget {
    fields: usize,
    packed: usize,
}

impl Budget {
    fn message(&mut self, level: Level, mut rest: &[u8]) -> Result<(), ScanError> {
        while !rest.is_empty() {
            self.fields = self.fields.checked_sub(1).ok_or(ScanError::Fields)?;
            let key = varint(&mut rest)?;
            match key & 7 {
                0 => drop(varint(&mut rest)?),
                1 => drop(take(&mut rest, 8)?),
                5 => drop(take(&mut rest, 4)?),
                2 => {
                    let length = varint(&mut rest)?;
                    let inside = take(&mut rest, length)?;
                    match level.child(key >> 3) {
                        Level::Opaque => {}
                        Level::PackedIntegers => {
                            self.packed = self.packed.checked_sub(inside.len()).ok_or(ScanError::Packed)?;
                        }
                        child => self.message(child, inside)?,
                    }
                }
                // Groups were never part of the format.
                _ => return Err(ScanError::Malformed),
            }
        }
        Ok(())
    }
}

fn take<'a>(rest: &mut &'a [u8], length: u64) -> Result<&'a [u8], ScanError> {
    let length = usize::try_from(length).map_err(|_| ScanError::Malformed)?;
    let (taken, after) = rest.split_at_checked(length).ok_or(ScanError::Malformed)?;
    *rest = after;
    Ok(taken)
}

fn varint(rest: &mut &[u8]) -> Result<u64, ScanError> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest.split_first().ok_or(ScanError::Malformed)?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(ScanError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, inside: &[u8]) -> Vec<u8> {
        let mut bytes = vec![number << 3 | 2];
        let mut length = inside.len();
        while length >= 0x80 {
            bytes.push(length as u8 | 0x80);
            length >>= 7;
        }
        bytes.push(length as u8);
        bytes.extend_from_slice(inside);
        bytes
    }

    #[test]
    fn a_million_empty_nodes_are_refused() {
        let nodes = |count| field(7, &field(1, &[]).repeat(count));
        assert_eq!(scan(&nodes(MAX_FIELDS - 1)), Ok(()));
        assert_eq!(scan(&nodes(MAX_FIELDS)), Err(ScanError::Fields));
    }

    #[test]
    fn long_packed_lists_are_refused() {
        let dims = |count| field(7, &field(5, &field(1, &vec![1; count])));
        assert_eq!(scan(&dims(MAX_PACKED)), Ok(()));
        assert_eq!(scan(&dims(MAX_PACKED + 1)), Err(ScanError::Packed));
    }

    #[test]
    fn a_length_beyond_the_file_is_malformed() {
        assert_eq!(
            scan(&[7 << 3 | 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
            Err(ScanError::Malformed)
        );
        assert_eq!(
            scan(&[7 << 3 | 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
            Err(ScanError::Malformed)
        );
    }
}
