//! The formats that are hashed and signed, byte for byte. The expected values were computed apart from this crate, from
//! the formats' definitions alone (Python: hashlib, blake3, cbor2, cryptography).

use nunet_proof::{EvidenceTree, Found, RunResult, Terms, decide};
use sha2::{Digest, Sha256};

use crate::{
    common::{binding, committee, exchange, execution, execution_of, find, labels, records, subject, transcript},
    evidence::leaf,
};

#[test]
fn op_records_and_their_row_roots_never_change() {
    let [first, second] = records().try_into().unwrap();
    assert_eq!(first.root.to_string(), ROWS);
    assert_eq!(hex::encode(first.to_bytes()), FIRST);
    assert_eq!(hex::encode(second.to_bytes()), SECOND);
}

#[test]
fn result_hashes_and_the_trace_root_never_change() {
    assert_eq!(execution().result_hash().to_string(), RESULT);
    assert_eq!(*execution().result_hash(), execution().outputs()[0].hash());
    assert_eq!(RunResult::Fault { op: 300 }.hash().to_string(), FAULT);
    assert_eq!(execution().trace_root().to_string(), TRACE);
}

#[test]
fn commitments_and_reveals_never_change() {
    let (commitment, reveal) = exchange();
    assert_eq!(commitment.hash().to_string(), COMMITMENT_HASH);
    assert_eq!(hex::encode(commitment.to_bytes()), COMMITMENT);
    assert_eq!(hex::encode(Sha256::digest(reveal.to_bytes())), REVEAL_SHA256);
}

#[test]
fn transcripts_never_change() {
    let wrong = find(&execution_of(RunResult::Outputs(vec![labels(&[7, 1, 0, 8])]), records()));
    for (found, hash) in [
        (find(&execution()), ACCEPTED),
        (wrong, WRONG),
        (Found::no_reveal(), NO_REVEAL),
        (Found::bad_opening(), BAD_OPENING),
    ] {
        assert_eq!(transcript(1, found).hash().to_string(), hash);
    }
    assert_eq!(hex::encode(transcript(1, find(&execution())).to_bytes()), TRANSCRIPT);
}

#[test]
fn decisions_and_evidence_never_change() {
    let transcripts: Vec<_> = (1..=3).map(|member| transcript(member, find(&execution()))).collect();
    let decision = decide(&transcripts, &committee(3), &subject(), &Terms { price: 5, bond: 2 }).unwrap();
    assert_eq!(decision.transcripts.to_string(), TRANSCRIPTS);
    assert_eq!(hex::encode(leaf().to_bytes()), LEAF);
    assert_eq!(EvidenceTree::new(&[leaf()]).unwrap().root().to_string(), EVIDENCE);
    assert_eq!(committee(3).proposer(&binding(1), 0).to_string(), PROPOSER);
}

const ROWS: &str = "d36756b094a27be577d646180a92ca6a67b6cafbdf6e9ec63910fc5c714fdc87";
const FIRST: &str = "\
         8b00010406030218804400000000443f0000008200035820d36756b094a27be577d646180a92ca6a67b6cafbdf6e9ec63910fc5c\
         714fdc87";
const SECOND: &str = "\
         8b010204030203224800000001fffffffe443e800000805820d042c42141f807e4903f3220518928c95700dbdd676f51b285650f\
         a241041dac";
const RESULT: &str = "4f3467d6a7a62272f58968713c7a51c83da4130d0a03366dd49ec1aaf91d9b17";
const FAULT: &str = "a479410d04e9cca76e5a7ad43273d7cf9cc2ad59cb9356f46376faf5e5afb051";
const TRACE: &str = "86fd0556d8d094973739608e3787bf88b268fdea644598b3a1225f745cdd3a59";
const COMMITMENT_HASH: &str = "66e3108328b4831b898f2356a3b673f084a575cf9464e59651436a39dd6423cf";
const COMMITMENT: &str = "\
         86182a581c0707070707070707070707070707070707070707070707070707070758220101010101010101010101010101010101\
         01010101010101010101010101010101025820fd1724385aa0c75b64fb78cd602fa1d991fdebf76b13c58ed702eac835e9f61858\
         2066e3108328b4831b898f2356a3b673f084a575cf9464e59651436a39dd6423cf584076e5c483f860cd9217dabaf0e1aca87639\
         96f2d76edc0045a80615b0eb8de8bf5c4541978a88a0e1020d438b101c6a293124a5957d70ce0c00135f465ac68104";
const REVEAL_SHA256: &str = "69ef4a739bfff7f98513720991f0480d42fef1902121896558f66b7c9ae1c8aa";
const ACCEPTED: &str = "647ba64cb162085b9a518822484747390c94e466f463246361743e31a7225b8a";
const WRONG: &str = "14d7b33f161453d11ec179ef60ff89a58b6c603487ba9423d10dc5ac361fe656";
const NO_REVEAL: &str = "62867f4a523817f219059a609bdd107872337e2f4cd0c377ec1381169cc110f8";
const BAD_OPENING: &str = "4a5059d217335af42d3dfc39c63e0045464617e21c3fe7c38703ba4c31c9c152";
const TRANSCRIPT: &str = "\
         91182a581c0707070707070707070707070707070707070707070707070707070758220101010101010101010101010101010101\
         01010101010101010101010101010101025820020202020202020202020202020202020202020202020202020202020202020201\
         58200303030303030303030303030303030303030303030303030303030303030303582004040404040404040404040404040404\
         0404040404040404040404040404040458208a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c0180\
         582086fd0556d8d094973739608e3787bf88b268fdea644598b3a1225f745cdd3a5958204f3467d6a7a62272f58968713c7a51c8\
         3da4130d0a03366dd49ec1aaf91d9b17582006060606060606060606060606060606060606060606060606060606060606060219\
         03e81907d05840227c9486ff8f3ef1dfa7fc5c67d18c9e67ddf5fbf870e307d0833b8b6a51f5f2ab0d13a45a6ac1ffbae049781c\
         0597b48617788f9091a294d52582b1597ad40c";
const TRANSCRIPTS: &str = "a20f1719d06a132d8a0a397cf484db2587fd3e355943ca4771dc213c3dc1e521";
const LEAF: &str = "\
         6e756e65742f65766964656e63652f310000002a0707070707070707070707070707070707070707070707070707070701010101\
         01010101010101010101010101010101010101010101010101010101010202020202020202020202020202020202020202020202\
         02020202020202020202010100000000004c4b400000000000000000030303030303030303030303030303030303030303030303\
         03030303030303030606060606060606060606060606060606060606060606060606060606060606040404040404040404040404\
         040404040404040404040404040404040404040486fd0556d8d094973739608e3787bf88b268fdea644598b3a1225f745cdd3a59\
         000000024f3467d6a7a62272f58968713c7a51c83da4130d0a03366dd49ec1aaf91d9b1708080808080808080808080808080808\
         08080808080808080808080808080808a20f1719d06a132d8a0a397cf484db2587fd3e355943ca4771dc213c3dc1e521";
const EVIDENCE: &str = "4690c9d1c9e137e1c5fc743f6b731d6b74a4d334382f37ec939c5919dd9c1607";
const PROPOSER: &str = "ed4928c628d1c2c6eae90338905995612959273a5c63f93636c14614ac8737d1";
