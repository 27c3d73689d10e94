//! Rotating a committee: its present members replace members, threshold or treasury.

use nunet_ledger::{Datum, NetworkMagic, OutPoint, ProtocolParameters, TxOut, hash::blake2b_256};

use super::{PlanError, with_min_ada};
use crate::{
    committee::CommitteeDatum,
    data::{self, DataError},
    plan::{Spend, TxPlan},
    protocol::{Committee, Protocol},
    verdict::Signatures,
};

/// The 32 bytes that members sign to replace their committee: blake2b-256 of
/// `"nunet/committee/1" ‖ magic u32 ‖ the outpoint that holds the committee now ‖ the new datum`.
pub fn rotation_message(magic: NetworkMagic, now: OutPoint, next: &CommitteeDatum) -> Result<[u8; 32], DataError> {
    let mut bytes = b"nunet/committee/1".to_vec();
    bytes.extend_from_slice(&magic.0.to_be_bytes());
    bytes.extend_from_slice(&now.to_bytes());
    bytes.extend_from_slice(&data::to_cbor(&next.to_data()?));
    Ok(blake2b_256(&bytes))
}

/// Replaces a committee's datum (output 0) by what at least a threshold of its present members signed. Signatures of
/// keys that are no members are ignored.
pub fn rotate_committee(
    protocol: &Protocol,
    params: &ProtocolParameters,
    committee: &Committee,
    next: &CommitteeDatum,
    signatures: &Signatures,
) -> Result<TxPlan, PlanError> {
    let mut output = TxOut::new(protocol.committee_address(), committee.output.value.clone());
    output.datum = Some(Datum::Inline(data::to_cbor(&next.to_data()?)));
    let aligned = committee.datum.members().iter().map(|key| signatures.get(key).map_or(&[][..], |bytes| bytes));
    let redeemer = data::constr(0, vec![data::list(aligned.map(data::bytes).collect()), data::int(0)]);
    let spend = Spend { outpoint: committee.outpoint, output: committee.output.clone(), redeemer: Some(redeemer) };
    Ok(TxPlan {
        spends: vec![spend],
        outputs: vec![with_min_ada(params, output)],
        scripts: vec![protocol.committee().clone()],
        ..TxPlan::default()
    })
}
