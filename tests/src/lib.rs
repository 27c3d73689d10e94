//! nunet-tests
