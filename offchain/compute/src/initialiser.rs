//! Reads a weight out of a model file.

use crate::{
    array::{Array, Elements},
    onnx::TensorProto,
    op::dtype_from_onnx,
    tensor::{DType, MAX_RANK, MAX_TENSOR_BYTES, elements},
};

/// The elements of a tensor in the file, or what is wrong with it.
pub(crate) fn read(tensor: &TensorProto) -> Result<Array, String> {
    if tensor.data_location != 0 {
        return Err("its data is in another file; save the model as one file".into());
    }
    let dtype = dtype_from_onnx(tensor.data_type).ok_or_else(|| {
        format!("has element type {}; use float, uint8, int8, int32, int64 or bool", tensor.data_type)
    })?;
    let shape = tensor
        .dims
        .iter()
        .map(|&d| usize::try_from(d).map_err(|_| format!("has the dimension {d}")))
        .collect::<Result<Vec<_>, _>>()?;
    if shape.len() > MAX_RANK {
        return Err(format!("has {} dimensions, more than {MAX_RANK}", shape.len()));
    }
    let count = elements(&shape)
        .filter(|count| count.checked_mul(dtype.size()).is_some_and(|bytes| bytes <= MAX_TENSOR_BYTES))
        .ok_or_else(|| format!("of shape {shape:?} is larger than {MAX_TENSOR_BYTES} bytes"))?;

    let (found, elements) = match &tensor.raw_data {
        Some(raw) if raw.len() == count * dtype.size() => (count, Elements::from_le_bytes(dtype, raw)),
        Some(raw) => return Err(format!("of shape {shape:?} has {} bytes of data; the file is damaged", raw.len())),
        None => typed(tensor, dtype),
    };
    if found != count {
        return Err(format!("of shape {shape:?} has {found} elements; the file is damaged"));
    }
    Ok(Array { shape, elements })
}

/// Elements that are stored as numbers: small integers each in 32 bits, of which only the lower ones count.
fn typed(tensor: &TensorProto, dtype: DType) -> (usize, Elements) {
    let small = &tensor.int32_data;
    match dtype {
        DType::F32 => {
            let floats = tensor.float_data.iter().map(|&x| crate::array::canonical(x));
            (tensor.float_data.len(), Elements::F32(floats.collect()))
        }
        DType::I64 => (tensor.int64_data.len(), Elements::I64(tensor.int64_data.clone())),
        DType::I32 => (small.len(), Elements::I32(small.clone())),
        DType::U8 => (small.len(), Elements::U8(small.iter().map(|&x| x as u8).collect())),
        DType::I8 => (small.len(), Elements::I8(small.iter().map(|&x| x as i8).collect())),
        DType::Bool => (small.len(), Elements::Bool(small.iter().map(|&x| x != 0).collect())),
    }
}
