//! Room for recursion: scripts nest as deep as their bytes allow, and their decoder, machine and destructors recurse.

use std::{panic::resume_unwind, thread};

/// Stack for work on strangers' scripts, in bytes. A transaction of 16 KiB nests at most some 33,000 terms; evaluation
/// can build data some 400,000 levels deep before its memory limit stops it. Pages that are not touched cost nothing.
const STACK_BYTES: usize = 1 << 30;

/// Why work on a script did not come back with an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StackError {
    /// The operating system gave no thread.
    #[error("no thread with a large stack for a script: {0}; free some memory or raise the limits")]
    NoThread(String),
    /// The script evaluator gave up in a way that it should not.
    #[error("the script evaluator panicked on this transaction: {0}")]
    Panicked(String),
}

/// Runs work on a thread of its own with a large stack and waits for it. A panic comes back as an error.
pub(crate) fn with_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, StackError> {
    thread::scope(|scope| {
        let builder = thread::Builder::new().name("script".into()).stack_size(STACK_BYTES);
        let worker = builder.spawn_scoped(scope, work).map_err(|error| StackError::NoThread(error.to_string()))?;
        worker.join().map_err(|panic| match panic.downcast::<String>() {
            Ok(text) => StackError::Panicked(*text),
            Err(panic) => match panic.downcast::<&'static str>() {
                Ok(text) => StackError::Panicked((*text).to_owned()),
                // Not a message of `panic!`: somebody's control flow, which is not ours to stop.
                Err(other) => resume_unwind(other),
            },
        })
    })
}
