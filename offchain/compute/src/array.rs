//! Tensors inside a run: typed elements and a shape.

use crate::tensor::{DType, Tensor, TensorError, elements};

/// The elements of an array, row-major.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Elements {
    F32(Vec<f32>),
    U8(Vec<u8>),
    I8(Vec<i8>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    Bool(Vec<bool>),
}

/// A shape and as many elements as it says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Array {
    pub(crate) shape: Vec<usize>,
    pub(crate) elements: Elements,
}

impl Elements {
    pub(crate) fn dtype(&self) -> DType {
        match self {
            Self::F32(_) => DType::F32,
            Self::U8(_) => DType::U8,
            Self::I8(_) => DType::I8,
            Self::I32(_) => DType::I32,
            Self::I64(_) => DType::I64,
            Self::Bool(_) => DType::Bool,
        }
    }

    /// Reads row-major little-endian bytes; what is left over at the end is ignored.
    pub(crate) fn from_le_bytes(dtype: DType, bytes: &[u8]) -> Self {
        match dtype {
            DType::F32 => Self::F32(bytes.as_chunks().0.iter().map(|b| canonical(f32::from_le_bytes(*b))).collect()),
            DType::U8 => Self::U8(bytes.to_vec()),
            DType::I8 => Self::I8(bytes.iter().map(|&b| b.cast_signed()).collect()),
            DType::I32 => Self::I32(bytes.as_chunks().0.iter().map(|b| i32::from_le_bytes(*b)).collect()),
            DType::I64 => Self::I64(bytes.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect()),
            DType::Bool => Self::Bool(bytes.iter().map(|&b| b != 0).collect()),
        }
    }

    /// Row-major little-endian bytes.
    pub(crate) fn to_le_bytes(&self) -> Vec<u8> {
        match self {
            Self::F32(x) => x.iter().flat_map(|x| canonical(*x).to_le_bytes()).collect(),
            Self::U8(x) => x.clone(),
            Self::I8(x) => x.iter().map(|x| x.cast_unsigned()).collect(),
            Self::I32(x) => x.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Self::I64(x) => x.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Self::Bool(x) => x.iter().map(|x| u8::from(*x)).collect(),
        }
    }

    /// 8-bit elements as integers, for zero points; other types have none.
    pub(crate) fn to_zero_points(&self) -> Option<Vec<i32>> {
        match self {
            Self::U8(x) => Some(x.iter().map(|&x| i32::from(x)).collect()),
            Self::I8(x) => Some(x.iter().map(|&x| i32::from(x)).collect()),
            Self::I32(x) => Some(x.clone()),
            _ => None,
        }
    }
}

impl Array {
    pub(crate) fn dtype(&self) -> DType {
        self.elements.dtype()
    }

    /// Bytes of the elements in memory.
    pub(crate) fn bytes(&self) -> usize {
        elements(&self.shape).unwrap_or(usize::MAX).saturating_mul(self.dtype().size())
    }

    pub(crate) fn f32s(&self) -> Option<&[f32]> {
        match &self.elements {
            Elements::F32(x) => Some(x),
            _ => None,
        }
    }

    pub(crate) fn i64s(&self) -> Option<&[i64]> {
        match &self.elements {
            Elements::I64(x) => Some(x),
            _ => None,
        }
    }

    pub(crate) fn from_tensor(tensor: &Tensor) -> Self {
        Self { shape: tensor.shape().to_vec(), elements: Elements::from_le_bytes(tensor.dtype(), tensor.data()) }
    }

    pub(crate) fn to_tensor(&self, name: &str) -> Result<Tensor, TensorError> {
        Tensor::new(name, self.dtype(), self.shape.clone(), self.elements.to_le_bytes())
    }
}

/// The same number, with every NaN as the one that is stored.
#[inline(always)]
pub(crate) fn canonical(x: f32) -> f32 {
    if x.is_nan() { f32::from_bits(crate::tensor::CANONICAL_NAN) } else { x }
}
