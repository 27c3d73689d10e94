//! A real int8 model on real data: the labels that onnxruntime gives, the same bytes every time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use blake2::{Blake2b, Digest, digest::consts::U32};
use nunet_compute::{
    DType, Dimension, Hash32, LinearKind, LinearOp, Model, NoTrace, RunError, Tensor, Trace, WitnessRows, content_hash,
    npy,
};

const MODEL: &[u8] = include_bytes!("../fixtures/digits/model.onnx");

/// The hash of all 1,797 labels in one batch: the same on every device, build and operating system.
const RESULT: &str = "a915688a2c4a59597e0c8f1755f4079350e4e1d9e6ec2c3b339706ac7e4a7f3c";
/// The hash of everything that the run showed to its trace.
const TRACE: &str = "82dab921334cd04aafc74194d0f49c2e0b9c247f62121e6b79af8914440ea00c";
/// The content hash of `model.onnx`.
const PROGRAM: &str = "0687ea42af393e8a5c423be86e86d56cd7c270cf9985fecaca7eb8d99764acb8";

fn images() -> Tensor {
    npy::read("image", include_bytes!("../fixtures/digits/images.npy")).unwrap()
}

fn labels(file: &[u8]) -> Vec<i64> {
    npy::read("label", file).unwrap().to_i64().unwrap()
}

/// The images from `start` to `end`.
fn some(start: usize, end: usize) -> Tensor {
    let row = 64 * 4;
    Tensor::new("image", DType::F32, vec![end - start, 64], images().data()[start * row..end * row].to_vec()).unwrap()
}

fn run(model: &Model, images: Tensor) -> Tensor {
    model.prepare(&[images]).unwrap().run(&mut NoTrace).unwrap().remove(0)
}

/// Keeps everything that it is shown.
#[derive(Default)]
struct Recorder {
    ops: Vec<(u64, u64, u64, f32, Option<WitnessRows>)>,
    bytes: Vec<u8>,
    inputs: Vec<Vec<u8>>,
}

impl Trace for Recorder {
    fn linear(&mut self, op: &LinearOp<'_>) {
        assert_eq!(op.index as usize, self.ops.len());
        assert_eq!((op.kind, op.signed.a, op.signed.b), (LinearKind::MatMulInteger, false, true));
        assert_eq!(op.input.len() as u64, op.m * op.k);
        self.ops.push((op.m, op.k, op.n, op.scales[0], op.witness_rows));
        self.bytes.extend_from_slice(op.name.as_bytes());
        self.bytes.extend_from_slice(&op.zero_points.a.to_le_bytes());
        op.zero_points.b.iter().for_each(|zero| self.bytes.extend_from_slice(&zero.to_le_bytes()));
        op.scales.iter().for_each(|scale| self.bytes.extend_from_slice(&scale.to_le_bytes()));
        if let Some(rows) = op.witness_rows {
            self.bytes.extend_from_slice(&rows.min.to_le_bytes());
            self.bytes.extend_from_slice(&rows.max.to_le_bytes());
        }
        self.bytes.extend_from_slice(op.input);
        self.inputs.push(op.input.to_vec());
    }
}

#[test]
fn the_labels_are_onnxruntimes_and_right() {
    let found = run(&Model::load(MODEL).unwrap(), images()).to_i64().unwrap();
    let share = |other: &[i64], of: &dyn Fn(usize) -> bool| {
        let chosen: Vec<_> = found.iter().zip(other).enumerate().filter(|(i, _)| of(*i)).collect();
        chosen.iter().filter(|(_, (a, b))| a == b).count() as f64 / chosen.len() as f64
    };
    let onnxruntime = labels(include_bytes!("../fixtures/digits/onnxruntime.npy"));
    let truth = labels(include_bytes!("../fixtures/digits/labels.npy"));
    assert_eq!((found.len(), onnxruntime.len(), truth.len()), (1797, 1797, 1797));
    let agreement = share(&onnxruntime, &|_| true);
    let held_out = share(&truth, &|i| i % 3 == 2);
    println!("agreement with onnxruntime {agreement}, accuracy on held-out images {held_out}");
    assert!(agreement >= 0.995, "{agreement}");
    assert!(held_out >= 0.95, "{held_out}");
}

#[test]
fn every_run_gives_the_pinned_bytes() {
    let model = Model::load(MODEL).unwrap();
    let job = model.prepare(&[images()]).unwrap();
    let (mut first, mut second) = (Recorder::default(), Recorder::default());
    let result = job.run(&mut first).unwrap();
    assert_eq!(job.run(&mut second).unwrap(), result);
    assert_eq!(first.bytes, second.bytes);
    assert_eq!(result.len(), 1);
    assert_eq!(model.program_hash(), content_hash(MODEL));
    let found = [model.program_hash(), result[0].hash(), content_hash(&first.bytes)].map(|hash| hash.to_string());
    assert_eq!(found, [PROGRAM, RESULT, TRACE]);
}

