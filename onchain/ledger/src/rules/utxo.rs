//! What is consumed and produced, when, for how much (`UTXO` rule).

pub(super) mod bad_inputs;
pub(super) mod body_network;
pub(super) mod boot_attributes;
pub(super) mod collateral;
pub(super) mod disjoint_ref_inputs;
pub(super) mod ex_units;
pub(super) mod fee;
pub(super) mod forecast;
pub(super) mod input_set_empty;
pub(super) mod max_tx_size;
pub(super) mod output_network;
pub(super) mod output_too_big;
pub(super) mod output_too_small;
pub(super) mod too_many_collateral_inputs;
pub(super) mod validity_interval;
pub(super) mod value_conserved;
pub(super) mod withdrawal_network;
