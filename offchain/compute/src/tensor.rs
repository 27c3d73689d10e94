//! Tensors as they enter and leave a job, and their one canonical form.

#[cfg(test)]
mod tests;

use std::{fmt, str::FromStr};

use minicbor::Decoder;

use crate::hash::{Hash32, content_hash};

/// The most dimensions of a tensor.
pub const MAX_RANK: usize = 8;
/// The longest name of a tensor, in bytes.
pub const MAX_NAME: usize = 256;
/// The most bytes of elements in a tensor (1 GiB).
pub const MAX_TENSOR_BYTES: usize = 1 << 30;

/// The bits of the only NaN that is ever stored.
pub(crate) const CANONICAL_NAN: u32 = 0x7fc0_0000;

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DType {
    /// IEEE 754 binary32.
    F32,
    /// Unsigned, 8 bits.
    U8,
    /// Signed, 8 bits.
    I8,
    /// Signed, 32 bits.
    I32,
    /// Signed, 64 bits.
    I64,
    /// One byte, 0 or 1.
    Bool,
}

impl DType {
    const ALL: [Self; 6] = [Self::F32, Self::U8, Self::I8, Self::I32, Self::I64, Self::Bool];

    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 | Self::Bool => 1,
            Self::F32 | Self::I32 => 4,
            Self::I64 => 8,
        }
    }

    /// The name that stands in the canonical form.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::U8 => "u8",
            Self::I8 => "i8",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::Bool => "bool",
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for DType {
    type Err = TensorError;

    fn from_str(name: &str) -> Result<Self, TensorError> {
        Self::ALL
            .into_iter()
            .find(|dtype| dtype.name() == name)
            .ok_or_else(|| TensorError::UnknownDType { name: name.chars().take(16).collect() })
    }
}

/// Why something is not a tensor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TensorError {
    /// The name is too long.
    #[error("a tensor's name has {len} bytes; use at most {MAX_NAME}")]
    Name {
        /// Its length in bytes.
        len: usize,
    },
    /// Too many dimensions.
    #[error("tensor '{name}' has {rank} dimensions; use at most {MAX_RANK}")]
    Rank {
        /// The tensor's name.
        name: String,
        /// Its dimensions.
        rank: usize,
    },
    /// Too many elements.
    #[error("tensor '{name}' of shape {shape:?} is larger than {MAX_TENSOR_BYTES} bytes; split the batch")]
    TooLarge {
        /// The tensor's name.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// Elements and shape disagree.
    #[error("tensor '{name}' of type {dtype} and shape {shape:?} needs {expected} bytes of elements but has {found}")]
    Length {
        /// The tensor's name.
        name: String,
        /// Its type.
        dtype: DType,
        /// Its shape.
        shape: Vec<usize>,
        /// Bytes that type and shape ask for.
        expected: usize,
        /// Bytes that are there.
        found: usize,
    },
    /// An element that has another, canonical encoding.
    #[error("element {index} of tensor '{name}' is not canonical; write NaN as 0x7fc00000 and bool as 0 or 1")]
    Element {
        /// The tensor's name.
        name: String,
        /// Which element, in row-major order.
        index: usize,
    },
    /// A type that is not one of ours.
    #[error("element type '{name}' is unknown; use f32, u8, i8, i32, i64 or bool")]
    UnknownDType {
        /// The type's name.
        name: String,
    },
    /// Bytes that are not CBOR `[name, dtype, shape, bytes]`.
    #[error("the bytes are not a tensor in CBOR: {reason}; encode [name, dtype, shape, little-endian bytes]")]
    Encoding {
        /// What is wrong.
        reason: String,
    },
    /// CBOR of the right form, encoded in a way that is not the shortest.
    #[error("tensor '{name}' is not in canonical form; use definite lengths, shortest heads and nothing after the end")]
    NotCanonical {
        /// The tensor's name.
        name: String,
    },
}

/// A named array of numbers. Every value of this type is canonical: equal tensors have equal bytes and equal hashes.
#[derive(Clone, PartialEq, Eq)]
pub struct Tensor {
    name: String,
    dtype: DType,
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor({} {}{:?})", self.name, self.dtype, self.shape)
    }
}

