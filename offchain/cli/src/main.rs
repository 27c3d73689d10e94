//! The `nunet` binary.
fn main() {}
