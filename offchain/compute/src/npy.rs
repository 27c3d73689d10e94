//! NumPy's `.npy` files, read and written at the edge: bytes in, bytes out.
//!
//! The format is described in NumPy's `numpy.lib.format` (versions 1.0 to 3.0). Read are C-ordered arrays of
//! `<f4`, `|u1`, `|i1`, `<i4`, `<i8` and `|b1`.

use crate::tensor::{CANONICAL_NAN, DType, MAX_RANK, Tensor, TensorError};

const MAGIC: &[u8] = b"\x93NUMPY";

/// The longest header that is read, in bytes. NumPy's own limit is 10,000.
const MAX_HEADER: usize = 10_000;

/// Why a file is not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NpyError {
    /// Not a `.npy` file, or cut short.
    #[error("the file is not a .npy file ({reason}); write it with numpy.save")]
    Format {
        /// What is wrong.
        reason: &'static str,
    },
    /// An element type that the engine does not have.
    #[error("the .npy file holds elements of type '{found}'; convert to float32, uint8, int8, int32, int64 or bool")]
    DType {
        /// The type as NumPy writes it.
        found: String,
    },
    /// Column-major order.
    #[error("the .npy file is in Fortran order; save numpy.ascontiguousarray(x)")]
    FortranOrder,
    /// Shape and bytes disagree, or a limit is exceeded.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

/// Reads a `.npy` file as a tensor called `name`. Every NaN becomes the canonical one, every true bool 1.
///
/// # Errors
/// [`NpyError`] when it is not such a file, or of a type, order or size that is not supported.
pub fn read(name: &str, file: &[u8]) -> Result<Tensor, NpyError> {
    let format = |reason| NpyError::Format { reason };
    let rest = file.strip_prefix(MAGIC).ok_or(format("it does not start with \\x93NUMPY"))?;
    let (&[major, _minor], rest) = rest.split_first_chunk().ok_or(format("it ends in the version"))?;
    let short = format("it ends in the header");
    let (length, rest) = match major {
        1 => {
            let (&length, rest) = rest.split_first_chunk().ok_or(short.clone())?;
            (usize::from(u16::from_le_bytes(length)), rest)
        }
        2 | 3 => {
            let (&length, rest) = rest.split_first_chunk().ok_or(short.clone())?;
            (usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX), rest)
        }
        _ => return Err(format("its version is not 1, 2 or 3")),
    };
    if length > MAX_HEADER {
        return Err(format("its header is longer than 10,000 bytes"));
    }
    let (header, data) = rest.split_at_checked(length).ok_or(short)?;
    let header = std::str::from_utf8(header).map_err(|_| format("its header is not text"))?;
    let header =
        Header::parse(header).ok_or(format("its header is not a dictionary of descr, fortran_order, shape"))?;

    let dtype = dtype(header.descr).ok_or_else(|| NpyError::DType { found: header.descr.to_owned() })?;
    if header.fortran_order && header.shape.len() > 1 {
        return Err(NpyError::FortranOrder);
    }
    let mut data = data.to_vec();
    match dtype {
        DType::Bool => data.iter_mut().for_each(|byte| *byte = u8::from(*byte != 0)),
        DType::F32 => {
            for element in data.as_chunks_mut::<4>().0 {
                if f32::from_le_bytes(*element).is_nan() {
                    *element = CANONICAL_NAN.to_le_bytes();
                }
            }
        }
        _ => {}
    }
    Ok(Tensor::new(name, dtype, header.shape, data)?)
}

/// Writes a tensor as a `.npy` file, version 1.0. The name is not part of the format.
pub fn write(tensor: &Tensor) -> Vec<u8> {
    let descr = match tensor.dtype() {
        DType::F32 => "<f4",
        DType::U8 => "|u1",
        DType::I8 => "|i1",
        DType::I32 => "<i4",
        DType::I64 => "<i8",
        DType::Bool => "|b1",
    };
    let shape = match tensor.shape() {
        [one] => format!("({one},)"),
        many => format!("({})", many.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    };
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    // The data starts at a multiple of 64 bytes; a newline ends the header.
    let before = MAGIC.len() + 4;
    let length = (before + header.len() + 1).next_multiple_of(64) - before;
    header.push_str(&" ".repeat(length - header.len() - 1));
    header.push('\n');

    let mut file = MAGIC.to_vec();
    file.extend_from_slice(&[1, 0]);
    // At most 8 dimensions of 20 digits: the length fits 16 bits by far.
    file.extend_from_slice(&(length as u16).to_le_bytes());
    file.extend_from_slice(header.as_bytes());
    file.extend_from_slice(tensor.data());
    file
}

fn dtype(descr: &str) -> Option<DType> {
    Some(match descr {
        "<f4" => DType::F32,
        "|u1" => DType::U8,
        "|i1" => DType::I8,
        "<i4" => DType::I32,
        "<i8" => DType::I64,
        "|b1" => DType::Bool,
        _ => return None,
    })
}

/// What a header says.
struct Header<'a> {
    descr: &'a str,
    fortran_order: bool,
    shape: Vec<usize>,
}

