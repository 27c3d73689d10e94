//! Builds a model from its file: names to slots, constants folded, types inferred.

use std::{collections::HashMap, sync::Arc};

use super::{Linear, Model, Node, ScaleSource, Slot, ValueSpec, interface, linear::Operands};
use crate::{
    array::Array,
    error::{At, ModelError},
    hash::Hash32,
    initialiser,
    kernel::{Stop, evaluate},
    onnx::{GraphProto, NodeProto},
    op::Op,
    shape,
    tensor::{DType, MAX_NAME, elements},
};

/// The most nodes of a model.
const MAX_NODES: usize = 1 << 16;
/// The most bytes of constants, those that are folded and packed included (2 GiB).
const MAX_CONSTANT_BYTES: usize = 2 << 30;
/// The most bytes that folding constants may read and write (1 GiB).
const MAX_FOLDED_BYTES: usize = 1 << 30;

pub(super) fn build(graph: &GraphProto, program_hash: Hash32) -> Result<Model, ModelError> {
    if graph.node.len() > MAX_NODES {
        return Err(ModelError::TooLarge { what: "nodes", limit: MAX_NODES });
    }
    if !graph.sparse_initializer.is_empty() {
        let reason = "sparse weights are not supported; store them dense".to_owned();
        return Err(ModelError::Initialiser { name: String::new(), reason });
    }
    let mut builder = Builder::default();
    for tensor in &graph.initializer {
        let wrong = |reason| ModelError::Initialiser { name: shortened(&tensor.name), reason };
        let array = initialiser::read(tensor).map_err(wrong)?;
        builder.define_constant(&tensor.name, array)?;
    }
    let mut inputs = Vec::new();
    for input in &graph.input {
        // Old files list weights among the inputs, too.
        if builder.names.get(&input.name).is_some_and(|&slot| builder.slots[slot].is_some()) {
            continue;
        }
        let spec = interface::read("input", input)?;
        inputs.push((builder.define(&input.name, spec.dtype)?, spec));
    }
    for (node, number) in graph.node.iter().zip(0..) {
        builder.node(node, At { node: number, name: shortened(&node.name), op: shortened(&node.op_type) })?;
    }
    let mut outputs = Vec::new();
    for output in &graph.output {
        let spec = interface::read("output", output)?;
        let slot = builder.find(&output.name, || format!("the output '{}'", shortened(&output.name)))?;
        let found = builder.dtypes[slot];
        if found != spec.dtype {
            let reason = format!("is declared as {} but is {found}; export the model again", spec.dtype);
            return Err(ModelError::Interface { direction: "output", name: spec.name, reason });
        }
        outputs.push((slot, spec));
    }
    if outputs.is_empty() {
        return Err(ModelError::NotOnnx { reason: "it has no outputs".into() });
    }
    let float = builder.nodes.iter().find(|node| matches!(node.op, Op::MatMul | Op::Gemm { .. }));
    if let (Some(node), true) = (float, builder.linears.is_empty()) {
        return Err(ModelError::NotQuantised { at: node.at.clone() });
    }
    builder.free_after_last_use(&outputs);
    let Builder { nodes, linears, slots, dtypes, .. } = builder;
    Ok(Model { program_hash, inputs, outputs, nodes, linears, slots, dtypes })
}

/// Names in errors and traces are cut, so that a file cannot make them long.
pub(super) fn shortened(name: &str) -> String {
    name.chars().take(MAX_NAME / 4).collect()
}

#[derive(Default)]
struct Builder {
    names: HashMap<String, Slot>,
    slots: Vec<Option<Arc<Array>>>,
    dtypes: Vec<DType>,
    /// For a quantised value: where its scale comes from. Follows it through ops that only reshape.
    scales: HashMap<Slot, ScaleSource>,
    nodes: Vec<Node>,
    linears: Vec<Linear>,
    constant_bytes: usize,
    folded_bytes: usize,
}

