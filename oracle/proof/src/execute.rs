//! Running a job under the tracer, as providers and members both do.

use nunet_compute::{Model, RunError, Tensor};

use crate::{
    result::RunResult,
    trace::{Execution, TooLarge, Tracer},
};

/// Why a job gives no execution. None of these is the provider's or the members' fault.
#[derive(Debug, thiserror::Error)]
pub enum ExecutionError {
    /// The engine cannot run this job.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The trace or the result does not fit a reveal.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
}

/// Runs a job and traces it. A fault in the run is its result, not an error: see [`RunResult::Fault`].
///
/// # Errors
/// [`ExecutionError`] when the inputs do not fit the model, or the trace does not fit a reveal.
pub fn execute(model: &Model, inputs: &[Tensor]) -> Result<Execution, ExecutionError> {
    let job = model.prepare(inputs)?;
    let mut tracer = Tracer::default();
    let result = match job.run(&mut tracer) {
        Ok(outputs) => RunResult::Outputs(outputs),
        Err(RunError::Fault { op, .. }) => RunResult::Fault { op },
        Err(error) => return Err(error.into()),
    };
    Ok(Execution::new(result, tracer.into_records())?)
}
