//! nunet-proof
