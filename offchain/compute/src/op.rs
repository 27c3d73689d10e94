//! The operators that the engine runs: their attributes, operands and types.

use std::collections::HashMap;

use crate::{
    error::{At, ModelError},
    onnx::{AttributeProto, NodeProto, TensorProto},
    tensor::DType,
};

/// A binary op with broadcasting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
}

/// An operator with its attributes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Op {
    ArgMax { axis: i64, keep: bool, last: bool },
    Arithmetic(Arithmetic),
    Cast(DType),
    Constant(Box<TensorProto>),
    DequantizeLinear { axis: i64 },
    DynamicQuantizeLinear,
    Flatten { axis: i64 },
    Gemm { alpha: f32, beta: f32, transpose_a: bool, transpose_b: bool },
    Identity,
    MatMul,
    MatMulInteger,
    QLinearMatMul,
    QuantizeLinear { axis: i64, to: Option<DType> },
    Relu,
    Reshape { zero_is_zero: bool },
}

/// How an element type is named in the file (`TensorProto.DataType`).
pub(crate) fn dtype_from_onnx(code: i32) -> Option<DType> {
    Some(match code {
        1 => DType::F32,
        2 => DType::U8,
        3 => DType::I8,
        6 => DType::I32,
        7 => DType::I64,
        9 => DType::Bool,
        _ => return None,
    })
}

const EIGHT_BIT: &[DType] = &[DType::U8, DType::I8];
const FLOAT: &[DType] = &[DType::F32];
const ANY: &[DType] = &[DType::F32, DType::U8, DType::I8, DType::I32, DType::I64, DType::Bool];

impl Op {
    /// Reads a node's operator and attributes, and checks how many operands it has.
    pub(crate) fn parse(node: &NodeProto, at: &At) -> Result<Self, ModelError> {
        if !matches!(node.domain.as_str(), "" | "ai.onnx") {
            let advice = "it is custom or written by an optimiser: pass the model as it was before optimisation";
            return Err(ModelError::UnknownOp { at: at.clone(), advice });
        }
        let mut attributes = Attributes::new(node, at)?;
        let op = match node.op_type.as_str() {
            "Add" => Self::Arithmetic(Arithmetic::Add),
            "Sub" => Self::Arithmetic(Arithmetic::Sub),
            "Mul" => Self::Arithmetic(Arithmetic::Mul),
            "Div" => Self::Arithmetic(Arithmetic::Div),
            "ArgMax" => Self::ArgMax {
                axis: attributes.int("axis", 0)?,
                keep: attributes.int("keepdims", 1)? != 0,
                last: attributes.int("select_last_index", 0)? != 0,
            },
            "Cast" => {
                // About 8-bit floats only, which are refused.
                attributes.int("saturate", 1)?;
                Self::Cast(attributes.dtype("to")?.ok_or_else(|| attributes.error("lacks the attribute 'to'"))?)
            }
            "Constant" => Self::Constant(Box::new(attributes.constant()?)),
            "DequantizeLinear" => Self::DequantizeLinear { axis: attributes.quantisation_axis()? },
            "DynamicQuantizeLinear" => Self::DynamicQuantizeLinear,
            "Flatten" => Self::Flatten { axis: attributes.int("axis", 1)? },
            "Gemm" => Self::Gemm {
                alpha: attributes.float("alpha", 1.0)?,
                beta: attributes.float("beta", 1.0)?,
                transpose_a: attributes.int("transA", 0)? != 0,
                transpose_b: attributes.int("transB", 0)? != 0,
            },
            "Identity" => Self::Identity,
            "MatMul" => Self::MatMul,
            "MatMulInteger" => Self::MatMulInteger,
            "QLinearMatMul" => Self::QLinearMatMul,
            "QuantizeLinear" => {
                attributes.int("saturate", 1)?;
                let to = attributes.dtype("output_dtype")?;
                Self::QuantizeLinear { axis: attributes.quantisation_axis()?, to }
            }
            "Relu" => Self::Relu,
            "Reshape" => Self::Reshape { zero_is_zero: attributes.int("allowzero", 0)? != 0 },
            "If" | "Loop" | "Scan" | "LSTM" | "GRU" | "RNN" | "SequenceMap" => {
                let advice = "control flow and recurrence have no fixed trace: export the model unrolled";
                return Err(ModelError::UnknownOp { at: at.clone(), advice });
            }
            _ => {
                let advice = "rewrite it with ops from the list of supported ops, or leave it out of the model";
                return Err(ModelError::UnknownOp { at: at.clone(), advice });
            }
        };
        attributes.finish()?;
        op.check_arity(node, at)?;
        Ok(op)
    }

