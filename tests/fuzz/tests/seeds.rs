//! The properties hold on the seeds, and the seeds reach what they are for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use nunet_fuzz::{Seed, request, seeds, transaction};
use nunet_ledger::received::ReceivedTx;

#[test]
fn every_seed_keeps_the_properties() {
    let (mut transactions, mut requests, mut scripts) = (0, 0, 0);
    for seed in seeds() {
        match seed {
            Seed::Transaction(bytes) => {
                ReceivedTx::decode(&bytes).expect("a seed that reads");
                scripts += transaction(&bytes);
                transactions += 1;
            }
            Seed::Request(bytes) => {
                request(&bytes);
                requests += 1;
            }
        }
    }
    assert_eq!(scripts, 1, "one seed spends from a script that says yes");
    assert!(transactions >= 5 && requests >= 25, "{transactions} transactions, {requests} requests");
}

#[test]
fn nothing_and_noise_are_refused_quietly() {
    for bytes in [&b""[..], b"\n", b"GET", b"GET \n\n", b"GET /%00/..//\n\n", b"\xff\xff\xff", b"\x84\xa0\xa0\xf5\xf6"]
    {
        transaction(bytes);
        request(bytes);
    }
}
