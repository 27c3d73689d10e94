//! nunet-devnet
