//! Setting the protocol up on a network: reference scripts, the logic's stake credential, a committee.

use nunet_ledger::{Certificate, Datum, OutPoint, ProtocolParameters, Script, TxOut, Value};

use super::{PlanError, with_min_ada};
use crate::{
    committee::{CommitteeDatum, CommitteeId},
    data,
    plan::{Mint, Spend, TxPlan},
    protocol::Protocol,
};

/// Publishes stub (output 0), logic (output 1) and lease (output 2) as reference scripts nobody can spend, and registers
/// the logic's stake credential, without which no withdrawal from it is valid. The certificate needs no witness.
pub fn publish_scripts(protocol: &Protocol, params: &ProtocolParameters) -> TxPlan {
    let publish = |script: &Script| {
        let mut output = TxOut::new(protocol.reference_address(), Value::default());
        output.reference_script = Some(script.clone());
        with_min_ada(params, output)
    };
    TxPlan {
        outputs: vec![publish(protocol.stub()), publish(protocol.logic()), publish(protocol.lease())],
        certificates: vec![Certificate::RegisterStake(protocol.logic_account().credential)],
        ..TxPlan::default()
    }
}

/// Creates a committee (output 0): mints its NFT, named by the hash of `seed`.
///
/// The policy is told the place of the seed among the inputs, which the ledger sorts, so `seed` must be the lowest
/// outpoint of the payer's funds: then it is the first input whatever else pays.
pub fn create_committee(
    protocol: &Protocol,
    params: &ProtocolParameters,
    seed: (OutPoint, TxOut),
    committee: &CommitteeDatum,
) -> Result<(CommitteeId, TxPlan), PlanError> {
    let (outpoint, output) = seed;
    let id = CommitteeId::from_seed(outpoint);
    let nft = protocol.committee_nft(id);
    let value = Value::default().with(nft.clone(), 1).ok_or(PlanError::Overflow("the NFT"))?;
    let mut committee_output = TxOut::new(protocol.committee_address(), value);
    committee_output.datum = Some(Datum::Inline(data::to_cbor(&committee.to_data()?)));
    let plan = TxPlan {
        spends: vec![Spend { outpoint, output, redeemer: None }],
        outputs: vec![with_min_ada(params, committee_output)],
        mints: vec![Mint {
            asset: nft,
            quantity: 1,
            redeemer: Some(data::constr(0, vec![data::int(0), data::int(0)])),
        }],
        scripts: vec![protocol.committee().clone()],
        ..TxPlan::default()
    };
    Ok((id, plan))
}
