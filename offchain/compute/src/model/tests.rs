//! What is loaded, what is refused and what refusals say.
#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::{
    MAX_RUN_BYTES, NoTrace, RunError, Tensor,
    onnx::{
        AttributeProto, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
        TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
    },
};

const DIGITS: &[u8] = include_bytes!("../../fixtures/digits/model.onnx");

const F32: i32 = 1;
const U8: i32 = 2;
const I8: i32 = 3;
const I32: i32 = 6;
const I64: i32 = 7;

fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    NodeProto {
        op_type: op.into(),
        name: format!("the_{}", op.to_lowercase()),
        input: names(inputs),
        output: names(outputs),
        ..NodeProto::default()
    }
}

fn with_int(mut node: NodeProto, name: &str, i: i64) -> NodeProto {
    node.attribute.push(AttributeProto {
        name: name.into(),
        i,
        r#type: AttributeProto::INT,
        ..AttributeProto::default()
    });
    node
}

fn constant(name: &str, data_type: i32, dims: &[i64], raw: &[u8]) -> TensorProto {
    let (name, raw_data) = (name.to_owned(), Some(raw.to_vec()));
    TensorProto { name, data_type, dims: dims.to_vec(), raw_data, ..TensorProto::default() }
}

/// A tensor whose dimension is open where it is negative.
fn value(name: &str, elem_type: i32, dims: &[i64]) -> ValueInfoProto {
    let dim = dims.iter().map(|&d| DimensionProto { dim_value: (d >= 0).then_some(d), dim_param: None }).collect();
    let tensor_type = Some(TensorTypeProto { elem_type, shape: Some(TensorShapeProto { dim }) });
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type }) }
}

/// A graph of one input 'x', one output 'y'.
fn graph(node: Vec<NodeProto>, x: ValueInfoProto, y: ValueInfoProto, initializer: Vec<TensorProto>) -> GraphProto {
    GraphProto { node, input: vec![x], output: vec![y], initializer, ..GraphProto::default() }
}

fn file(graph: GraphProto) -> Vec<u8> {
    let opset_import = vec![OperatorSetIdProto { domain: String::new(), version: 17 }];
    ModelProto { graph: Some(graph), opset_import }.encode_to_vec()
}

fn load(graph: GraphProto) -> Result<Model, ModelError> {
    Model::load(&file(graph))
}

fn refused(graph: GraphProto) -> String {
    load(graph).unwrap_err().to_string()
}

/// Says all of these, in words that a person reads.
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "'{part}' is not in: {text}");
    }
}

fn floats(dims: &[i64]) -> (ValueInfoProto, ValueInfoProto) {
    (value("x", F32, dims), value("y", F32, dims))
}

/// `x: u8 [n, k] → MatMulInteger with these i8 weights [k, 1] → y: i32`.
fn product(weights: &[i8]) -> GraphProto {
    let bytes: Vec<u8> = weights.iter().map(|w| w.cast_unsigned()).collect();
    let k = weights.len() as i64;
    graph(
        vec![node("MatMulInteger", &["x", "w"], &["y"])],
        value("x", U8, &[-1, k]),
        value("y", I32, &[-1, 1]),
        vec![constant("w", I8, &[k, 1], &bytes)],
    )
}

#[test]
fn unknown_ops_are_named_with_what_to_do() {
    let (x, y) = floats(&[2]);
    let one = |node| graph(vec![node], x.clone(), y.clone(), vec![]);
    says(&refused(one(node("Erf", &["x"], &["y"]))), &["Erf 'the_erf' (node 0)", "rewrite"]);
    says(&refused(one(node("If", &["x"], &["y"]))), &["If", "control flow", "unrolled"]);
    let custom = NodeProto { domain: "com.microsoft".into(), ..node("FusedMatMul", &["x", "x"], &["y"]) };
    says(&refused(one(custom)), &["FusedMatMul", "before optimisation"]);
}

