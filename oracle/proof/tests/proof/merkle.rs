//! Trees: one root however it is computed, and no proof but the true one.

use nunet_proof::{Hash32, InclusionProof, Leaf, MAX_LEAF_BYTES, MerkleError, MerkleTree, RootHasher, RowLayout, Tree};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

fn payloads(count: u64) -> Vec<[u8; 8]> {
    (0..count).map(|i| (i * 7919).to_le_bytes()).collect()
}

fn leaves(payloads: &[[u8; 8]]) -> impl Iterator<Item = Leaf<'_>> {
    (0..).zip(payloads).map(|(row, bytes)| Leaf::new(3, row, 0, bytes).unwrap())
}

fn tree(count: u64) -> MerkleTree {
    MerkleTree::new(Tree::Rows, leaves(&payloads(count)))
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    Sha256::digest(parts.concat()).into()
}

/// The definition of RFC 6962: the left half is the largest power of two below the number of leaves.
fn top(hashes: &[Hash32]) -> Hash32 {
    if let [only] = hashes {
        return *only;
    }
    let (left, right) = hashes.split_at(hashes.len().next_power_of_two() / 2);
    Hash32(sha256(&[b"node", &top(left).0, &top(right).0]))
}

#[test]
fn a_root_is_what_the_definition_says() {
    for count in 1..70 {
        let hashes: Vec<_> = (0_u64..)
            .zip(payloads(count))
            .map(|(row, bytes)| {
                Hash32(sha256(&[b"leaf", &[0, 0, 0, 3], &row.to_be_bytes(), &[0; 4], &[0, 0, 0, 8], &bytes]))
            })
            .collect();
        let expected = Hash32(sha256(&[b"root", &[0, 0, 0, 1], &count.to_be_bytes(), &top(&hashes).0]));
        assert_eq!(tree(count).root(), expected, "{count} leaves");
    }
}

#[test]
fn a_streamed_root_is_the_trees_root() {
    for count in 0..300 {
        let mut hasher = RootHasher::new(Tree::Rows);
        leaves(&payloads(count)).for_each(|leaf| hasher.push(&leaf));
        assert_eq!(hasher.finish(), tree(count).root(), "{count} leaves");
    }
}

#[test]
fn an_empty_tree_has_a_root_and_no_leaf() {
    assert_eq!(tree(0).root(), Hash32(sha256(&[b"root", &[0, 0, 0, 1], &[0; 8]])));
    assert_eq!(tree(0).open(0), Err(MerkleError::NoSuchLeaf { index: 0, count: 0 }));
}

#[test]
fn a_leaf_verifies_at_its_place_and_nowhere_else() {
    for count in 1..20 {
        let tree = tree(count);
        let payloads = payloads(count);
        for (index, leaf) in (0..).zip(leaves(&payloads)) {
            let proof = tree.open(index).unwrap();
            assert_eq!(proof.verify(Tree::Rows, &tree.root(), &leaf), Ok(()));
            for other in 0..count + 2 {
                for other_count in 0..count + 3 {
                    let moved = InclusionProof { index: other, count: other_count, ..proof.clone() };
                    let true_place = (other, other_count) == (index, count);
                    assert_eq!(moved.verify(Tree::Rows, &tree.root(), &leaf).is_ok(), true_place);
                }
            }
        }
    }
}

#[test]
fn a_changed_shortened_or_lengthened_path_fails() {
    let tree = tree(11);
    let payloads = payloads(11);
    for (index, leaf) in (0..).zip(leaves(&payloads)) {
        let proof = tree.open(index).unwrap();
        let check = |path: Vec<Hash32>| {
            InclusionProof { path, ..proof.clone() }.verify(Tree::Rows, &tree.root(), &leaf).unwrap_err()
        };
        for place in 0..proof.path.len() {
            let mut path = proof.path.clone();
            path[place].0[31] ^= 1;
            assert_eq!(check(path), MerkleError::OtherRoot { index, count: 11 });
            let mut path = proof.path.clone();
            path.remove(place);
            assert!(matches!(check(path), MerkleError::PathLength { .. }));
        }
        let longer = proof.path.iter().copied().chain([Hash32([0; 32])]).collect();
        assert!(matches!(check(longer), MerkleError::PathLength { .. }));
    }
}