impl Builder {
    fn define(&mut self, name: &str, dtype: DType) -> Result<Slot, ModelError> {
        let slot = self.slots.len();
        if name.is_empty() || self.names.insert(name.to_owned(), slot).is_some() {
            return Err(ModelError::Duplicate { value: shortened(name) });
        }
        self.slots.push(None);
        self.dtypes.push(dtype);
        Ok(slot)
    }

    fn define_constant(&mut self, name: &str, array: Array) -> Result<(), ModelError> {
        self.keep(array.bytes())?;
        let slot = self.define(name, array.dtype())?;
        self.slots[slot] = Some(Arc::new(array));
        Ok(())
    }

    /// Counts bytes that the model will hold.
    fn keep(&mut self, bytes: usize) -> Result<(), ModelError> {
        self.constant_bytes = self.constant_bytes.saturating_add(bytes);
        if self.constant_bytes > MAX_CONSTANT_BYTES {
            return Err(ModelError::TooLarge { what: "bytes of constants", limit: MAX_CONSTANT_BYTES });
        }
        Ok(())
    }

    fn find(&self, name: &str, reader: impl Fn() -> String) -> Result<Slot, ModelError> {
        let found = self.names.get(name).copied();
        found.ok_or_else(|| ModelError::Undefined { reader: reader(), value: shortened(name) })
    }

    fn node(&mut self, proto: &NodeProto, at: At) -> Result<(), ModelError> {
        let op = Op::parse(proto, &at)?;
        let wrong = |reason: String| ModelError::Node { at: at.clone(), reason };
        let Some(first_result) = proto.output.first() else {
            return Err(wrong("has no outputs; export the model again".into()));
        };
        if let Op::Constant(tensor) = &op {
            return self.define_constant(first_result, initialiser::read(tensor).map_err(wrong)?);
        }
        let operand = |name: &String| match name.as_str() {
            "" => Ok(None),
            name => self.find(name, || at.to_string()).map(Some),
        };
        let operands = proto.input.iter().map(operand).collect::<Result<Vec<_>, _>>()?;
        let types: Vec<_> = operands.iter().map(|slot| slot.map(|slot| self.dtypes[slot])).collect();
        let dtypes = op.dtypes(&types).map_err(|mistake| match types.get(mistake.operand).copied().flatten() {
            Some(found) => {
                let value = shortened(&proto.input[mistake.operand]);
                ModelError::DType { at: at.clone(), value, found, expected: mistake.expected }
            }
            None => wrong(format!("lacks operand {}; export the model again", mistake.operand)),
        })?;
        if let Some(array) = self.fold(&op, &operands, &at)? {
            return self.define_constant(first_result, array);
        }
        if matches!(op, Op::Reshape { .. }) && self.constant(operands.get(1).copied().flatten()).is_none() {
            return Err(wrong("its shape is computed at run time; export the model with a constant shape".into()));
        }
        let linear = if matches!(op, Op::MatMulInteger | Op::QLinearMatMul) {
            // Packed weights take 16 bits each, and many ops may share one matrix.
            let weights = if op == Op::QLinearMatMul { 3 } else { 1 };
            let bytes = self.constant(operands.get(weights).copied().flatten()).map_or(0, |array| array.bytes());
            self.keep(bytes.saturating_mul(2))?;
            self.linears.push(self.linear(&op, &operands, &types, &at)?);
            Some(self.linears.len() - 1)
        } else {
            None
        };
        let results = proto.output.iter().zip(dtypes);
        let results = results.map(|(name, dtype)| self.define(name, dtype)).collect::<Result<Vec<_>, _>>()?;
        self.note_scale(&op, &operands, &results);
        self.nodes.push(Node { at, op, linear, operands, results, frees: Vec::new() });
        Ok(())
    }

    fn constant(&self, slot: Option<Slot>) -> Option<&Arc<Array>> {
        self.slots.get(slot?)?.as_ref()
    }

