//! Fuzzes the devnet's HTTP API.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| nunet_fuzz::request(bytes));
