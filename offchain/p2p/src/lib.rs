//! nunet-p2p
