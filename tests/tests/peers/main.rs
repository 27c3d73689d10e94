//! What strangers and cheats send over the network: each gets a clear refusal, and nobody works or signs for it.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bonds;
mod scene;

use std::time::Duration;

use minicbor::{Decode, Encode};
use nunet::demo::Digits;
use nunet_agent::{
    ProviderEvent,
    messages::{Locked, ProposeAgreement},
};
use nunet_compute::Tensor;
use nunet_contracts::{Closing, EscrowTerms, Ntx, closing::read_closing};
use nunet_oracle::messages::{Findings, JobNotice, Ruling};
use nunet_p2p::Request;

use self::scene::{HandMade, PRICE, Scene, failure, refusal};

#[tokio::test(flavor = "multi_thread")]
async fn a_requester_that_walks_away_keeps_nobody_from_being_paid() {
    let digits = Digits::load().unwrap();
    let mut scene = Scene::set(3).await;
    let requester = HandMade::agree(&scene, &digits).await;
    let terms = requester.agreement.agreement.escrow_terms();
    let escrow = scene.lock(&terms).await;
    let locked = Locked { agreement: requester.agreement.agreement.hash().0, escrow: escrow.to_bytes() };
    requester.node.request(requester.provider, &locked).await.unwrap();
    // It takes no result, hands out no inputs and tells no member.
    requester.node.shutdown().await;

    let paid = async {
        loop {
            if let nunet_chain::OutputState::Spent { by, .. } = scene.world.chain.look_up(escrow).await {
                return by;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let by = tokio::time::timeout(Duration::from_secs(90), paid).await.expect("the provider settles");
    let cbor = scene.world.chain.transaction_cbor(&by).await.unwrap().unwrap();
    let spent = scene.world.chain.consumed_by(&by).await.unwrap().unwrap();
    match read_closing(&scene.world.deployment.protocol, &cbor, &spent, escrow).unwrap() {
        Closing::Settled { paid, .. } => assert_eq!(paid, PRICE),
        other => panic!("{other:?}"),
    }
    while let Ok(event) = scene.events.try_recv() {
        assert!(!matches!(event, ProviderEvent::Failed { .. }), "{event:?}");
    }
    scene.strike().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_work_and_no_signature_for_money_that_is_not_as_agreed() {
    let digits = Digits::load().unwrap();
    type Change = fn(&mut EscrowTerms);
    let changes: [(&str, Change); 4] = [
        ("too little NTX", |terms| terms.datum.price.0 -= 1),
        ("another deadline", |terms| terms.datum.deadline.0 += 1),
        ("another requester", |terms| terms.datum.requester = terms.datum.provider.clone()),
        ("less lovelace", |terms| terms.tip.0 -= 1),
    ];
    for (what, change) in changes {
        let mut scene = Scene::set(3).await;
        let cheat = HandMade::agree(&scene, &digits).await;
        let escrow = cheat.lock_changed(&scene, change).await;
        let reason = failure(&mut scene.events).await;
        assert!(reason.contains("not as agreed") && reason.contains(&escrow.to_string()), "{what}: {reason}");
        cheat.node.shutdown().await;
        scene.strike().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_cannot_run_is_refused_before_money_moves() {
    let digits = Digits::load().unwrap();
    let scene = Scene::set(0).await;
    let requester = scene.requester().await;
    let before = scene.world.devnet.snapshot();

    let truncated = digits.model[..digits.model.len() / 2].to_vec();
    let said = scene.refused(&requester, truncated, vec![digits.images.clone()]).await;
    assert!(said.contains("is not an ONNX model") && said.contains("damaged"), "{said}");

    let unknown = replace(digits.model, b"ArgMax", b"ArgMox");
    let said = scene.refused(&requester, unknown, vec![digits.images.clone()]).await;
    assert!(said.contains("ArgMox"), "the op is named: {said}");

    let pixels = digits.images.to_f32().unwrap();
    let name = digits.images.name().to_owned();
    let narrow = Tensor::from_f32(name.clone(), vec![pixels.len() / 32, 32], &pixels).unwrap();
    let said = scene.refused(&requester, digits.model.to_vec(), vec![narrow]).await;
    assert!(said.contains("64") && said.contains("32"), "both shapes are named: {said}");

    let other_name = digits.images.clone().renamed("picture").unwrap();
    let said = scene.refused(&requester, digits.model.to_vec(), vec![other_name]).await;
    assert!(said.contains(&name), "the missing input is named: {said}");

    assert!(before == scene.world.devnet.snapshot(), "no money moved");
    requester.shutdown().await;
    scene.strike().await;
}

/// Replaces a byte string by one of the same length.
fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut changed = bytes.to_vec();
    let at = bytes.windows(from.len()).position(|window| window == from).expect("the model has this op");
    changed[at..at + to.len()].copy_from_slice(to);
    changed
}

/// Bytes that are no message, sent where an agreement is expected.
#[derive(Encode, Decode)]
struct Garbage(#[n(0)] u8);

impl Request for Garbage {
    const PROTOCOL: &'static str = ProposeAgreement::PROTOCOL;
    const MAX_REQUEST: usize = 64;
    const MAX_RESPONSE: usize = 256;
    const TIMEOUT: Duration = Duration::from_secs(10);
    type Response = Garbage;
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_and_unsigned_messages_are_refused_and_the_node_lives() {
    let digits = Digits::load().unwrap();
    let scene = Scene::set(1).await;
    let stranger = HandMade::agree(&scene, &digits).await;
    let said = refusal(stranger.node.request(stranger.provider, &Garbage(7)).await);
    assert!(said.contains("malformed"), "{said}");

    let mut forged = stranger.agreement.agreement.clone();
    forged.price = Ntx(9_000_000);
    let unsigned = ProposeAgreement { agreement: forged, signature: stranger.agreement.requester };
    let said = refusal(stranger.node.request(stranger.provider, &unsigned).await);
    assert!(said.contains("not signed"), "{said}");

    let mut cheap = stranger.agreement.agreement.clone();
    cheap.price = Ntx(1);
    let signature = cheap.sign(&stranger.key);
    let said =
        refusal(stranger.node.request(stranger.provider, &ProposeAgreement { agreement: cheap, signature }).await);
    assert!(said.contains("5 NTX"), "{said}");

    let member = stranger.node.connect(scene.members[0].addresses()[0].clone()).await.unwrap();
    let mut one_sided = stranger.agreement.clone();
    one_sided.provider = one_sided.requester;
    let said = refusal(stranger.node.request(member, &JobNotice { agreement: one_sided, escrow: [0; 34] }).await);
    assert!(said.contains("not signed"), "{said}");
    let said = refusal(stranger.node.request(member, &Findings { transcript: vec![0xff; 100] }).await);
    assert!(said.contains("transcript"), "{said}");
    let ruling = Ruling { member: [1; 32], evidence: vec![1, 2, 3], signature: [0; 64] };
    let said = refusal(stranger.node.request(member, &ruling).await);
    assert!(said.contains("evidence"), "{said}");

    // The provider still serves honest people.
    let requester = scene.requester().await;
    let said = scene.refused(&requester, Vec::new(), vec![digits.images.clone()]).await;
    assert!(!said.is_empty());
    requester.shutdown().await;
    stranger.node.shutdown().await;
    scene.strike().await;
}
