//! Blobs over real sockets: in parts, resumed from another source, and from sources that lie.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};

use common::{QUIC, TRANSPORTS, config, pair, stop};
use nunet_p2p::{
    Refusal, RefusalCode, RequestError, Router,
    blob::{BlobFetch, BlobHash, BlobPart, BlobStore, FetchError, GetBlob, MAX_PART, fetch_blob},
};

mod common;

const MIB: usize = 1024 * 1024;

fn sample(size: usize) -> Vec<u8> {
    (0..size).map(|index| (index as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect()
}

#[tokio::test]
async fn a_blob_of_many_parts_arrives_whole() {
    for transport in TRANSPORTS {
        let store = BlobStore::new(16 * MIB);
        let (server, client, peer) = pair(transport, store.serve(Router::new())).await;
        for size in [0, 1, MAX_PART as usize, MAX_PART as usize + 1, 3 * MIB + 12_345] {
            let bytes = sample(size);
            let hash = store.insert(bytes.clone()).unwrap();
            assert!(fetch_blob(&client, peer, hash, size).await.unwrap() == bytes, "{size} bytes over {transport}");
        }
        stop([server, client]).await;
    }
}

#[tokio::test]
async fn a_blob_that_is_not_there_is_an_error_that_names_it() {
    let (server, client, peer) = pair(QUIC, BlobStore::new(10).serve(Router::new())).await;
    let hash = BlobHash::from([7; 32]);
    let error = fetch_blob(&client, peer, [7; 32], MIB).await.unwrap_err();
    let FetchError::Request { have: 0, error, .. } = error else { panic!("{error}") };
    let RequestError::Refused { code, text, .. } = *error else { panic!("{error}") };
    assert_eq!((code, text.to_string()), (RefusalCode::NotFound, format!("no blob {hash}")));
    stop([server, client]).await;
}

#[tokio::test]
async fn a_fetch_goes_on_at_another_source_where_the_first_one_stopped() {
    let bytes = sample(3 * MIB + 5);
    let store = BlobStore::new(16 * MIB);
    let hash = store.insert(bytes.clone()).unwrap();
    let (failing, offsets) = (store.clone(), Arc::new(Mutex::new(Vec::new())));
    let first = Router::new().on(move |_, request: GetBlob| {
        let part =
            if request.offset >= MIB as u64 { Err(Refusal::failed("disk gone")) } else { failing.part(&request) };
        async move { part }
    });
    let (good, seen) = (store.clone(), Arc::clone(&offsets));
    let second = Router::new().on(move |_, request: GetBlob| {
        seen.lock().unwrap().push(request.offset);
        let part = good.part(&request);
        async move { part }
    });
    let (first, client, peer) = pair(QUIC, first).await;
    let second = second.start(config(3, QUIC)).await.unwrap();
    let other = client.connect(second.addresses()[0].clone()).await.unwrap();

    let mut fetch = BlobFetch::new(hash, 4 * MIB);
    let error = fetch.from(&client, peer).await.unwrap_err();
    assert!(matches!(&error, FetchError::Request { have, .. } if *have == MIB), "{error}");
    assert!(fetch.from(&client, other).await.unwrap() == bytes);
    assert_eq!(*offsets.lock().unwrap(), [MIB as u64, 2 * MIB as u64, 3 * MIB as u64]);
    stop([first, second, client]).await;
}

#[tokio::test]
async fn a_source_that_is_busy_for_a_moment_is_asked_again() {
    let bytes = sample(2 * MIB);
    let store = BlobStore::new(16 * MIB);
    let hash = store.insert(bytes.clone()).unwrap();
    let asked = Arc::new(AtomicU32::new(0));
    let router = Router::new().on(move |_, request: GetBlob| {
        let busy = asked.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
        let part = if busy { Err(Refusal::busy("in a moment")) } else { store.part(&request) };
        async move { part }
    });
    let (server, client, peer) = pair(QUIC, router).await;
    assert!(fetch_blob(&client, peer, hash, 2 * MIB).await.unwrap() == bytes);
    stop([server, client]).await;
}

#[tokio::test]
async fn wrong_bytes_are_not_handed_out_and_the_peer_is_named() {
    for size in [10, 2 * MIB] {
        let mut bytes = sample(size);
        let hash = BlobHash::of(&bytes);
        bytes[size / 2] ^= 1;
        let found = BlobHash::of(&bytes);
        let store = BlobStore::new(16 * MIB);
        let lie = store.insert(bytes).unwrap();
        let router = Router::new().on(move |_, request: GetBlob| {
            let part = store.part(&GetBlob { hash: lie, ..request });
            async move { part }
        });
        let (server, client, peer) = pair(QUIC, router).await;
        let mut fetch = BlobFetch::new(hash, size);
        let error = fetch.from(&client, peer).await.unwrap_err();
        assert!(error.to_string().contains(&peer.to_string()), "{error}");
        assert_eq!(error, FetchError::WrongBytes { hash, found, peers: vec![peer] });
        assert_eq!(fetch.have(), 0, "nothing of a lie is kept");
        stop([server, client]).await;
    }
}

#[tokio::test]
async fn a_blob_larger_than_wanted_is_refused_after_its_first_part() {
    let store = BlobStore::new(16 * MIB);
    let hash = store.insert(sample(3 * MIB)).unwrap();
    let (server, client, peer) = pair(QUIC, store.serve(Router::new())).await;
    let error = fetch_blob(&client, peer, hash, 2 * MIB).await.unwrap_err();
    let expected = FetchError::TooLarge { hash, peer: Box::new(peer), total: 3 * MIB as u64, max_size: 2 * MIB };
    assert_eq!(error, expected);
    stop([server, client]).await;
}

#[tokio::test]
async fn parts_that_contradict_each_other_end_the_fetch() {
    type Lie = fn(&GetBlob) -> BlobPart;
    let lies: [(Lie, &str); 3] = [
        (|_| BlobPart { total: 10, bytes: vec![] }, "it is empty before the blob's end"),
        (|_| BlobPart { total: 10, bytes: vec![0; 11] }, "it goes on after the blob's end"),
        (|request| BlobPart { total: 10 + request.offset, bytes: vec![0; 5] }, "the blob's length changed"),
    ];
    for (lie, expected) in lies {
        let router = Router::new().on(move |_, request: GetBlob| async move { Ok(lie(&request)) });
        let (server, client, peer) = pair(QUIC, router).await;
        let error = fetch_blob(&client, peer, [7; 32], 100).await.unwrap_err();
        let FetchError::WrongPart { what, peer: who, .. } = error else { panic!("{error}") };
        assert_eq!((what, *who), (expected, peer));
        stop([server, client]).await;
    }
}