#[test]
fn the_trace_shows_what_onnxruntime_quantises() {
    let model = Model::load(MODEL).unwrap();
    let mut recorder = Recorder::default();
    model.prepare(&[images()]).unwrap().run(&mut recorder).unwrap();
    let expected: serde_json::Value = serde_json::from_str(include_str!("../fixtures/digits/linear.json")).unwrap();
    let found: Vec<_> = recorder
        .ops
        .iter()
        .zip(&recorder.inputs)
        .map(|((.., scale, _), input)| (u64::from(scale.to_bits()), hex::encode(Blake2b::<U32>::digest(input))))
        .collect();
    let expected: Vec<_> = expected
        .as_array()
        .unwrap()
        .iter()
        .map(|op| (op["scale_bits"].as_u64().unwrap(), op["blake2b"].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn the_trace_shows_every_linear_op_and_justifies_its_scale() {
    let model = Model::load(MODEL).unwrap();
    let mut recorder = Recorder::default();
    model.prepare(&[images()]).unwrap().run(&mut recorder).unwrap();
    let shapes: Vec<_> = recorder.ops.iter().map(|(m, k, n, ..)| (*m, *k, *n)).collect();
    assert_eq!(shapes, [(1797, 64, 64), (1797, 64, 32), (1797, 32, 10)]);
    assert_eq!(model.linear_ops(), 3);
    for ((_, k, _, scale, rows), input) in recorder.ops.iter().zip(&recorder.inputs) {
        let rows = rows.unwrap();
        let row = |row: u64| &input[(row * k) as usize..][..*k as usize];
        // Pixels and Relu are never negative: the smallest is 0 with zero point 0, the largest 255.
        assert!(row(rows.min).contains(&0) && row(rows.max).contains(&255));
        assert!(*scale > 0.0);
    }
    // Pixels are 0 to 16, scaled by 1/16: the first scale is 1/255.
    assert_eq!(recorder.ops[0].3, 1.0 / 255.0);
}

#[test]
fn the_model_says_what_it_takes_gives_and_weighs() {
    let model = Model::load(MODEL).unwrap();
    let input = model.inputs().next().unwrap();
    assert_eq!((input.name.as_str(), input.dtype), ("image", DType::F32));
    assert_eq!(input.shape.as_deref(), Some(&[Dimension::Symbol("N".into()), Dimension::Fixed(64)][..]));
    let output = model.outputs().next().unwrap();
    assert_eq!((output.name.as_str(), output.dtype, output.shape_text()), ("label", DType::I64, "[N]".into()));
    let weights: Vec<_> = model.weights().collect();
    assert_eq!(
        weights.iter().map(|w| (w.index, w.k, w.n)).collect::<Vec<_>>(),
        [(0, 64, 64), (1, 64, 32), (2, 32, 10)]
    );
    for weight in &weights {
        assert_eq!(weight.bytes.len() as u64, weight.k * weight.n);
        // The quantiser writes raw bytes into the file: they must be there as they are.
        assert!(MODEL.windows(weight.bytes.len()).any(|part| part == &weight.bytes[..]), "{}", weight.name);
        assert!(weight.signed.b && weight.zero_points == [0]);
    }
}

#[test]
fn the_batch_is_part_of_the_job() {
    let model = Model::load(MODEL).unwrap();
    let all = run(&model, images());
    let part = run(&model, some(0, 100));
    assert_eq!(part.shape(), [100]);
    assert_ne!(part.hash(), all.hash());
    let none = run(&model, Tensor::from_f32("image", vec![0, 64], &[]).unwrap());
    assert_eq!(none.shape(), [0]);
}

#[test]
fn one_pixel_changes_the_trace() {
    let model = Model::load(MODEL).unwrap();
    let mut pixels = some(0, 20).to_f32().unwrap();
    let trace = |pixels: &[f32]| -> Hash32 {
        let mut recorder = Recorder::default();
        let images = Tensor::from_f32("image", vec![20, 64], pixels).unwrap();
        model.prepare(&[images]).unwrap().run(&mut recorder).unwrap();
        content_hash(&recorder.bytes)
    };
    let before = trace(&pixels);
    pixels[700] += 1.0;
    assert_ne!(trace(&pixels), before);
}

#[test]
fn a_nan_ends_the_run_as_a_fault_at_the_first_quantisation() {
    let model = Model::load(MODEL).unwrap();
    for bad in [f32::NAN, f32::INFINITY] {
        let mut pixels = vec![1.0; 128];
        pixels[77] = bad;
        let job = model.prepare(&[Tensor::from_f32("image", vec![2, 64], &pixels).unwrap()]).unwrap();
        let Err(RunError::Fault { op, at, .. }) = job.run(&mut NoTrace) else { panic!("{bad} was quantised") };
        assert_eq!((op, at.op.as_str()), (1, "DynamicQuantizeLinear"));
    }
}

#[test]
fn inputs_that_do_not_fit_are_refused_by_name() {
    let model = Model::load(MODEL).unwrap();
    let refused = |inputs: &[Tensor]| model.prepare(inputs).unwrap_err();
    let image = || Tensor::from_f32("image", vec![1, 64], &[0.0; 64]).unwrap();
    assert_eq!(refused(&[]), RunError::MissingInput { name: "image".into() });
    assert!(matches!(refused(&[image(), image()]), RunError::UnknownInput { name, .. } if name == "image"));
    let other = image().renamed("picture").unwrap();
    assert!(
        matches!(refused(&[other]), RunError::UnknownInput { name, wanted } if name == "picture" && wanted == "'image'")
    );
    let wide = Tensor::from_f32("image", vec![1, 65], &[0.0; 65]).unwrap();
    assert!(
        matches!(refused(&[wide]), RunError::InputShape { found, expected, .. } if found == [1, 65] && expected == "[N, 64] (N = 1)")
    );
    let flat = Tensor::from_f32("image", vec![64], &[0.0; 64]).unwrap();
    assert!(matches!(refused(&[flat]), RunError::InputShape { found, .. } if found == [64]));
    let bytes = Tensor::new("image", DType::U8, vec![1, 64], vec![0; 64]).unwrap();
    assert!(matches!(refused(&[bytes]), RunError::InputDType { found: DType::U8, expected: DType::F32, .. }));
}