impl Tensor {
    /// A tensor of row-major little-endian elements.
    ///
    /// # Errors
    /// [`TensorError`] when name, rank or size exceed the limits, when shape and bytes disagree, or when a NaN is not
    /// 0x7fc00000 or a bool not 0 or 1.
    pub fn new(name: impl Into<String>, dtype: DType, shape: Vec<usize>, data: Vec<u8>) -> Result<Self, TensorError> {
        let name = name.into();
        let expected = byte_len(&name, dtype, &shape)?;
        if data.len() != expected {
            return Err(TensorError::Length { name, dtype, shape, expected, found: data.len() });
        }
        let strange = match dtype {
            DType::F32 => f32_bits(&data).position(|bits| f32::from_bits(bits).is_nan() && bits != CANONICAL_NAN),
            DType::Bool => data.iter().position(|&byte| byte > 1),
            _ => None,
        };
        match strange {
            Some(index) => Err(TensorError::Element { name, index }),
            None => Ok(Self { name, dtype, shape, data }),
        }
    }

    /// A tensor of floats; every NaN becomes the canonical one.
    ///
    /// # Errors
    /// [`TensorError`] when name, rank or size exceed the limits, or when shape and number of elements disagree.
    pub fn from_f32(name: impl Into<String>, shape: Vec<usize>, elements: &[f32]) -> Result<Self, TensorError> {
        let bits = |x: &f32| if x.is_nan() { CANONICAL_NAN } else { x.to_bits() };
        Self::new(name, DType::F32, shape, elements.iter().flat_map(|x| bits(x).to_le_bytes()).collect())
    }

    /// A tensor of 64-bit integers.
    ///
    /// # Errors
    /// [`TensorError`] when name, rank or size exceed the limits, or when shape and number of elements disagree.
    pub fn from_i64(name: impl Into<String>, shape: Vec<usize>, elements: &[i64]) -> Result<Self, TensorError> {
        Self::new(name, DType::I64, shape, elements.iter().flat_map(|x| x.to_le_bytes()).collect())
    }

    /// What the model calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The type of its elements.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Its dimensions, outermost first; none for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Its elements, row-major, little-endian.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Its elements as floats, if it has floats.
    pub fn to_f32(&self) -> Option<Vec<f32>> {
        (self.dtype == DType::F32).then(|| f32_bits(&self.data).map(f32::from_bits).collect())
    }

    /// Its elements as 64-bit integers, if it has those.
    pub fn to_i64(&self) -> Option<Vec<i64>> {
        let (elements, _) = self.data.as_chunks::<8>();
        (self.dtype == DType::I64).then(|| elements.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect())
    }

    /// The same elements under another name.
    ///
    /// # Errors
    /// [`TensorError::Name`] when the name is too long.
    pub fn renamed(self, name: impl Into<String>) -> Result<Self, TensorError> {
        let name = name.into();
        check_name(&name)?;
        Ok(Self { name, ..self })
    }

    /// Canonical CBOR (RFC 8949, section 4.2.1): `[name, dtype, [dimension, …], elements]`, where the type is its
    /// [name](DType::name) and the elements are a byte string.
    pub fn to_canonical(&self) -> Vec<u8> {
        let mut bytes = self.canonical_head();
        bytes.extend_from_slice(&self.data);
        bytes
    }

    /// Reads a tensor and refuses every encoding but the canonical one.
    ///
    /// # Errors
    /// [`TensorError`] for anything else. Never allocates more than the input is long.
    pub fn from_canonical(bytes: &[u8]) -> Result<Self, TensorError> {
        let (name, dtype, shape, data) = decode(bytes)?;
        let tensor = Self::new(name, dtype, shape, data.to_vec())?;
        let head = tensor.canonical_head();
        if !bytes.starts_with(&head) || bytes.len() != head.len() + tensor.data.len() {
            return Err(TensorError::NotCanonical { name: tensor.name });
        }
        Ok(tensor)
    }

    /// The content hash of the canonical form: what names the tensor everywhere.
    pub fn hash(&self) -> Hash32 {
        content_hash(&self.to_canonical())
    }

