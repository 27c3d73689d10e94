//! Votes, proposals and what else these rules do not cover is refused, rather than let it pass unchecked.
//!
//! [`CERTS`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/conway/impl/src/Cardano/Ledger/Conway/Rules/Ledger.hs), `GOV` and `GOVCERT` are left out

use crate::{
    received::ReceivedCertificate,
    rules::{Case, LedgerError},
};

pub(in crate::rules) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    if let Some(what) = case.tx.body.unsupported {
        return Err(LedgerError::Unsupported(format!("bodies with {what}")));
    }
    let other = case.tx.body.certificates.iter().find_map(|certificate| match certificate {
        ReceivedCertificate::Other { tag } => Some(tag),
        _ => None,
    });
    other.map_or(Ok(()), |tag| Err(LedgerError::Unsupported(format!("certificates of governance (tag {tag})"))))
}
