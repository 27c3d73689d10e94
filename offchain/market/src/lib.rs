//! nunet-market
