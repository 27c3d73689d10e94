//! Commit and reveal as their receivers see them, member and requester alike: the first commitment counts, and only its
//! provider can open it.

use std::sync::Arc;

use nunet_p2p::{Caller, Refusal};
use nunet_proof::{Commitment, Opened, Reveal};
use tokio::sync::watch;

use crate::{
    messages::{Commit, Noted, RevealResult},
    ruling::Docket,
};

/// What a provider promised for an escrow, and what it has shown.
#[derive(Clone, Debug, Default)]
pub struct Opening {
    commitment: Option<Commitment>,
    opened: Option<Arc<Opened>>,
    bad_reveal: bool,
}

impl Opening {
    /// Whether a commitment came.
    pub fn is_committed(&self) -> bool {
        self.commitment.is_some()
    }

    /// The opened result.
    pub fn opened(&self) -> Option<Arc<Opened>> {
        self.opened.clone()
    }

    /// Whether a reveal came that does not open the commitment.
    pub fn had_bad_reveal(&self) -> bool {
        self.bad_reveal
    }
}

/// Takes note of a commitment; a second, different one is refused.
pub fn take_commitment(
    docket: &Docket,
    opening: &watch::Sender<Opening>,
    commitment: Commitment,
) -> Result<Noted, Refusal> {
    if commitment.provider() != docket.provider() || commitment.binding() != &docket.subject().binding {
        return Err(Refusal::rejected("the commitment is not this provider's, or for another escrow"));
    }
    let mut accepted = true;
    opening.send_if_modified(|opening| match &opening.commitment {
        None => {
            opening.commitment = Some(commitment);
            true
        }
        Some(first) => {
            accepted = *first == commitment;
            false
        }
    });
    if accepted { Ok(Noted) } else { Err(Refusal::rejected("another commitment came first, and the first counts")) }
}

/// Reads a commitment; whose it is and for what, is for [`take_commitment`] to check.
pub fn read_commitment(message: &Commit) -> Result<Commitment, Refusal> {
    Commitment::from_bytes(&message.commitment).map_err(Refusal::rejected)
}

/// Opens the commitment with what its provider, and nobody else, has sent: a stranger must not make this process hash
/// megabytes.
pub async fn take_reveal(
    docket: &Docket,
    opening: &watch::Sender<Opening>,
    caller: &Caller,
    message: RevealResult,
) -> Result<Noted, Refusal> {
    let provider = *docket.provider();
    if caller.public_key().ok() != Some(provider.0) {
        return Err(Refusal::rejected("only the provider of a job reveals its result"));
    }
    let Opening { commitment, opened, .. } = opening.borrow().clone();
    if opened.is_some() {
        return Ok(Noted);
    }
    let commitment = commitment
        .ok_or_else(|| Refusal::rejected("a reveal came before its commitment; send the commitment first"))?;
    let binding = docket.subject().binding;
    let open = move || {
        let reveal = Reveal::from_bytes(&message.reveal).map_err(|error| error.to_string())?;
        commitment.open(&provider, &binding, &reveal).map_err(|error| error.to_string())
    };
    let result = tokio::task::spawn_blocking(open).await;
    match result.map_err(|_| Refusal::failed("reading the reveal was aborted"))? {
        Ok(opened) => {
            opening.send_if_modified(|opening| {
                let first = opening.opened.is_none();
                opening.opened.get_or_insert_with(|| Arc::new(opened));
                first
            });
            Ok(Noted)
        }
        Err(problem) => {
            opening.send_modify(|opening| opening.bad_reveal = true);
            Err(Refusal::rejected(problem))
        }
    }
}
