//! nunet-compute
