//! nunet-chain