#[test]
fn values_must_be_made_before_they_are_read() {
    let (x, y) = floats(&[2]);
    let cycle = vec![node("Add", &["x", "b"], &["a"]), node("Relu", &["a"], &["b"]), node("Relu", &["b"], &["y"])];
    says(&refused(graph(cycle, x.clone(), y.clone(), vec![])), &["Add 'the_add'", "'b'", "cycle"]);
    let lacking = vec![node("Mul", &["x", "weight"], &["y"])];
    says(&refused(graph(lacking, x.clone(), y.clone(), vec![])), &["Mul", "'weight'", "lacks a weight"]);
    says(&refused(graph(vec![], x.clone(), y.clone(), vec![])), &["output 'y'"]);
    let twice = vec![node("Relu", &["x"], &["y"]), node("Relu", &["x"], &["y"])];
    assert_eq!(load(graph(twice, x, y, vec![])).unwrap_err(), ModelError::Duplicate { value: "y".into() });
}

#[test]
fn wrong_types_are_refused_at_load() {
    let text = refused(graph(
        vec![node("MatMulInteger", &["x", "w"], &["y"])],
        value("x", F32, &[1, 2]),
        value("y", I32, &[1, 1]),
        vec![constant("w", I8, &[2, 1], &[1, 2])],
    ));
    says(&text, &["MatMulInteger", "'x' has type f32", "u8 or i8"]);
    let text = refused(graph(vec![node("Relu", &["x"], &["y"])], value("x", F32, &[1]), value("y", I64, &[1]), vec![]));
    says(&text, &["output 'y'", "declared as i64 but is f32"]);
    let (x, y) = (value("x", 10, &[1]), value("y", F32, &[1]));
    says(&refused(graph(vec![], x, y, vec![])), &["input 'x'", "element type 10", "use float"]);
}