    /// Computes a node whose operands are all constant. Products and dynamic quantisations stay: a trace shows them.
    fn fold(&mut self, op: &Op, operands: &[Option<Slot>], at: &At) -> Result<Option<Array>, ModelError> {
        let stays = matches!(
            op,
            Op::MatMulInteger | Op::QLinearMatMul | Op::DynamicQuantizeLinear | Op::MatMul | Op::Gemm { .. }
        );
        let constants: Vec<_> = operands.iter().map(|slot| self.constant(*slot).cloned()).collect();
        let constants: Vec<_> = constants.iter().map(Option::as_deref).collect();
        if stays || operands.iter().zip(&constants).any(|(slot, constant)| slot.is_some() && constant.is_none()) {
            return Ok(None);
        }
        let wrong = |reason: String| ModelError::Node { at: at.clone(), reason };
        let shapes: Vec<_> = constants.iter().map(|array| array.map(|array| &array.shape[..])).collect();
        let target = constants.get(1).copied().flatten().and_then(Array::i64s);
        let shapes = shape::results(op, &shapes, target).map_err(wrong)?;
        let read = constants.iter().flatten().fold(0, |sum: usize, array| sum.saturating_add(array.bytes()));
        // No element is wider than eight bytes.
        let written = shapes.first().and_then(|shape| elements(shape)).map_or(usize::MAX, |count| count * 8);
        self.folded_bytes = self.folded_bytes.saturating_add(read).saturating_add(written);
        if self.folded_bytes > MAX_FOLDED_BYTES {
            return Err(ModelError::TooLarge { what: "bytes of constants to fold", limit: MAX_FOLDED_BYTES });
        }
        let results = evaluate(op, &constants, shapes).map_err(|stop| match stop {
            Stop::Fault(reason) => wrong(format!("{reason}, in the model's own constants; check its weights")),
            Stop::Mismatch => wrong("its constant operands do not go together; export the model again".into()),
        })?;
        Ok(results.arrays.into_iter().next())
    }

    fn linear(
        &self,
        op: &Op,
        operands: &[Option<Slot>],
        types: &[Option<DType>],
        at: &At,
    ) -> Result<Linear, ModelError> {
        let activation = operands.first().copied().flatten();
        let scale = activation.and_then(|slot| self.scales.get(&slot)).cloned().unwrap_or(ScaleSource::Unknown);
        let activation = types.first().copied().flatten().unwrap_or(DType::U8);
        let constants = operands.iter().map(|slot| self.constant(*slot).cloned()).collect();
        Linear::new(op, &Operands { at, slots: operands, constants, activation, scale })
    }

    fn note_scale(&mut self, op: &Op, operands: &[Option<Slot>], results: &[Slot]) {
        let Some(&result) = results.first() else { return };
        let scale = match op {
            Op::DynamicQuantizeLinear => Some(ScaleSource::Dynamic(result)),
            Op::QuantizeLinear { .. } => {
                let scale = self.constant(operands.get(1).copied().flatten()).and_then(|scale| scale.f32s());
                scale.map(|scale| ScaleSource::Constant(scale.to_vec()))
            }
            Op::Reshape { .. } | Op::Flatten { .. } | Op::Identity => {
                operands.first().copied().flatten().and_then(|slot| self.scales.get(&slot)).cloned()
            }
            _ => None,
        };
        if let Some(scale) = scale {
            self.scales.insert(result, scale);
        }
    }

    /// Tells every node which values nobody needs after it.
    fn free_after_last_use(&mut self, outputs: &[(Slot, ValueSpec)]) {
        let mut needed: Vec<bool> = self.slots.iter().map(Option::is_some).collect();
        for (slot, _) in outputs {
            needed[*slot] = true;
        }
        for node in self.nodes.iter_mut().rev() {
            for &slot in node.operands.iter().flatten().chain(&node.results) {
                if !std::mem::replace(&mut needed[slot], true) {
                    node.frees.push(slot);
                }
            }
        }
    }
}
