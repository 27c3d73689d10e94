//! What concerns a transaction as a whole (`LEDGER` rule).

pub(super) mod ref_scripts_size;
pub(super) mod withdrawals_represented;
