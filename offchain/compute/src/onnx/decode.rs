//! From bytes to the graph of a model, with bounded cost.

use prost::Message;

use super::{
    GraphProto, ModelProto,
    scan::{MAX_FIELDS, MAX_PACKED, ScanError, scan},
};
use crate::error::ModelError;

/// Versions of the standard operators that are known.
const OPSETS: std::ops::RangeInclusive<i64> = 11..=21;

/// Decodes a model file whose standard operators are of a known version. Other domains are ignored until a node uses one.
pub(crate) fn decode(file: &[u8]) -> Result<GraphProto, ModelError> {
    let not_onnx = |reason: &str| ModelError::NotOnnx { reason: reason.to_owned() };
    scan(file).map_err(|error| match error {
        ScanError::Malformed => not_onnx("it is damaged or no protobuf"),
        ScanError::Fields => ModelError::TooLarge { what: "parts", limit: MAX_FIELDS },
        ScanError::Packed => ModelError::TooLarge { what: "packed integers", limit: MAX_PACKED },
    })?;
    let model = ModelProto::decode(file).map_err(|error| not_onnx(&error.to_string()))?;
    let graph = model.graph.ok_or_else(|| not_onnx("it has no graph"))?;
    let standard = |domain: &str| matches!(domain, "" | "ai.onnx");
    let version = model.opset_import.iter().find(|import| standard(&import.domain)).map_or(0, |import| import.version);
    if OPSETS.contains(&version) { Ok(graph) } else { Err(ModelError::Opset { version }) }
}
