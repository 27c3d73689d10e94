//! What a model file says about its inputs and outputs.

use super::{Dimension, ValueSpec, build::shortened};
use crate::{
    error::ModelError,
    onnx::{DimensionProto, ValueInfoProto},
    op::dtype_from_onnx,
    tensor::{MAX_NAME, MAX_RANK},
};

/// Reads the declaration of an input or output.
pub(super) fn read(direction: &'static str, value: &ValueInfoProto) -> Result<ValueSpec, ModelError> {
    let wrong = |reason: String| ModelError::Interface { direction, name: shortened(&value.name), reason };
    if value.name.len() > MAX_NAME {
        return Err(wrong(format!("its name is longer than {MAX_NAME} bytes; rename it")));
    }
    let tensor = value.r#type.as_ref().and_then(|t| t.tensor_type.as_ref());
    let tensor = tensor.ok_or_else(|| wrong("it is no tensor; export the model with tensors only".into()))?;
    let dtype = dtype_from_onnx(tensor.elem_type).ok_or_else(|| {
        wrong(format!("has element type {}; use float, uint8, int8, int32, int64 or bool", tensor.elem_type))
    })?;
    let dimension = |d: &DimensionProto| match (d.dim_value, &d.dim_param) {
        (Some(size), _) => usize::try_from(size)
            .map(Dimension::Fixed)
            .map_err(|_| wrong(format!("has the dimension {size}; export the model again"))),
        (None, Some(symbol)) if !symbol.is_empty() => Ok(Dimension::Symbol(symbol.clone())),
        _ => Ok(Dimension::Any),
    };
    let shape = match &tensor.shape {
        Some(shape) if shape.dim.len() > MAX_RANK => {
            return Err(wrong(format!("has {} dimensions; use at most {MAX_RANK}", shape.dim.len())));
        }
        Some(shape) => Some(shape.dim.iter().map(dimension).collect::<Result<_, _>>()?),
        None => None,
    };
    Ok(ValueSpec { name: value.name.clone(), dtype, shape })
}
