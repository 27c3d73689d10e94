//! nunet
