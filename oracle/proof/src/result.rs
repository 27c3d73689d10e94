//! The result of a run, the outputs or the fault that ended it, as the bytes that are hashed and revealed.

use minicbor::{Decoder, decode::Error};
use nunet_compute::{Tensor, TensorError, content_hash};

use crate::{hash::Hash32, wire};

/// The most bytes of a result.
pub const MAX_RESULT_BYTES: usize = 64 * 1024 * 1024;

/// The most output tensors of a result.
const MAX_OUTPUTS: usize = 256;

/// What marks a result as a fault: a tensor's canonical form has four items, a fault's has two.
const FAULT_TAG: &str = "nunet/fault/1";

/// How a run ended. A fault is a result like any other: every machine finds the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunResult {
    /// It ran to the end and gave these, in the order in which the model declares them.
    Outputs(Vec<Tensor>),
    /// A NaN entered a quantisation, integer cast or ordering.
    Fault {
        /// The index in the model file of the node at which it ended.
        op: u32,
    },
}

/// Why bytes are not a result.
#[derive(Debug, thiserror::Error)]
pub enum ResultError {
    /// Larger than a result may be.
    #[error("a result of {len} bytes is over the limit of {MAX_RESULT_BYTES}; split the batch into smaller jobs")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// Not a sequence of tensors, nor a fault.
    #[error("the result is neither tensors nor a fault ({0}); reject it")]
    Malformed(#[from] Error),
    /// One of its tensors is not in canonical form.
    #[error("output {output} of the result is not a canonical tensor ({source}); reject it")]
    Tensor {
        /// Which output.
        output: usize,
        /// What is wrong with it.
        source: TensorError,
    },
}

impl RunResult {
    /// The canonical bytes: the tensors' canonical forms one after another, or CBOR `["nunet/fault/1", op]`.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Outputs(outputs) => outputs.iter().flat_map(Tensor::to_canonical).collect(),
            Self::Fault { op } => wire::to_vec(&(FAULT_TAG, op)),
        }
    }

    /// Reads what [`to_bytes`](Self::to_bytes) writes.
    ///
    /// # Errors
    /// [`ResultError`] for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ResultError> {
        if bytes.len() > MAX_RESULT_BYTES {
            return Err(ResultError::TooLong { len: bytes.len() });
        }
        if Decoder::new(bytes).array()? == Some(2) {
            return Ok(read_fault(bytes)?);
        }
        let mut outputs = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            if outputs.len() == MAX_OUTPUTS {
                return Err(Error::message(format!("more than {MAX_OUTPUTS} outputs")).into());
            }
            let (tensor, after) = rest.split_at(tensor_len(rest)?);
            let tensor = Tensor::from_canonical(tensor)
                .map_err(|source| ResultError::Tensor { output: outputs.len(), source })?;
            outputs.push(tensor);
            rest = after;
        }
        Ok(Self::Outputs(outputs))
    }

    /// The result hash: the content hash of the canonical bytes. For a single output it is the tensor's own.
    pub fn hash(&self) -> Hash32 {
        Self::hash_bytes(&self.to_bytes())
    }

    /// The result hash of canonical bytes at hand.
    pub fn hash_bytes(bytes: &[u8]) -> Hash32 {
        content_hash(bytes)
    }

    /// The output tensors; none after a fault.
    pub fn outputs(&self) -> &[Tensor] {
        match self {
            Self::Outputs(outputs) => outputs,
            Self::Fault { .. } => &[],
        }
    }
}

/// The input hash of a job: the content hash of the inputs' canonical forms, one after another in the order of their
/// names. For a single input it is the tensor's own.
pub fn input_hash(inputs: &[Tensor]) -> Hash32 {
    let mut inputs: Vec<_> = inputs.iter().collect();
    inputs.sort_by_key(|tensor| tensor.name());
    content_hash(&inputs.into_iter().flat_map(Tensor::to_canonical).collect::<Vec<_>>())
}

fn read_fault(bytes: &[u8]) -> Result<RunResult, Error> {
    let mut d = Decoder::new(bytes);
    wire::array_of(&mut d, 2)?;
    if d.str()? != FAULT_TAG {
        return Err(Error::message("expected a fault"));
    }
    let fault = RunResult::Fault { op: d.u32()? };
    if fault.to_bytes() != bytes {
        return Err(Error::message("not the canonical encoding of a fault"));
    }
    Ok(fault)
}

/// How many bytes the tensor at the start of `bytes` takes. Its form is checked by [`Tensor::from_canonical`].
fn tensor_len(bytes: &[u8]) -> Result<usize, Error> {
    let mut d = Decoder::new(bytes);
    wire::array_of(&mut d, 4)?;
    d.str()?;
    d.str()?;
    for _ in 0..wire::array_up_to(&mut d, 32)? {
        d.u64()?;
    }
    d.bytes()?;
    Ok(d.position())
}
