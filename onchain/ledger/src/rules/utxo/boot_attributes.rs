//! Byron addresses of outputs have short attributes.
//!
//! [`UTXO`](https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/shelley/impl/src/Cardano/Ledger/Shelley/Rules/Utxo.hs), `validateOutputBootAddrAttrsTooBig`

use crate::{
    byron::ByronParts,
    rules::{Case, LedgerError},
};

/// Most bytes of attributes in a Byron address.
const MAX_BYRON_ATTRIBUTES: usize = 64;

pub(in crate::rules) fn check(case: &Case<'_>) -> Result<(), LedgerError> {
    for (index, sized) in case.outputs().enumerate() {
        let Some(byron) = ByronParts::of(&sized.output.address) else { continue };
        if byron.attributes_size > MAX_BYRON_ATTRIBUTES {
            return Err(LedgerError::OutputBootAddrAttrsTooBig { index, size: byron.attributes_size });
        }
    }
    Ok(())
}
