//! What proves that a transaction is allowed (`UTXOW` rule).

pub(super) mod extra_redeemers;
pub(super) mod extraneous_scripts;
pub(super) mod integrity_hash;
pub(super) mod malformed_reference_scripts;
pub(super) mod malformed_witness_scripts;
pub(super) mod metadata_hash;
pub(super) mod missing_datums;
pub(super) mod missing_redeemers;
pub(super) mod missing_scripts;
pub(super) mod native_scripts;
pub(super) mod needed_witnesses;
pub(super) mod supplemental_datums;
pub(super) mod unspendable_no_datum;
pub(super) mod valid_metadata;
pub(super) mod verified_witnesses;
