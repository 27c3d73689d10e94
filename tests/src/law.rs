//! Conservation as a law: whatever principals do, honest or not, nobody's money appears, vanishes or goes to another.
//!
//! ```text
//!  Step (what a principal tries) ──► Stage: the real builders, a flaw, a real devnet
//!                                               │ applied transaction
//!                                               ▼
//!                                     Books: what the rules give whom, held against what moved
//! ```
//!
//! [`Step`]s stay meaningful when others are taken out, so that proptest can shrink a sequence: they name escrows and
//! leases by a number among those that are open. The [`Books`] are written from the rules alone, without the code that
//! builds transactions, and know nothing of what a step meant to do.

mod books;
mod flaw;
mod honest;
mod lease;
mod people;
mod probe;
mod stage;
mod step;

pub use self::{
    books::{Books, Conduct},
    flaw::Flaw,
    people::{Money, People},
    stage::{Stage, Tally},
    step::{Op, Pick, Step, steps},
};

/// Plays a sequence on a devnet of its own, then closes everything that is open; returns what was done.
///
/// # Errors
/// When the law is broken, naming the step.
pub async fn play(steps: &[Step]) -> anyhow::Result<Tally> {
    use anyhow::Context;
    let mut stage = Stage::set().await?;
    for (number, step) in steps.iter().enumerate() {
        stage.play(step).await.with_context(|| format!("step {number}: {step:?}"))?;
    }
    stage.close_all().await.context("closing what is open")?;
    stage.strike().await
}
