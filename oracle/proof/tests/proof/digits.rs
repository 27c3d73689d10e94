//! The whole exchange over a real quantised model and 1,797 real images.

use std::sync::LazyLock;

use nunet_compute::{LinearOp, Model, Tensor, Trace, Weights, npy};
use nunet_proof::{
    Execution, ExecutionError, Finding, Found, Leaf, MerkleTree, PublicKey, RunResult, Salt, Tracer, Tree, Where,
    execute, input_hash, model_root,
};
use sha2::{Digest, Sha256};

use crate::common::{binding, hash, key};

static MODEL: &[u8] = include_bytes!("../../../../offchain/compute/fixtures/digits/model.onnx");
static IMAGES: &[u8] = include_bytes!("../../../../offchain/compute/fixtures/digits/images.npy");
static JOB: LazyLock<(Model, Tensor, Execution)> = LazyLock::new(|| {
    let model = Model::load(MODEL).unwrap();
    let name = model.inputs().next().unwrap().name.clone();
    let images = npy::read(&name, IMAGES).unwrap();
    let execution = execute(&model, std::slice::from_ref(&images)).unwrap();
    (model, images, execution)
});

fn find(theirs: &Execution, own: &Execution) -> Finding {
    let (commitment, reveal) = theirs.commit(&key(9), binding(1), Salt([5; 32]));
    let opened = commitment.open(&PublicKey::of(&key(9)), &binding(1), &reveal).unwrap();
    Found::exact(&opened, own, hash(6)).finding()
}

#[test]
fn two_runs_of_one_job_are_the_same_to_the_last_byte() {
    let (model, images, first) = &*JOB;
    let second = execute(model, std::slice::from_ref(images)).unwrap();
    assert_eq!(&second, first);
    assert_eq!(find(&second, first), Finding::Accepted);
    assert_eq!(first.outputs()[0].shape(), [1_797]);
    // The same on every machine. The first op's root was also computed with numpy, from the rule for dynamic scales.
    let root = first.records()[0].root.to_string();
    assert_eq!(root, "8bbf41cd02d760f702b2b86a46d566039f2a2cd453f02f39cf4b3b02aca9d47a");
    let root = first.trace_root().to_string();
    assert_eq!(root, "baad566917e291ef0b8fc3c04beeacf7a3ed7242e5b7c82c73b0a82086e12bde");
}

#[test]
fn one_wrong_label_anywhere_is_found_in_its_row() {
    let (_, _, honest) = &*JOB;
    let [output] = honest.outputs() else { panic!("one output") };
    let labels = output.to_i64().unwrap();
    let op = honest.records().len() as u32;
    for row in 0..labels.len() {
        let mut forged = labels.clone();
        forged[row] = (forged[row] + 1) % 10;
        let forged = Tensor::from_i64(output.name(), output.shape().to_vec(), &forged).unwrap();
        let theirs = Execution::new(RunResult::Outputs(vec![forged]), honest.records().to_vec()).unwrap();
        assert_eq!(find(&theirs, honest), Finding::WrongResult { at: Where { op, row: row as u64 } });
    }
}

#[test]
fn another_batch_is_another_job() {
    let (model, images, honest) = &*JOB;
    let row_bytes = images.data().len() / images.shape()[0];
    let batch = |from: usize, to: usize| {
        let mut shape = images.shape().to_vec();
        shape[0] = to - from;
        let data = images.data()[from * row_bytes..to * row_bytes].to_vec();
        Tensor::new(images.name(), images.dtype(), shape, data).unwrap()
    };
    let [first, second] = [batch(0, 100), batch(100, 200)];
    assert_ne!(input_hash(std::slice::from_ref(&first)), input_hash(std::slice::from_ref(&second)));
    assert_eq!(input_hash(std::slice::from_ref(&first)), first.hash());
    let [first, second] = [first, second].map(|batch| execute(model, &[batch]).unwrap());
    assert_eq!(find(&first, &second), Finding::WrongResult { at: Where { op: 0, row: 0 } });
    assert_eq!(find(&first, honest), Finding::WrongResult { at: Where { op: 0, row: 0 } });
}

#[test]
fn the_order_of_inputs_does_not_name_another_job() {
    let [a, b] = ["a", "b"].map(|name| Tensor::from_i64(name, vec![1], &[1]).unwrap());
    assert_eq!(input_hash(&[a.clone(), b.clone()]), input_hash(&[b.clone(), a.clone()]));
    assert_ne!(input_hash(&[a.clone(), b]), input_hash(&[a]));
}

#[test]
fn a_model_root_is_over_the_columns_of_its_weights() {
    let (model, _, _) = &*JOB;
    let records: Vec<[u8; 32]> =
        model.weights().map(|weights| Sha256::digest(weights_record(&weights)).into()).collect();
    let leaves = (0..).zip(&records).map(|(op, record)| Leaf::new(op, 0, 0, record).unwrap());
    assert_eq!(MerkleTree::new(Tree::Model, leaves).root(), model_root(model));
}

