//! The names that vectors have for predicates, where they differ from cardano-ledger's.

use nunet_ledger::{Delegation, rules::LedgerError};

/// The predicate of an error under the vectors' name.
///
/// The vectors name a delegation that is refused after what it delegates, whether the account or the delegatee is not
/// registered; a delegation of both is refused for its vote first when the account is missing.
pub(super) fn in_vectors(error: &LedgerError) -> &'static str {
    const STAKE: &str = "StakeCredentialInvalidPoolDelegation";
    const VOTE: &str = "StakeCredentialInvalidVoteDelegation";
    match error {
        LedgerError::StakeKeyNotRegisteredDELEG { delegates, .. } => match delegates {
            None => "StakeKeyNotRegistered",
            Some(Delegation::Stake(_)) => STAKE,
            Some(Delegation::Vote(_) | Delegation::StakeAndVote(..)) => VOTE,
        },
        LedgerError::DelegateeStakePoolNotRegisteredDELEG(_) => STAKE,
        LedgerError::DelegateeDRepNotRegisteredDELEG(_) => VOTE,
        LedgerError::StakeKeyRegisteredDELEG(_) => "StakeKeyRegistered",
        LedgerError::StakeKeyHasNonZeroAccountBalanceDELEG { .. } => "StakeKeyHasNonZeroAccountBalance",
        LedgerError::MissingVKeyWitnessesUTXOW(_) => "MissingVerificationKeyWitnessesUTXOW",
        LedgerError::WrongNetwork { .. } => "WrongNetworkInTxOutput",
        other => other.predicate(),
    }
}
