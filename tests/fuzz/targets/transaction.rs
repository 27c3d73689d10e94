//! Fuzzes the decoding, judging and evaluating of transactions.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    nunet_fuzz::transaction(bytes);
});