impl<'a> Header<'a> {
    /// Reads the Python dictionary that NumPy writes: three keys in any order, each once.
    fn parse(text: &'a str) -> Option<Self> {
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        let mut rest = text.trim().strip_prefix('{')?;
        loop {
            rest = rest.trim_start();
            if let Some(after) = rest.strip_prefix('}') {
                return if after.is_empty() {
                    Some(Self { descr: descr?, fortran_order: fortran_order?, shape: shape? })
                } else {
                    None
                };
            }
            let (key, after) = quoted(rest)?;
            rest = after.trim_start().strip_prefix(':')?.trim_start();
            let seen = match key {
                "descr" => {
                    let (value, after) = quoted(rest)?;
                    rest = after;
                    descr.replace(value).is_some()
                }
                "fortran_order" => {
                    let value = rest.starts_with("True");
                    rest = rest.strip_prefix(if value { "True" } else { "False" })?;
                    fortran_order.replace(value).is_some()
                }
                "shape" => {
                    let (inside, after) = rest.strip_prefix('(')?.split_once(')')?;
                    rest = after;
                    shape.replace(dimensions(inside)?).is_some()
                }
                _ => return None,
            };
            if seen {
                return None;
            }
            rest = rest.trim_start();
            rest = match rest.strip_prefix(',') {
                Some(after) => after,
                None if rest.starts_with('}') => rest,
                None => return None,
            };
        }
    }
}

/// A string in single or double quotes, and what follows it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    text.get(1..)?.split_once(quote)
}

/// The inside of a tuple of dimensions. One dimension more than the limit is kept, so that the error is about the rank.
fn dimensions(inside: &str) -> Option<Vec<usize>> {
    let inside = inside.trim();
    let inside = inside.strip_suffix(',').unwrap_or(inside);
    if inside.is_empty() {
        return Some(Vec::new());
    }
    inside.split(',').take(MAX_RANK + 1).map(|d| d.trim().parse().ok()).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const IMAGES: &[u8] = include_bytes!("../fixtures/digits/images.npy");
    const LABELS: &[u8] = include_bytes!("../fixtures/digits/labels.npy");

    #[test]
    fn files_that_numpy_wrote_are_written_back_byte_for_byte() {
        for (file, dtype, shape) in [(IMAGES, DType::F32, vec![1797, 64]), (LABELS, DType::I64, vec![1797])] {
            let tensor = read("x", file).unwrap();
            assert_eq!((tensor.dtype(), tensor.shape()), (dtype, &shape[..]));
            assert!(write(&tensor) == file);
        }
    }

    #[test]
    fn scalars_and_empty_arrays_survive() {
        for shape in [vec![], vec![0], vec![3, 0, 2]] {
            let bytes = vec![7; shape.iter().product()];
            let tensor = Tensor::new("x", DType::U8, shape, bytes).unwrap();
            assert_eq!(read("x", &write(&tensor)).unwrap(), tensor);
        }
    }

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let mut file = b"\x93NUMPY\x01\x00".to_vec();
        file.extend_from_slice(&(header.len() as u16).to_le_bytes());
        file.extend_from_slice(header.as_bytes());
        file.extend_from_slice(data);
        file
    }

    #[test]
    fn what_is_not_supported_says_what_to_do() {
        let header = |descr: &str, order: &str, shape: &str| {
            format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}}}\n")
        };
        let fortran = read("x", &file(&header("|u1", "True", "(1, 1)"), &[1]));
        assert_eq!(fortran, Err(NpyError::FortranOrder));
        let double = read("x", &file(&header("<f8", "False", "(1,)"), &[0; 8]));
        assert_eq!(double, Err(NpyError::DType { found: "<f8".into() }));
        let objects = read("x", &file(&header("|O", "False", "(1,)"), &[0; 8]));
        assert_eq!(objects, Err(NpyError::DType { found: "|O".into() }));
        let short = read("x", &file(&header("<f4", "False", "(2,)"), &[0; 4]));
        assert!(matches!(short, Err(NpyError::Tensor(TensorError::Length { expected: 8, found: 4, .. }))));
        let huge = read("x", &file(&header("<f4", "False", "(99999999999, 99999999999)"), &[]));
        assert!(matches!(huge, Err(NpyError::Tensor(TensorError::TooLarge { .. }))));
        let deep = read("x", &file(&header("|u1", "False", "(1, 1, 1, 1, 1, 1, 1, 1, 1)"), &[1]));
        assert!(matches!(deep, Err(NpyError::Tensor(TensorError::Rank { rank: 9, .. }))));
        for twisted in
            ["{'descr': '|u1', 'descr': '|u1', 'fortran_order': False, 'shape': ()}", "{", "{}", "{'shape': (-1,)}"]
        {
            assert!(matches!(read("x", &file(twisted, &[1])), Err(NpyError::Format { .. })), "{twisted}");
        }
    }

    proptest! {
        #[test]
        fn changed_and_truncated_files_never_panic(at in 0usize..160, byte in any::<u8>(), end in 0usize..200) {
            let mut changed = LABELS[..200].to_vec();
            changed[at] = byte;
            let _ = read("x", &changed[..end]);
            let _ = read("x", &changed);
        }
    }
}