    /// How many operands the op takes: the least, the most, and how many results it has.
    fn arity(&self) -> (usize, usize, usize) {
        match self {
            Self::Constant(_) => (0, 0, 1),
            Self::ArgMax { .. } | Self::Cast(_) | Self::Flatten { .. } | Self::Identity | Self::Relu => (1, 1, 1),
            Self::DynamicQuantizeLinear => (1, 1, 3),
            Self::Arithmetic(_) | Self::MatMul | Self::Reshape { .. } => (2, 2, 1),
            Self::QuantizeLinear { .. } | Self::DequantizeLinear { .. } | Self::Gemm { .. } => (2, 3, 1),
            Self::MatMulInteger => (2, 4, 1),
            Self::QLinearMatMul => (8, 8, 1),
        }
    }

    fn check_arity(&self, node: &NodeProto, at: &At) -> Result<(), ModelError> {
        let (least, most, results) = self.arity();
        let error = |reason| Err(ModelError::Node { at: at.clone(), reason });
        if node.input.len() > most {
            return error(format!("has {} inputs, but the op takes at most {most}", node.input.len()));
        }
        if (0..least).any(|i| node.input.get(i).is_none_or(String::is_empty)) {
            return error(format!("lacks one of the op's {least} inputs; export the model again"));
        }
        if node.output.len() != results || node.output.iter().any(String::is_empty) {
            return error(format!("must name all {results} outputs of the op; export the model again"));
        }
        Ok(())
    }

    /// The types of the results, from those of the operands.
    pub(crate) fn dtypes(&self, operands: &[Option<DType>]) -> Result<Vec<DType>, WrongType> {
        let of = Operands(operands);
        let eight_bits_and = |i: usize, zero: usize| {
            let dtype = of.one_of(i, EIGHT_BIT)?;
            of.same_if_given(zero, dtype).map(|()| dtype)
        };
        Ok(vec![match self {
            // A constant is folded before types are asked for.
            Self::Constant(_) => return Ok(Vec::new()),
            Self::ArgMax { .. } => {
                of.one_of(0, &[DType::F32, DType::U8, DType::I8, DType::I32, DType::I64])?;
                DType::I64
            }
            Self::Arithmetic(op) => {
                let types = if *op == Arithmetic::Div { FLOAT } else { &[DType::F32, DType::I32, DType::I64] };
                let dtype = of.one_of(0, types)?;
                of.one_of(1, &[dtype])?
            }
            Self::Cast(to) => {
                of.one_of(0, ANY)?;
                *to
            }
            Self::DequantizeLinear { .. } => {
                let dtype = of.one_of(0, &[DType::U8, DType::I8, DType::I32])?;
                of.same_if_given(2, dtype)?;
                of.one_of(1, FLOAT)?
            }
            Self::DynamicQuantizeLinear => {
                of.one_of(0, FLOAT)?;
                return Ok(vec![DType::U8, DType::F32, DType::U8]);
            }
            Self::Flatten { .. } | Self::Identity => of.one_of(0, ANY)?,
            Self::Gemm { .. } => {
                of.same_if_given(2, DType::F32)?;
                of.one_of(1, FLOAT)?;
                of.one_of(0, FLOAT)?
            }
            Self::MatMul => {
                of.one_of(1, FLOAT)?;
                of.one_of(0, FLOAT)?
            }
            Self::MatMulInteger => {
                eight_bits_and(0, 2)?;
                eight_bits_and(1, 3)?;
                DType::I32
            }
            Self::QLinearMatMul => {
                eight_bits_and(0, 2)?;
                eight_bits_and(3, 5)?;
                for scale in [1, 4, 6] {
                    of.one_of(scale, FLOAT)?;
                }
                of.one_of(7, EIGHT_BIT)?
            }
            Self::QuantizeLinear { to, .. } => {
                of.one_of(0, FLOAT)?;
                of.one_of(1, FLOAT)?;
                match to {
                    Some(to) => of.same_if_given(2, *to).map(|()| *to)?,
                    None if operands.get(2).is_some_and(Option::is_some) => of.one_of(2, EIGHT_BIT)?,
                    None => DType::U8,
                }
            }
            Self::Relu => of.one_of(0, FLOAT)?,
            Self::Reshape { .. } => {
                of.one_of(1, &[DType::I64])?;
                of.one_of(0, ANY)?
            }
        }])
    }
}

/// An operand whose type is not one that the op takes.
pub(crate) struct WrongType {
    pub(crate) operand: usize,
    pub(crate) expected: String,
}

/// The types of a node's operands; `None` for one that is left out.
struct Operands<'a>(&'a [Option<DType>]);

