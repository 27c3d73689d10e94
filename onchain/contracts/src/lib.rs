//! nunet-contracts
