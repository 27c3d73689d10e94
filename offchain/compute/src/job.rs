//! A model with its inputs: shapes resolved, memory bounded, ready to run as often as needed.

use std::{collections::HashMap, sync::Arc};

use crate::{
    array::{Array, Elements},
    environment,
    error::{At, RunError},
    kernel::{self, DynamicScale, Stop},
    model::{Dimension, Linear, Model, Node, ScaleSource, Slot, ValueSpec, ZeroSource},
    op::Op,
    shape,
    tensor::{MAX_TENSOR_BYTES, Tensor, elements},
    trace::{LinearOp, Trace, WitnessRows, ZeroPoints},
};

/// The most bytes of inputs and intermediate values that a job may hold at once (4 GiB).
pub const MAX_RUN_BYTES: usize = 4 << 30;

/// Float multiply-adds may be at most one in so many.
const FLOAT_SHARE: u64 = 10;

/// A model bound to inputs of certain shapes.
#[derive(Debug)]
pub struct Job<'a> {
    model: &'a Model,
    inputs: Vec<(Slot, Arc<Array>)>,
    resolved: Resolved,
}

/// What the inputs' shapes decide.
#[derive(Debug)]
struct Resolved {
    /// The shapes of every node's results, in the order of the nodes.
    shapes: Vec<Vec<Vec<usize>>>,
    multiply_adds: u64,
}

impl Model {
    /// Binds inputs, one tensor for each name that the model takes, in any order.
    ///
    /// # Errors
    /// [`RunError`] when a tensor is missing, unknown, or of another type or shape than the model takes, when shapes inside
    /// do not fit, or when the job is too large or more than a tenth float.
    pub fn prepare(&self, inputs: &[Tensor]) -> Result<Job<'_>, RunError> {
        let inputs = self.bind(inputs)?;
        let resolved = self.resolve(&inputs)?;
        Ok(Job { model: self, inputs, resolved })
    }

    fn bind(&self, inputs: &[Tensor]) -> Result<Vec<(Slot, Arc<Array>)>, RunError> {
        let mut by_name = HashMap::new();
        for tensor in inputs {
            let wanted = self.inputs().any(|spec| spec.name == tensor.name());
            if by_name.insert(tensor.name(), tensor).is_some() || !wanted {
                let wanted = self.inputs().map(|spec| format!("'{}'", spec.name)).collect::<Vec<_>>().join(", ");
                return Err(RunError::UnknownInput { name: tensor.name().to_owned(), wanted });
            }
        }
        let mut symbols = HashMap::new();
        self.inputs
            .iter()
            .map(|(slot, spec)| {
                let tensor = by_name.get(spec.name.as_str());
                let tensor = tensor.ok_or_else(|| RunError::MissingInput { name: spec.name.clone() })?;
                check_input(spec, tensor, &mut symbols)?;
                Ok((*slot, Arc::new(Array::from_tensor(tensor))))
            })
            .collect()
    }

    /// Walks the nodes as a run does, with shapes only, and counts multiply-adds.
    fn resolve(&self, inputs: &[(Slot, Arc<Array>)]) -> Result<Resolved, RunError> {
        let mut shapes: Vec<Option<Vec<usize>>> =
            self.slots.iter().map(|constant| constant.as_ref().map(|array| array.shape.clone())).collect();
        let mut live: usize = 0;
        for (slot, array) in inputs {
            live = live.saturating_add(array.bytes());
            shapes[*slot] = Some(array.shape.clone());
        }
        let (mut all, mut float) = (0u64, 0u64);
        let mut resolved = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let operands: Vec<_> = node.operands.iter().map(|slot| shapes[(*slot)?].as_deref()).collect();
            let wrong = |reason| RunError::Shape { at: node.at.clone(), reason };
            let target = node.operands.get(1).copied().flatten().and_then(|slot| self.slots[slot].as_ref());
            let results = shape::results(&node.op, &operands, target.and_then(|array| array.i64s())).map_err(wrong)?;
            let macs = multiply_adds(&node.op, &operands, &results);
            all = all.saturating_add(macs);
            if matches!(node.op, Op::MatMul | Op::Gemm { .. }) {
                float = float.saturating_add(macs);
            }
            for (&slot, shape) in node.results.iter().zip(&results) {
                let too_much = || RunError::Memory { at: node.at.clone(), limit: MAX_RUN_BYTES };
                live = self.bytes(slot, shape).and_then(|bytes| live.checked_add(bytes)).ok_or_else(too_much)?;
                if live > MAX_RUN_BYTES {
                    return Err(too_much());
                }
                shapes[slot] = Some(shape.clone());
            }
            for &slot in &node.frees {
                let freed = shapes[slot].as_deref().and_then(|shape| self.bytes(slot, shape));
                live = live.saturating_sub(freed.unwrap_or(0));
            }
            resolved.push(results);
        }
        if float.saturating_mul(FLOAT_SHARE) > all {
            return Err(RunError::FloatShare { float, all });
        }
        Ok(Resolved { shapes: resolved, multiply_adds: all })
    }

    fn bytes(&self, slot: Slot, shape: &[usize]) -> Option<usize> {
        elements(shape)?.checked_mul(self.dtypes[slot].size()).filter(|&bytes| bytes <= MAX_TENSOR_BYTES)
    }
}