#[test]
fn a_node_does_not_pass_for_a_leaf_nor_a_leaf_for_a_node() {
    let tree = tree(4);
    let payloads = payloads(4);
    let hashes: Vec<_> = leaves(&payloads).map(|leaf| leaf.hash()).collect();
    // The two halves of the tree, given out as the leaves of a smaller one.
    let left: Vec<u8> = hashes[..2].iter().flat_map(|hash| hash.0).collect();
    let right = Hash32(sha256(&[b"node", &hashes[2].0, &hashes[3].0]));
    for count in [2, 4] {
        let forged = InclusionProof { index: 0, count, path: vec![right] };
        assert!(forged.verify(Tree::Rows, &tree.root(), &Leaf::new(3, 0, 0, &left).unwrap()).is_err());
    }
    // A leaf that spells a node: the same bytes behind the other tag.
    let spelled = Leaf::new(0, 0, 0, &left).unwrap().hash();
    assert_ne!(spelled, Hash32(sha256(&[b"node", &left])));
    // A root is not the top of a larger tree's half, although it covers the same leaves.
    assert_ne!(MerkleTree::new(Tree::Rows, leaves(&payloads[..1])).root(), hashes[0]);
}

#[test]
fn a_leaf_of_one_kind_of_tree_proves_nothing_about_another() {
    let tree = tree(5);
    let payloads = payloads(5);
    let leaf = leaves(&payloads).next().unwrap();
    let proof = tree.open(0).unwrap();
    for other in [Tree::Trace, Tree::Weights, Tree::Model, Tree::Evidence] {
        assert!(proof.verify(other, &tree.root(), &leaf).is_err());
        assert_ne!(MerkleTree::new(other, leaves(&payloads)).root(), tree.root());
    }
}

#[test]
fn a_leafs_tag_is_part_of_it() {
    let leaf = |op, row, chunk, bytes| Leaf::new(op, row, chunk, bytes).unwrap().hash();
    let all = [
        leaf(1, 2, 3, b"ab"),
        leaf(2, 2, 3, b"ab"),
        leaf(1, 3, 3, b"ab"),
        leaf(1, 2, 4, b"ab"),
        leaf(1, 2, 3, b"ab\0"),
        leaf(1, 2, 3, b""),
    ];
    for (place, hash) in all.iter().enumerate() {
        assert!(!all[..place].contains(hash));
    }
    let long = [0; MAX_LEAF_BYTES + 1];
    assert_eq!(Leaf::new(0, 0, 0, &long), Err(MerkleError::LeafTooLong { len: 1025 }));
    assert!(Leaf::new(0, 0, 0, &long[1..]).is_ok());
}

#[test]
fn rows_longer_than_a_leaf_lie_where_the_layout_says() {
    let rows: Vec<Vec<u8>> = (0_u8..3).map(|row| vec![row; 2_500]).collect();
    let layout = RowLayout { rows: 3, row_bytes: 2_500 };
    let mut hasher = RootHasher::new(Tree::Rows);
    let mut leaves = Vec::new();
    for (row, bytes) in (0..).zip(&rows) {
        hasher.push_row(8, row, bytes);
        for (chunk, bytes) in (0..).zip(bytes.chunks(MAX_LEAF_BYTES)) {
            assert_eq!(layout.place(row, chunk), Some((leaves.len() as u64, 9)));
            leaves.push(Leaf::new(8, row, chunk, bytes).unwrap());
        }
    }
    assert_eq!(hasher.finish(), MerkleTree::new(Tree::Rows, leaves).root());
    assert_eq!((layout.place(3, 0), layout.place(0, 3)), (None, None));
    assert_eq!(RowLayout { rows: u64::MAX, row_bytes: 2_500 }.place(0, 0), None);
    assert_eq!(RowLayout { rows: 3, row_bytes: 0 }.place(0, 0), None);
}

proptest! {
    #[test]
    fn only_the_encoding_of_a_path_is_read_as_one(index: u64, count: u64, path: Vec<[u8; 32]>, cut: usize, flip: u8) {
        let proof = InclusionProof { index, count, path: path.into_iter().take(64).map(Hash32).collect() };
        let bytes = proof.to_bytes();
        prop_assert_eq!(&InclusionProof::from_bytes(&bytes).unwrap(), &proof);
        prop_assert!(InclusionProof::from_bytes(&bytes[..cut % bytes.len()]).is_err());
        let mut changed = bytes.clone();
        changed[cut % bytes.len()] ^= flip;
        if let Ok(read) = InclusionProof::from_bytes(&changed) {
            prop_assert_eq!(read.to_bytes(), changed);
        }
    }

    #[test]
    fn a_hostile_path_never_verifies(index: u64, count: u64, path: Vec<[u8; 32]>) {
        let proof = InclusionProof { index, count, path: path.into_iter().map(Hash32).collect() };
        prop_assert!(proof.verify(Tree::Rows, &tree(9).root(), &Leaf::new(3, 0, 0, &[1; 8]).unwrap()).is_err());
    }
}
