//! The exact machine-learning engine: an int8 ONNX model in, the same bytes out on every device.
//!
//! ```text
//! .onnx ── Model::load ──► Model ── prepare(inputs) ──► Job ── run(trace) ──► outputs
//!                            │                           │
//!                            └─ weights()                └─► Trace::linear: the quantised input of every linear op
//! ```
//!
//! Linear algebra is 8-bit integers into 32; everything else is IEEE binary32, one operation at a time, in a fixed order.
//! So a result can be checked by computing it again and comparing bytes. The crate does no IO, reads no clock and draws no
//! randomness.
//!
//! ```
//! use nunet_compute::{Model, NoTrace, npy};
//!
//! let model = Model::load(include_bytes!("../fixtures/digits/model.onnx"))?;
//! let images = npy::read("image", include_bytes!("../fixtures/digits/images.npy"))?;
//! let labels = model.prepare(&[images])?.run(&mut NoTrace)?;
//! assert_eq!(labels[0].shape(), [1797]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod array;
mod environment;
mod error;
mod hash;
mod initialiser;
mod job;
mod kernel;
mod model;
pub mod npy;
mod onnx;
mod op;
mod shape;
mod tensor;
mod trace;

pub use error::{At, ModelError, RunError};
pub use hash::{Hash32, content_hash};
pub use job::{Job, MAX_RUN_BYTES};
pub use model::{Dimension, MAX_MODEL_BYTES, Model, ValueSpec, Weights};
pub use tensor::{DType, MAX_NAME, MAX_RANK, MAX_TENSOR_BYTES, Tensor, TensorError};
pub use trace::{LinearKind, LinearOp, NoTrace, Signed, Trace, WitnessRows, ZeroPoints};