/// How many multiply-adds a product takes: every element of the result meets K of the operand.
fn multiply_adds(op: &Op, operands: &shape::Shapes<'_>, results: &[Vec<usize>]) -> u64 {
    let last = |transposed: bool| {
        let operand = operands.first().copied().flatten();
        operand.and_then(|shape| if transposed { shape.first() } else { shape.last() }).copied().unwrap_or(0)
    };
    let k = match op {
        Op::MatMul | Op::MatMulInteger | Op::QLinearMatMul => last(false),
        Op::Gemm { transpose_a, .. } => last(*transpose_a),
        _ => return 0,
    };
    let results = results.first().and_then(|shape| elements(shape)).unwrap_or(usize::MAX);
    (results as u64).saturating_mul(k as u64)
}

fn check_input<'a>(
    spec: &'a ValueSpec,
    tensor: &Tensor,
    symbols: &mut HashMap<&'a str, usize>,
) -> Result<(), RunError> {
    if tensor.dtype() != spec.dtype {
        let (name, found, expected) = (spec.name.clone(), tensor.dtype(), spec.dtype);
        return Err(RunError::InputDType { name, found, expected });
    }
    let fits = spec.shape.as_ref().is_none_or(|shape| {
        shape.len() == tensor.shape().len()
            && shape.iter().zip(tensor.shape()).all(|(dimension, &size)| match dimension {
                Dimension::Fixed(fixed) => *fixed == size,
                Dimension::Symbol(symbol) => *symbols.entry(symbol).or_insert(size) == size,
                Dimension::Any => true,
            })
    });
    if fits {
        return Ok(());
    }
    let bound = |dimension: &Dimension| match dimension {
        Dimension::Symbol(symbol) => symbols.get(symbol.as_str()).map(|size| format!("{symbol} = {size}")),
        _ => None,
    };
    let bound = spec.shape.iter().flatten().filter_map(bound).collect::<Vec<_>>();
    let expected = match &bound[..] {
        [] => spec.shape_text(),
        bound => format!("{} ({})", spec.shape_text(), bound.join(", ")),
    };
    Err(RunError::InputShape { name: spec.name.clone(), found: tensor.shape().to_vec(), expected })
}

impl Job<'_> {
    /// Multiply-adds of all products in one run: what the job costs, nearly.
    pub fn multiply_adds(&self) -> u64 {
        self.resolved.multiply_adds
    }

    /// Runs the model once. Every run of the same job, on any device, gives the same bytes and shows the same trace.
    ///
    /// # Errors
    /// [`RunError::Fault`] is a result like any other and the same everywhere; [`RunError::FloatEnvironment`] is about
    /// this thread.
    pub fn run(&self, trace: &mut dyn Trace) -> Result<Vec<Tensor>, RunError> {
        if !environment::floats_are_ieee() {
            return Err(RunError::FloatEnvironment);
        }
        let mut run = Run { values: self.model.slots.clone(), scales: HashMap::new() };
        for (slot, array) in &self.inputs {
            run.values[*slot] = Some(array.clone());
        }
        for (node, shapes) in self.model.nodes.iter().zip(&self.resolved.shapes) {
            let stopped = |stop| stopped(stop, &node.at);
            match node.linear.and_then(|index| Some((index, self.model.linears.get(index)?))) {
                Some((index, linear)) => run.linear(node, index, linear, shapes, trace).map_err(stopped)?,
                None => run.other(node, shapes).map_err(stopped)?,
            }
            for &slot in &node.frees {
                run.values[slot] = None;
            }
        }
        self.model
            .outputs
            .iter()
            .map(|(slot, spec)| {
                let value = run.values[*slot].as_ref().ok_or_else(|| missing(&spec.name))?;
                Ok(value.to_tensor(&spec.name)?)
            })
            .collect()
    }
}

/// A value that every run computes is not there: only a fault of this crate can do that.
fn missing(name: &str) -> RunError {
    let at = At { node: 0, name: name.to_owned(), op: "output".into() };
    RunError::Shape { at, reason: "was not computed".into() }
}

fn stopped(stop: Stop, at: &At) -> RunError {
    match stop {
        Stop::Fault(reason) => RunError::Fault { op: at.node, at: at.clone(), reason },
        Stop::Mismatch => RunError::Shape { at: at.clone(), reason: "operands do not go together".into() },
    }
}

/// The values of a run in progress.
struct Run {
    values: Vec<Option<Arc<Array>>>,
    /// For every dynamically quantised value: how its scale was chosen.
    scales: HashMap<Slot, DynamicScale>,
}

