//! Single ops against onnxruntime, bit for bit, on the vectors that `fixtures/digits/make.py` wrote.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use nunet_compute::{DType, Model, NoTrace, Tensor};
use serde_json::Value;

fn tensor(name: &str, value: &Value) -> Tensor {
    let dtype = match value["dtype"].as_str().unwrap() {
        "f4" => DType::F32,
        "u1" => DType::U8,
        "i1" => DType::I8,
        "i4" => DType::I32,
        other => panic!("{other}"),
    };
    let shape = value["shape"].as_array().unwrap().iter().map(|d| d.as_u64().unwrap() as usize).collect();
    Tensor::new(name, dtype, shape, hex::decode(value["hex"].as_str().unwrap()).unwrap()).unwrap()
}

#[test]
fn every_vector_gives_onnxruntimes_bits() {
    let cases: Value = serde_json::from_str(include_str!("../fixtures/digits/vectors.json")).unwrap();
    let cases = cases.as_array().unwrap();
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let model = Model::load(&hex::decode(case["model"].as_str().unwrap()).unwrap()).expect(name);
        let named = |part: &str| -> Vec<Tensor> {
            case[part].as_object().unwrap().iter().map(|(name, value)| tensor(name, value)).collect()
        };
        let mut found = model.prepare(&named("inputs")).expect(name).run(&mut NoTrace).expect(name);
        let mut expected = named("outputs");
        found.sort_by(|a, b| a.name().cmp(b.name()));
        expected.sort_by(|a, b| a.name().cmp(b.name()));
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!((found.dtype(), found.shape()), (expected.dtype(), expected.shape()), "{name}");
            assert_eq!(hex::encode(found.data()), hex::encode(expected.data()), "{name}: {}", found.name());
        }
    }
    let of = |op: &str| cases.iter().filter(|case| case["op"] == op).count();
    assert!(of("DynamicQuantizeLinear") >= 8 && of("MatMulInteger") >= 6 && of("QLinearMatMul") >= 3);
}