    /// The canonical form without the elements themselves.
    fn canonical_head(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.name.len() + 64);
        push_head(&mut bytes, ARRAY, 4);
        for text in [&self.name, self.dtype.name()] {
            push_head(&mut bytes, TEXT, text.len());
            bytes.extend_from_slice(text.as_bytes());
        }
        push_head(&mut bytes, ARRAY, self.shape.len());
        for &dimension in &self.shape {
            push_head(&mut bytes, UNSIGNED, dimension);
        }
        push_head(&mut bytes, BYTES, self.data.len());
        bytes
    }
}

/// CBOR's major types, in the upper three bits of a head.
const UNSIGNED: u8 = 0 << 5;
const BYTES: u8 = 2 << 5;
const TEXT: u8 = 3 << 5;
const ARRAY: u8 = 4 << 5;

/// Writes the shortest CBOR head that holds the argument.
fn push_head(bytes: &mut Vec<u8>, major: u8, argument: usize) {
    let argument = argument as u64;
    let (info, width) = match argument {
        0..24 => (argument as u8, 0),
        24..=0xff => (24, 1),
        0x100..=0xffff => (25, 2),
        0x1_0000..=0xffff_ffff => (26, 4),
        _ => (27, 8),
    };
    bytes.push(major | info);
    bytes.extend_from_slice(&argument.to_be_bytes()[8 - width..]);
}

/// Name, type, shape and elements.
type Parts<'a> = (String, DType, Vec<usize>, &'a [u8]);

/// The parts of an encoded tensor, not yet checked for being canonical.
fn decode(bytes: &[u8]) -> Result<Parts<'_>, TensorError> {
    let wrong = |reason: &str| TensorError::Encoding { reason: reason.to_owned() };
    let cbor = |error: minicbor::decode::Error| TensorError::Encoding { reason: error.to_string() };
    let mut decoder = Decoder::new(bytes);
    if decoder.array().map_err(cbor)? != Some(4) {
        return Err(wrong("not an array of four items"));
    }
    let name = decoder.str().map_err(cbor)?;
    check_name(name)?;
    let dtype: DType = decoder.str().map_err(cbor)?.parse()?;
    let rank = decoder.array().map_err(cbor)?.ok_or_else(|| wrong("the shape has no definite length"))?;
    let rank = usize::try_from(rank).unwrap_or(usize::MAX);
    if rank > MAX_RANK {
        return Err(TensorError::Rank { name: name.to_owned(), rank });
    }
    let mut shape = Vec::with_capacity(rank);
    for _ in 0..rank {
        let dimension = decoder.u64().map_err(cbor)?;
        shape.push(usize::try_from(dimension).map_err(|_| wrong("a dimension is too large"))?);
    }
    Ok((name.to_owned(), dtype, shape, decoder.bytes().map_err(cbor)?))
}

fn check_name(name: &str) -> Result<(), TensorError> {
    if name.len() > MAX_NAME { Err(TensorError::Name { len: name.len() }) } else { Ok(()) }
}

/// Bytes of a tensor's elements, within all limits.
fn byte_len(name: &str, dtype: DType, shape: &[usize]) -> Result<usize, TensorError> {
    check_name(name)?;
    if shape.len() > MAX_RANK {
        return Err(TensorError::Rank { name: name.to_owned(), rank: shape.len() });
    }
    elements(shape)
        .and_then(|count| count.checked_mul(dtype.size()))
        .filter(|&bytes| bytes <= MAX_TENSOR_BYTES)
        .ok_or_else(|| TensorError::TooLarge { name: name.to_owned(), shape: shape.to_vec() })
}

/// The number of elements of a shape, at most [`MAX_TENSOR_BYTES`]. Dimensions beside a zero must be as small, so that
/// nothing loops over the rows of an empty tensor for ever.
pub(crate) fn elements(shape: &[usize]) -> Option<usize> {
    let product = shape.iter().filter(|&&d| d != 0).try_fold(1usize, |product, &d| product.checked_mul(d))?;
    let count = if shape.contains(&0) { 0 } else { product };
    (product <= MAX_TENSOR_BYTES).then_some(count)
}

/// The bit patterns of little-endian floats.
fn f32_bits(data: &[u8]) -> impl Iterator<Item = u32> {
    data.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes))
}
