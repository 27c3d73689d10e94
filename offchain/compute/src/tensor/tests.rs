//! The canonical form of tensors: pinned, strict, and safe from strangers' bytes.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use minicbor::Encoder;

fn dtypes() -> impl Strategy<Value = DType> {
    prop::sample::select(DType::ALL.to_vec())
}

prop_compose! {
    fn tensors()(
        name in ".{0,20}", dtype in dtypes(), shape in prop::collection::vec(0usize..5, 0..4),
    )(
        bytes in prop::collection::vec(0u8..2, shape.iter().product::<usize>() * dtype.size()),
        name in Just(name), dtype in Just(dtype), shape in Just(shape),
    ) -> Tensor {
        Tensor::new(name, dtype, shape, bytes).unwrap()
    }
}

proptest! {
    #[test]
    fn the_canonical_form_reads_back(tensor in tensors()) {
        let bytes = tensor.to_canonical();
        prop_assert_eq!(Tensor::from_canonical(&bytes).unwrap(), tensor);
    }

    #[test]
    fn what_reads_is_canonical(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(tensor) = Tensor::from_canonical(&bytes) {
            prop_assert_eq!(tensor.to_canonical(), bytes);
        }
    }

    #[test]
    fn one_changed_byte_is_refused_or_another_tensor(tensor in tensors(), at in any::<prop::sample::Index>(), flip in 1u8..) {
        let mut bytes = tensor.to_canonical();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if let Ok(other) = Tensor::from_canonical(&bytes) {
            prop_assert_eq!(other.to_canonical(), bytes);
            prop_assert_ne!(other, tensor);
        }
    }

    #[test]
    fn a_truncated_or_longer_form_is_refused(tensor in tensors(), extra in any::<u8>()) {
        let mut bytes = tensor.to_canonical();
        for end in 0..bytes.len() {
            prop_assert!(Tensor::from_canonical(&bytes[..end]).is_err());
        }
        bytes.push(extra);
        prop_assert!(Tensor::from_canonical(&bytes).is_err());
    }
}

#[test]
fn the_canonical_form_and_hash_are_pinned() {
    let tensor = Tensor::from_i64("label", vec![2], &[3, -1]).unwrap();
    assert_eq!(
        hex::encode(tensor.to_canonical()),
        "84656c6162656c6369363481025003000000000000 00ffffffffffffffff".replace(' ', "")
    );
    assert_eq!(tensor.hash(), content_hash(&tensor.to_canonical()));
}

#[test]
fn a_longer_head_is_refused() {
    let canonical = Tensor::new("x", DType::U8, vec![1], vec![7]).unwrap().to_canonical();
    assert_eq!(hex::encode(&canonical), "84617862753881014107");
    for other in
        ["980461786275388101 4107", "84617862753898010 14107", "8461786275388118014107", "8461786275389f01ff4107"]
    {
        let bytes = hex::decode(other.replace(' ', "")).unwrap();
        assert!(Tensor::from_canonical(&bytes).is_err(), "{other}");
    }
}

#[test]
fn huge_shapes_allocate_nothing() {
    let huge = 1usize << 62;
    for shape in [vec![huge], vec![huge, huge], vec![0, huge, huge], vec![usize::MAX, 2]] {
        let mut bytes = vec![0x84, 0x61, b'x', 0x62, b'u', b'8'];
        let mut encoder = Encoder::new(&mut bytes);
        encoder.array(shape.len() as u64).unwrap();
        for &dimension in &shape {
            encoder.u64(dimension as u64).unwrap();
        }
        encoder.bytes(&[]).unwrap();
        assert!(matches!(Tensor::from_canonical(&bytes), Err(TensorError::TooLarge { .. })), "{shape:?}");
    }
}

#[test]
fn every_nan_has_one_encoding() {
    let nan = f32::from_bits(0xffc0_0001);
    let tensor = Tensor::from_f32("x", vec![1], &[nan]).unwrap();
    assert_eq!(tensor.data(), CANONICAL_NAN.to_le_bytes());
    let refused = Tensor::new("x", DType::F32, vec![1], nan.to_le_bytes().to_vec());
    assert!(matches!(refused, Err(TensorError::Element { index: 0, .. })));
    assert!(matches!(Tensor::new("b", DType::Bool, vec![2], vec![1, 2]), Err(TensorError::Element { index: 1, .. })));
}
