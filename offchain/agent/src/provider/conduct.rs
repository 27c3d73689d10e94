//! How a provider behaves: honest, or, for showing what happens then, not.

use nunet_compute::Tensor;
use nunet_proof::{Execution, RunResult};

use crate::party::AgentError;

/// How a provider behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conduct {
    /// Commits to what it computed.
    #[default]
    Honest,
    /// Commits to its result with one element changed.
    ChangesOneElement,
}

impl Conduct {
    pub(super) fn apply(self, execution: Execution) -> Result<Execution, AgentError> {
        match self {
            Self::Honest => Ok(execution),
            Self::ChangesOneElement => {
                let mut outputs = execution.outputs().to_vec();
                if let Some(first) = outputs.first_mut() {
                    *first = changed(first).map_err(AgentError::Job)?;
                }
                Execution::new(RunResult::Outputs(outputs), execution.records().to_vec())
                    .map_err(|error| AgentError::Job(error.to_string()))
            }
        }
    }
}

/// The tensor with the lowest bit of its middle element flipped.
fn changed(tensor: &Tensor) -> Result<Tensor, String> {
    let mut data = tensor.data().to_vec();
    let width = tensor.dtype().size();
    let middle = data.len() / width.max(1) / 2 * width;
    if let Some(byte) = data.get_mut(middle) {
        *byte ^= 1;
    }
    Tensor::new(tensor.name(), tensor.dtype(), tensor.shape().to_vec(), data).map_err(|error| error.to_string())
}
