//! Every attack on the protocol as a real transaction: the node refuses it because a validator says no (or, where that is
//! said, because a rule of the ledger does), and takes the same transaction without the attack.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod account;
mod beside;
mod committee;
mod craft;
mod forged;
mod lease;
mod malformed;
mod payouts;
mod principals;
mod redeem;
mod refund;
mod settle;
mod trial;