impl Run {
    fn value(&self, slot: Option<Slot>) -> Option<&Array> {
        self.values.get(slot?)?.as_deref()
    }

    fn store(&mut self, node: &Node, arrays: Vec<Array>) {
        for (&slot, array) in node.results.iter().zip(arrays) {
            self.values[slot] = Some(Arc::new(array));
        }
    }

    fn other(&mut self, node: &Node, shapes: &[Vec<usize>]) -> Result<(), Stop> {
        let operands: Vec<_> = node.operands.iter().map(|&slot| self.value(slot)).collect();
        let results = kernel::evaluate(&node.op, &operands, shapes.to_vec())?;
        if let (Some(scale), Some(&slot)) = (results.scale, node.results.first()) {
            self.scales.insert(slot, scale);
        }
        self.store(node, results.arrays);
        Ok(())
    }

    fn linear(
        &mut self,
        node: &Node,
        index: usize,
        linear: &Linear,
        shapes: &[Vec<usize>],
        trace: &mut dyn Trace,
    ) -> Result<(), Stop> {
        let activation = self.value(node.operands.first().copied().flatten()).ok_or(Stop::Mismatch)?;
        let zero = match linear.zero {
            ZeroSource::Constant(zero) => zero,
            ZeroSource::Value(slot) => {
                let zeros = self.value(Some(slot)).and_then(|zero| zero.elements.to_zero_points());
                *zeros.ok_or(Stop::Mismatch)?.first().ok_or(Stop::Mismatch)?
            }
        };
        let (outer, shape) =
            activation.shape.split_last().map(|(_, outer)| outer).zip(shapes.first()).ok_or(Stop::Mismatch)?;
        let (m, k, n) = (elements(outer).ok_or(Stop::Mismatch)?, linear.k, linear.n);

        let signed_bytes;
        let input = match &activation.elements {
            Elements::U8(bytes) => bytes,
            other => {
                signed_bytes = other.to_le_bytes();
                &signed_bytes
            }
        };
        if input.len() != m * k {
            return Err(Stop::Mismatch);
        }
        let (scales, witness_rows) = self.scale(linear);
        trace.linear(&LinearOp {
            index: u32::try_from(index).map_err(|_| Stop::Mismatch)?,
            name: &linear.name,
            kind: linear.kind,
            m: m as u64,
            k: k as u64,
            n: n as u64,
            signed: linear.signed,
            zero_points: ZeroPoints { a: zero, b: &linear.weight_zero_points },
            scales,
            input,
            witness_rows,
        });

        let row = |i: usize, row: &mut [i16]| {
            let bytes = input.get(i * k..(i + 1) * k).unwrap_or_default();
            // The difference of two 8-bit numbers fits 16 bits.
            if linear.signed.a {
                row.iter_mut().zip(bytes).for_each(|(x, &b)| *x = (i32::from(b.cast_signed()) - zero) as i16);
            } else {
                row.iter_mut().zip(bytes).for_each(|(x, &b)| *x = (i32::from(b) - zero) as i16);
            }
        };
        let elements = match &linear.requantise {
            None => {
                let mut accumulators = Vec::with_capacity(m * n);
                linear.packed.product(m, row, |c| {
                    accumulators.extend_from_slice(c);
                    Ok(())
                })?;
                Elements::I32(accumulators)
            }
            Some(to) if to.signed => {
                let mut result = Vec::with_capacity(m * n);
                linear.packed.product(m, row, |c| {
                    let row = kernel::requantise(c, &to.multipliers, to.zero_point, -128, 127)?;
                    result.extend(row.into_iter().map(|x| x as i8));
                    Ok(())
                })?;
                Elements::I8(result)
            }
            Some(to) => {
                let mut result = Vec::with_capacity(m * n);
                linear.packed.product(m, row, |c| {
                    let row = kernel::requantise(c, &to.multipliers, to.zero_point, 0, 255)?;
                    result.extend(row.into_iter().map(|x| x as u8));
                    Ok(())
                })?;
                Elements::U8(result)
            }
        };
        let result = Array { shape: shape.clone(), elements };
        self.store(node, vec![result]);
        Ok(())
    }

    /// The activation's scale and, when it is dynamic, the rows that justify it.
    fn scale(&self, linear: &Linear) -> (Vec<f32>, Option<WitnessRows>) {
        match &linear.scale {
            ScaleSource::Unknown => (Vec::new(), None),
            ScaleSource::Constant(scales) => (scales.clone(), None),
            ScaleSource::Dynamic(slot) => match self.scales.get(slot) {
                None => (Vec::new(), None),
                Some(dynamic) => {
                    let row = |element: usize| (element / linear.k.max(1)) as u64;
                    let rows = dynamic.extremes.map(|(min, max)| WitnessRows { min: row(min), max: row(max) });
                    (vec![dynamic.scale], rows)
                }
            },
        }
    }
}
