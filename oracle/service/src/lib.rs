//! nunet-oracle