impl Operands<'_> {
    fn one_of(&self, operand: usize, expected: &[DType]) -> Result<DType, WrongType> {
        self.0.get(operand).copied().flatten().filter(|dtype| expected.contains(dtype)).ok_or_else(|| WrongType {
            operand,
            expected: expected.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or "),
        })
    }

    fn same_if_given(&self, operand: usize, expected: DType) -> Result<(), WrongType> {
        match self.0.get(operand).copied().flatten() {
            Some(_) => self.one_of(operand, &[expected]).map(drop),
            None => Ok(()),
        }
    }
}

/// The attributes of a node; each is taken out when it is read, and none may be left.
struct Attributes<'a> {
    by_name: HashMap<&'a str, &'a AttributeProto>,
    at: &'a At,
}

impl<'a> Attributes<'a> {
    fn new(node: &'a NodeProto, at: &'a At) -> Result<Self, ModelError> {
        let mut attributes = Self { by_name: HashMap::new(), at };
        for attribute in &node.attribute {
            if attributes.by_name.insert(&attribute.name, attribute).is_some() {
                return Err(attributes.error(&format!("has the attribute '{}' twice", attribute.name)));
            }
        }
        Ok(attributes)
    }

    fn error(&self, reason: &str) -> ModelError {
        ModelError::Node { at: self.at.clone(), reason: format!("{reason}; export the model again") }
    }

    fn take(&mut self, name: &str, kind: i32) -> Result<Option<&'a AttributeProto>, ModelError> {
        match self.by_name.remove(name) {
            Some(attribute) if attribute.r#type != kind => {
                Err(self.error(&format!("has the attribute '{name}' with a value of the wrong type")))
            }
            found => Ok(found),
        }
    }

    fn int(&mut self, name: &str, default: i64) -> Result<i64, ModelError> {
        Ok(self.take(name, AttributeProto::INT)?.map_or(default, |attribute| attribute.i))
    }

    fn float(&mut self, name: &str, default: f32) -> Result<f32, ModelError> {
        Ok(self.take(name, AttributeProto::FLOAT)?.map_or(default, |attribute| attribute.f))
    }

    /// An element type; 0 stands for none.
    fn dtype(&mut self, name: &str) -> Result<Option<DType>, ModelError> {
        let code = self.int(name, 0)?;
        let dtype = i32::try_from(code).ok().and_then(dtype_from_onnx);
        match dtype {
            None if code != 0 => Err(self.error(&format!(
                "has the attribute '{name}' with the element type {code}; use float, uint8, int8, int32, int64 or bool"
            ))),
            dtype => Ok(dtype),
        }
    }

    fn quantisation_axis(&mut self) -> Result<i64, ModelError> {
        if self.int("block_size", 0)? != 0 {
            return Err(self.error("quantises in blocks, which is not supported: quantise per tensor or per axis"));
        }
        self.int("axis", 1)
    }

    /// The value of a `Constant` node, in whichever form it is given.
    fn constant(&mut self) -> Result<TensorProto, ModelError> {
        if let Some(attribute) = self.take("value", AttributeProto::TENSOR)? {
            return attribute.t.clone().ok_or_else(|| self.error("has no tensor in 'value'"));
        }
        let (float, int) = (dtype_code::FLOAT, dtype_code::INT64);
        let tensor = |data_type, dims| TensorProto { data_type, dims, ..TensorProto::default() };
        if let Some(a) = self.take("value_float", AttributeProto::FLOAT)? {
            Ok(TensorProto { float_data: vec![a.f], ..tensor(float, vec![]) })
        } else if let Some(a) = self.take("value_int", AttributeProto::INT)? {
            Ok(TensorProto { int64_data: vec![a.i], ..tensor(int, vec![]) })
        } else if let Some(a) = self.take("value_floats", AttributeProto::FLOATS)? {
            Ok(TensorProto { float_data: a.floats.clone(), ..tensor(float, vec![a.floats.len() as i64]) })
        } else if let Some(a) = self.take("value_ints", AttributeProto::INTS)? {
            Ok(TensorProto { int64_data: a.ints.clone(), ..tensor(int, vec![a.ints.len() as i64]) })
        } else {
            Err(self.error("has no value of a supported type"))
        }
    }

    fn finish(self) -> Result<(), ModelError> {
        match self.by_name.keys().min() {
            Some(name) => Err(self.error(&format!("has the attribute '{name}', which is not supported"))),
            None => Ok(()),
        }
    }
}

/// `TensorProto.DataType` of the types that a `Constant` can name without a tensor.
mod dtype_code {
    pub(super) const FLOAT: i32 = 1;
    pub(super) const INT64: i32 = 7;
}
