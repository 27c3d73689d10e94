//! nunet-agent