/// The record of one matrix by its definition, column by column.
fn weights_record(weights: &Weights<'_>) -> Vec<u8> {
    let (k, n) = (weights.k as usize, weights.n as usize);
    let columns: Vec<Vec<u8>> = (0..n).map(|j| (0..k).map(|i| weights.bytes[i * n + j]).collect()).collect();
    let leaves = (0..).zip(&columns).flat_map(|(column, bytes)| {
        (0..).zip(bytes.chunks(1024)).map(move |(chunk, bytes)| Leaf::new(weights.index, column, chunk, bytes).unwrap())
    });
    let root = MerkleTree::new(Tree::Weights, leaves).root();
    let points: Vec<u8> = weights.zero_points.iter().flat_map(|point| point.to_be_bytes()).collect();
    let mut e = minicbor::Encoder::new(Vec::new());
    let signedness = u8::from(weights.signed.a) + 2 * u8::from(weights.signed.b);
    e.array(7).unwrap().u32(weights.index).unwrap().u8(weights.kind.code()).unwrap();
    e.u64(weights.k).unwrap().u64(weights.n).unwrap().u8(signedness).unwrap();
    e.bytes(&points).unwrap().bytes(&root.0).unwrap();
    e.into_writer()
}

#[test]
fn a_lazy_run_with_a_made_up_trace_is_found() {
    let (_, _, honest) = &*JOB;
    let lazy = Execution::new(honest.result().clone(), Tracer::default().into_records()).unwrap();
    assert_eq!(find(&lazy, honest), Finding::WrongResult { at: Where { op: 0, row: 0 } });
}

#[test]
fn another_model_has_another_root_and_its_run_is_found() {
    let (model, images, honest) = &*JOB;
    // Each weight matrix in turn with some bytes changed: another model in the same clothes.
    let mut found = 0;
    for weights in model.weights() {
        let place = MODEL.windows(weights.bytes.len()).position(|window| window == &*weights.bytes).unwrap();
        let mut other = MODEL.to_vec();
        for byte in other[place..place + weights.bytes.len()].iter_mut().step_by(3) {
            *byte = if *byte == 0 { 1 } else { 0 };
        }
        let other = Model::load(&other).unwrap();
        assert_ne!(model_root(&other), model_root(model));
        assert_ne!(other.program_hash(), model.program_hash());
        let theirs = execute(&other, std::slice::from_ref(images)).unwrap();
        assert!(matches!(find(&theirs, honest), Finding::WrongResult { at } if at.op > weights.index));
        found += 1;
    }
    assert!(found >= 2);
}

/// Traces another element than the one that was computed with.
struct Forger {
    tracer: Tracer,
    op: u32,
    element: usize,
}

impl Trace for Forger {
    fn linear(&mut self, op: &LinearOp<'_>) {
        let mut input = op.input.to_vec();
        if op.index == self.op {
            let place = self.element % input.len();
            input[place] ^= 1;
        }
        self.tracer.linear(&LinearOp { input: &input, ..op.clone() });
    }
}

#[test]
fn one_wrong_element_of_any_op_input_is_found_in_its_op() {
    let (model, images, honest) = &*JOB;
    let job = model.prepare(std::slice::from_ref(images)).unwrap();
    for op in 0..honest.records().len() as u32 {
        for step in 0..25 {
            let mut forger = Forger { tracer: Tracer::default(), op, element: step * 7_919 };
            let outputs = job.run(&mut forger).unwrap();
            let theirs = Execution::new(RunResult::Outputs(outputs), forger.tracer.into_records()).unwrap();
            assert_eq!(find(&theirs, honest), Finding::WrongResult { at: Where { op, row: 0 } });
        }
    }
}

#[test]
fn a_nan_ends_the_run_as_a_result_that_members_find_too() {
    let (model, images, honest) = &*JOB;
    let mut pixels = images.to_f32().unwrap();
    pixels[1_000] = f32::NAN;
    let images = Tensor::from_f32(images.name(), images.shape().to_vec(), &pixels).unwrap();
    let [theirs, own] = [(); 2].map(|()| execute(model, std::slice::from_ref(&images)).unwrap());
    assert!(matches!(theirs.result(), RunResult::Fault { .. }));
    assert_eq!(find(&theirs, &own), Finding::Accepted);
    // Claimed for a job that runs to its end, or denied for one that does not, it is found.
    assert!(matches!(find(&theirs, honest), Finding::WrongResult { .. }));
    assert!(matches!(find(honest, &own), Finding::WrongResult { .. }));
}

#[test]
fn inputs_that_do_not_fit_the_model_give_no_execution() {
    let (model, _, _) = &*JOB;
    assert!(matches!(execute(model, &[]), Err(ExecutionError::Run(_))));
}