#[test]
fn attributes_and_operands_must_be_the_ops_own() {
    let (x, y) = floats(&[2]);
    let one = |node| refused(graph(vec![node], x.clone(), y.clone(), vec![]));
    says(&one(with_int(node("Relu", &["x"], &["y"]), "alpha", 1)), &["Relu", "'alpha'", "not supported"]);
    says(&one(node("Cast", &["x"], &["y"])), &["Cast", "'to'"]);
    says(&one(with_int(node("Cast", &["x"], &["y"]), "to", 10)), &["Cast", "element type 10"]);
    let float_axis = AttributeProto { name: "axis".into(), r#type: AttributeProto::FLOAT, ..AttributeProto::default() };
    let wrong = NodeProto { attribute: vec![float_axis.clone()], ..node("Flatten", &["x"], &["y"]) };
    says(&one(wrong), &["Flatten", "'axis'", "wrong type"]);
    let twice = NodeProto { attribute: vec![float_axis.clone(), float_axis], ..node("Flatten", &["x"], &["y"]) };
    says(&one(twice), &["Flatten", "'axis' twice"]);
    says(&one(node("Add", &["x"], &["y"])), &["Add", "lacks one of the op's 2 inputs"]);
    says(&one(node("Relu", &["x", "x"], &["y"])), &["Relu", "at most 1"]);
    says(&one(node("Relu", &["x"], &[])), &["Relu", "outputs"]);
}

#[test]
fn damaged_weights_are_refused() {
    let (x, y) = floats(&[2]);
    let with = |tensor| refused(graph(vec![node("Add", &["x", "w"], &["y"])], x.clone(), y.clone(), vec![tensor]));
    says(&with(constant("w", F32, &[2], &[0; 7])), &["initialiser 'w'", "7 bytes", "damaged"]);
    says(&with(constant("w", F32, &[i64::MAX, i64::MAX], &[])), &["'w'", "larger"]);
    says(&with(constant("w", F32, &[0, i64::MAX], &[])), &["'w'", "larger"]);
    says(&with(constant("w", F32, &[-1], &[])), &["'w'", "dimension -1"]);
    says(&with(constant("w", F32, &[1; 9], &[0; 4])), &["'w'", "9 dimensions"]);
    says(&with(constant("w", 16, &[1], &[0; 2])), &["'w'", "element type 16"]);
    says(&with(TensorProto { data_location: 1, ..constant("w", F32, &[], &[]) }), &["'w'", "another file"]);
    let few = TensorProto { float_data: vec![1.0], raw_data: None, ..constant("w", F32, &[2], &[]) };
    says(&with(few), &["'w'", "1 elements"]);
}

#[test]
fn opsets_that_are_not_known_are_refused() {
    let (x, y) = floats(&[2]);
    for version in [0, 10, 22] {
        let opset_import = vec![
            OperatorSetIdProto { domain: "com.microsoft".into(), version: 1 },
            OperatorSetIdProto { domain: String::new(), version },
        ];
        let graph = Some(graph(vec![node("Relu", &["x"], &["y"])], x.clone(), y.clone(), vec![]));
        let bytes = ModelProto { graph, opset_import }.encode_to_vec();
        assert_eq!(Model::load(&bytes).unwrap_err(), ModelError::Opset { version });
    }
}

#[test]
fn sums_that_could_leave_32_bits_are_refused() {
    // 255 · 128 · K reaches 2³¹ at K = 65,794.
    assert!(load(product(&vec![-128; 65_793])).is_ok());
    let error = load(product(&vec![-128; 65_794])).unwrap_err();
    let ModelError::Overflow { column: 0, reach, .. } = error else { panic!("{error}") };
    assert_eq!(reach, 255 * 128 * 65_794);
    // What counts is the sum, not the length.
    assert!(load(product(&vec![1; 1_000_000])).is_ok());
}

#[test]
fn the_largest_sum_that_is_allowed_is_exact() {
    let model = load(product(&vec![-128; 65_793])).unwrap();
    let x = Tensor::new("x", DType::U8, vec![1, 65_793], vec![255; 65_793]).unwrap();
    let y = model.prepare(&[x]).unwrap().run(&mut NoTrace).unwrap().remove(0);
    assert_eq!(y.data(), (-255 * 128 * 65_793_i32).to_le_bytes());
}

#[test]
fn products_of_two_computed_values_are_refused() {
    let nodes = vec![node("MatMulInteger", &["x", "x"], &["y"])];
    let text = refused(graph(nodes, value("x", U8, &[2, 2]), value("y", I32, &[2, 2]), vec![]));
    says(&text, &["MatMulInteger", "second operand", "MatMulConstBOnly"]);
}

#[test]
fn float_models_are_sent_back_to_be_quantised() {
    let weights = constant("w", F32, &[2, 2], &[0; 16]);
    let (x, y) = floats(&[-1, 2]);
    let text = refused(graph(vec![node("MatMul", &["x", "w"], &["y"])], x, y, vec![weights]));
    says(&text, &["MatMul 'the_matmul' (node 0)", "quantize_dynamic"]);
}

/// One integer product of K = `integer` columns to 1, and a float product of the result, 1 to `float` columns.
fn mixed(integer: i64, float: i64) -> GraphProto {
    let nodes = vec![
        node("MatMulInteger", &["x", "w"], &["c"]),
        with_int(node("Cast", &["c"], &["f"]), "to", i64::from(F32)),
        node("MatMul", &["f", "v"], &["y"]),
    ];
    let ones: Vec<u8> = (0..float).flat_map(|i| (i as f32).to_le_bytes()).collect();
    let weights =
        vec![constant("w", I8, &[integer, 1], &vec![1; integer as usize]), constant("v", F32, &[1, float], &ones)];
    graph(nodes, value("x", U8, &[-1, integer]), value("y", F32, &[-1, float]), weights)
}

#[test]
fn a_tenth_may_be_float_and_no_more() {
    let prepared = |float| -> Result<u64, RunError> {
        let model = load(mixed(90, float)).unwrap();
        let x = Tensor::new("x", DType::U8, vec![2, 90], vec![1; 180]).unwrap();
        let job = model.prepare(&[x])?;
        let y = job.run(&mut NoTrace)?.remove(0);
        assert_eq!(y.to_f32().unwrap()[..3], [0.0, 90.0, 180.0]);
        Ok(job.multiply_adds())
    };
    assert_eq!(prepared(10), Ok(200));
    assert_eq!(prepared(11), Err(RunError::FloatShare { float: 22, all: 202 }));
}

#[test]
fn jobs_that_need_too_much_memory_are_refused_before_they_allocate() {
    // Every doubling adds a tensor to itself under another shape: [n, 1] + [1, n].
    let (x, y) = (value("x", F32, &[-1, 1]), value("y", F32, &[-1, -1]));
    let target: Vec<u8> = [1i64, -1].iter().flat_map(|d| d.to_le_bytes()).collect();
    let nodes = vec![node("Reshape", &["x", "to"], &["r"]), node("Add", &["x", "r"], &["y"])];
    let model = load(graph(nodes, x, y, vec![constant("to", I64, &[2], &target)])).unwrap();
    let column = |n: usize| Tensor::from_f32("x", vec![n, 1], &vec![0.0; n]).unwrap();
    assert!(model.prepare(&[column(1000)]).is_ok());
    let refused = model.prepare(&[column(100_000)]).unwrap_err();
    assert!(matches!(refused, RunError::Memory { limit: MAX_RUN_BYTES, .. }), "{refused}");
}

#[test]
fn shapes_inside_that_do_not_fit_are_refused_before_the_run() {
    let (x, y) = floats(&[-1]);
    let three = constant("w", F32, &[3], &[0; 12]);
    let model = load(graph(vec![node("Add", &["x", "w"], &["y"])], x, y, vec![three])).unwrap();
    assert!(model.prepare(&[Tensor::from_f32("x", vec![3], &[0.0; 3]).unwrap()]).is_ok());
    let refused = model.prepare(&[Tensor::from_f32("x", vec![2], &[0.0; 2]).unwrap()]).unwrap_err();
    says(&refused.to_string(), &["Add 'the_add'", "[2]", "[3]"]);
}

#[test]
fn constants_are_folded_and_reach_linear_ops() {
    // The weights pass through Identity and Reshape; their zero point comes from a Constant node.
    let seven = AttributeProto {
        name: "value".into(),
        t: Some(constant("", I8, &[], &[7])),
        r#type: AttributeProto::TENSOR,
        ..AttributeProto::default()
    };
    let nodes = vec![
        NodeProto { attribute: vec![seven], ..node("Constant", &[], &["z"]) },
        node("Identity", &["flat"], &["same"]),
        node("Reshape", &["same", "to"], &["w"]),
        node("MatMulInteger", &["x", "w", "", "z"], &["y"]),
    ];
    let target: Vec<u8> = [2i64, 2].iter().flat_map(|d| d.to_le_bytes()).collect();
    let constants = vec![constant("flat", I8, &[4], &[1, 2, 3, 4]), constant("to", I64, &[2], &target)];
    let model = load(graph(nodes, value("x", U8, &[1, 2]), value("y", I32, &[1, 2]), constants)).unwrap();
    assert_eq!(model.nodes.len(), 1);
    let weights = model.weights().next().unwrap();
    assert_eq!((weights.k, weights.n, weights.zero_points, &weights.bytes[..]), (2, 2, &[7][..], &[1, 2, 3, 4][..]));
    let x = Tensor::new("x", DType::U8, vec![1, 2], vec![10, 1]).unwrap();
    let y = model.prepare(&[x]).unwrap().run(&mut NoTrace).unwrap().remove(0);
    let expected = [10 * (1 - 7) + 3 - 7, 10 * (2 - 7) + 4 - 7].map(i32::to_le_bytes);
    assert_eq!(y.data(), expected.as_flattened());
}

#[test]
fn one_symbol_has_one_size() {
    let mut symbolic =
        graph(vec![node("Add", &["x", "b"], &["y"])], value("x", F32, &[-1]), value("y", F32, &[-1]), vec![]);
    symbolic.input.push(value("b", F32, &[-1]));
    for input in &mut symbolic.input {
        let tensor = input.r#type.as_mut().unwrap().tensor_type.as_mut().unwrap();
        tensor.shape.as_mut().unwrap().dim[0].dim_param = Some("N".into());
    }
    let model = load(symbolic).unwrap();
    let tensor = |name: &str, n: usize| Tensor::from_f32(name, vec![n], &vec![1.0; n]).unwrap();
    assert!(model.prepare(&[tensor("b", 3), tensor("x", 3)]).is_ok());
    let refused = model.prepare(&[tensor("x", 3), tensor("b", 1)]).unwrap_err();
    assert!(matches!(&refused, RunError::InputShape { name, .. } if name == "b"));
    says(&refused.to_string(), &["N = 3"]);
}

#[test]
fn shared_weights_cannot_be_packed_without_end() {
    // Two mebibytes that a thousand ops pack into four each.
    let nodes = (0..1000).map(|i| node("MatMulInteger", &["x", "w"], &[format!("y{i}").as_str()])).collect();
    let weights = constant("w", I8, &[2048, 1024], &vec![0; 2048 * 1024]);
    let error =
        load(graph(nodes, value("x", U8, &[1, 2048]), value("y0", I32, &[1, 1024]), vec![weights])).unwrap_err();
    assert!(matches!(error, ModelError::TooLarge { what: "bytes of constants", .. }), "{error}");
}

#[test]
fn a_truncated_model_is_refused_or_lacks_only_metadata() {
    let whole = Model::load(DIGITS).unwrap();
    let image = Tensor::from_f32("image", vec![2, 64], &[7.0; 128]).unwrap();
    let run = |model: &Model| model.prepare(std::slice::from_ref(&image)).unwrap().run(&mut NoTrace).unwrap();
    let mut loaded = 0;
    for end in 0..DIGITS.len() {
        let Ok(model) = Model::load(&DIGITS[..end]) else { continue };
        loaded += 1;
        assert_ne!(model.program_hash(), whole.program_hash());
        assert_eq!(model.weights().count(), whole.weights().count(), "the first {end} bytes");
        assert_eq!(run(&model), run(&whole), "the first {end} bytes");
    }
    // The quantiser writes one entry of metadata after everything else: only the cut before it leaves a model.
    assert_eq!(loaded, 1);
}

/// Loads and, if it can be, runs; only the absence of panics and hangs counts.
fn survive(file: &[u8]) {
    let Ok(model) = Model::load(file) else { return };
    let tensors: Vec<_> = model
        .inputs()
        .map(|spec| {
            let shape: Vec<usize> = spec
                .shape
                .iter()
                .flatten()
                .map(|dimension| if let Dimension::Fixed(size) = dimension { (*size).min(100) } else { 3 })
                .collect();
            let bytes = shape.iter().product::<usize>() * spec.dtype.size();
            Tensor::new(spec.name.clone(), spec.dtype, shape, vec![1; bytes]).unwrap()
        })
        .collect();
    if let Ok(job) = model.prepare(&tensors) {
        let _ = job.run(&mut NoTrace);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn changed_models_never_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut file = DIGITS.to_vec();
        for (at, byte) in changes {
            file[at.index(DIGITS.len())] = byte;
        }
        survive(&file);
    }

    #[test]
    fn changed_structure_never_panics(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        // Nearly all bytes of the file are weights: here the changes fall between them.
        let structure: Vec<usize> = (0..1600).chain(DIGITS.len() - 900..DIGITS.len()).collect();
        let mut file = DIGITS.to_vec();
        for (at, byte) in changes {
            file[structure[at.index(structure.len())]] = byte;
        }
        survive(&file);
    }

    #[test]
    fn strange_graphs_never_panic(
        ops in prop::collection::vec((0usize..15, prop::collection::vec(0usize..8, 0..9), -3i64..4, 0usize..4), 1..5),
        dims in prop::collection::vec(-1i64..4, 0..4),
    ) {
        const OPS: [&str; 15] = [
            "Add", "Div", "ArgMax", "Cast", "DequantizeLinear", "DynamicQuantizeLinear", "Flatten", "Gemm", "Identity",
            "MatMul", "MatMulInteger", "QLinearMatMul", "QuantizeLinear", "Reshape", "Relu",
        ];
        let names = ["x", "u", "f", "z", "s", "to", "a0", "b0"];
        let nodes: Vec<_> = ops.iter().enumerate().map(|(i, (op, inputs, attribute, results))| {
            let inputs: Vec<_> = inputs.iter().map(|&i| names[i]).collect();
            let results: Vec<_> = ["a", "b", "c"].iter().take(*results).map(|name| format!("{name}{i}")).collect();
            let node = node(OPS[*op], &inputs, &results.iter().map(String::as_str).collect::<Vec<_>>());
            match OPS[*op] {
                "ArgMax" | "Flatten" | "QuantizeLinear" | "DequantizeLinear" => with_int(node, "axis", *attribute),
                "Cast" => with_int(node, "to", [1, 2, 3, 6, 7, 9, 0][(attribute + 3) as usize]),
                "Gemm" => with_int(node, "transA", attribute & 1),
                _ => node,
            }
        }).collect();
        let constants = vec![
            constant("u", U8, &[2, 3], &[1, 2, 3, 4, 5, 6]),
            constant("f", F32, &[3], &[0, 0, 128, 63, 0, 0, 192, 127, 0, 0, 0, 0]),
            constant("z", U8, &[], &[3]),
            constant("s", F32, &[], &0.5f32.to_le_bytes()),
            constant("to", I64, &[2], &[0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]),
        ];
        for dtype in [F32, U8] {
            for result in [F32, U8, I32, I64] {
                let y = value("a0", result, &[]);
                survive(&file(graph(nodes.clone(), value("x", dtype, &dims), y, constants.clone())));
            }
        }
    }
}
