//! The tracker's mind, without IO: what to ask an endpoint next, and what its answers mean.
//!
//! An endpoint answers one question at a time while blocks come and go, so a state is only believed when the latest block
//! was the same before and after it was read:
//!
//! ```text
//!             ┌──────────── nothing to read: wait for the next poll ────────────┐
//!             ▼                                                                 │
//! poll ─► latest block ─► another one? (was the known one rolled back?) ─► pick a batch ─► read it ─► latest block again
//!             ▲                                                                                             │
//!             └──── another: forget the readings, halve the batch ◄──────┬──────► the same: publish, double the batch
//! ```
//!
//! Nothing is carried over from one block to the next: at every new latest block everything is read again. So it does not
//! matter how many blocks were missed, rolled back, or lost with a request: what is published is the chain's truth at the
//! block that is published with it, and the last block that stays has its turn.

use std::collections::BTreeMap;

use super::state::{Reading, State, Target};
use crate::chain::{BlockHash, Tip};

/// Targets read between two looks at the latest block, at first.
const FIRST_BATCH: usize = 16;

/// The most of them.
const MAX_BATCH: usize = 256;

/// After this many polls at the same latest block everything is read again: behind one URL there may be several servers,
/// and one of them may have answered from a fork while the others agreed about the latest block.
const REFRESH: u32 = 40;

/// A question to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Which block is the latest?
    Tip,
    /// Is this block (still) on the chain?
    IsOnChain(BlockHash),
    /// How does this stand?
    Read(Target),
}

/// An endpoint's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To [`Ask::Tip`].
    Tip(Tip),
    /// To [`Ask::IsOnChain`].
    OnChain(Presence),
    /// To [`Ask::Read`].
    Reading(Target, Reading),
    /// None came.
    Failed(Ask),
}

/// Whether a block is on the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is.
    Present,
    /// It is not: it was rolled back.
    Gone,
}

/// A state with the block at which the chain has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen<S> {
    /// The latest block when it was read.
    pub at: Tip,
    /// The state.
    pub state: S,
}

/// Something new.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "none is kept, and nearly all are the large one")]
pub enum Change {
    /// A target was read at a new block, or has another state.
    Seen(Target, Seen<State>),
    /// A block that had been the latest one is no longer on the chain.
    RolledBack(Tip),
}

/// The state machine. Drive it with [`Core::poll`], then put to the endpoint what [`Core::asks`] says and pass each answer to
/// [`Core::answer`], until nothing is asked any more.
#[derive(Debug)]
pub struct Core {
    watches: BTreeMap<Target, Watch>,
    phase: Phase,
    tip: Option<Tip>,
    batch: usize,
    /// Polls since the latest block changed or everything was read again.
    quiet: u32,
    /// Counts answers about targets: whoever waits longest for one comes first.
    turn: u64,
}

#[derive(Debug, Default)]
struct Watch {
    seen: Option<Seen<State>>,
    /// Read at the present latest block.
    fresh: bool,
    /// Read without success since the last poll or block: not again before the next.
    tried: bool,
    /// When it was last published or could not be read. A reading that a new block made void does not count, or a block
    /// that always comes at the wrong moment would starve it.
    turn: u64,
}

#[derive(Debug)]
enum Phase {
    Idle,
    Tip,
    Ancestry { old: Tip, new: Tip },
    Reading { at: Tip, open: Vec<Target>, read: BTreeMap<Target, State> },
    Confirming { at: Tip, read: BTreeMap<Target, State> },
}

impl Default for Core {
    fn default() -> Self {
        Self { watches: BTreeMap::new(), phase: Phase::Idle, tip: None, batch: FIRST_BATCH, quiet: 0, turn: 0 }
    }
}

impl Core {
    /// Follows a target from now on.
    pub fn watch(&mut self, target: Target) {
        self.watches.entry(target).or_default();
    }

    /// Stops following a target.
    pub fn unwatch(&mut self, target: &Target) {
        self.watches.remove(target);
    }

    /// The targets that are followed.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        self.watches.keys()
    }

    /// The latest block that was seen.
    pub fn tip(&self) -> Option<Tip> {
        self.tip
    }

    /// How many targets have no state as of the latest block that was seen.
    pub fn behind(&self) -> usize {
        self.watches.values().filter(|watch| !watch.fresh).count()
    }

    /// Begins a look at the chain, unless one goes on.
    pub fn poll(&mut self) {
        if matches!(self.phase, Phase::Idle) {
            self.quiet = self.quiet.saturating_add(1);
            self.watches.values_mut().for_each(|watch| watch.tried = false);
            self.phase = Phase::Tip;
        }
    }

    /// What to ask now, in any order or at once. Nothing: wait, then [`Core::poll`].
    pub fn asks(&self) -> Vec<Ask> {
        match &self.phase {
            Phase::Idle => Vec::new(),
            Phase::Tip | Phase::Confirming { .. } => vec![Ask::Tip],
            Phase::Ancestry { old, .. } => vec![Ask::IsOnChain(old.hash)],
            Phase::Reading { open, .. } => open.iter().cloned().map(Ask::Read).collect(),
        }
    }

    /// Takes an answer. One to a question that is no longer open changes nothing.
    pub fn answer(&mut self, answer: Answer) -> Vec<Change> {
        match (std::mem::replace(&mut self.phase, Phase::Idle), answer) {
            (Phase::Tip, Answer::Tip(tip)) => self.look_from(tip),
            (Phase::Ancestry { new, .. }, Answer::OnChain(Presence::Present)) => {
                self.move_to(new);
                Vec::new()
            }
            // Perhaps only since the latest block was asked for: look at it again.
            (Phase::Ancestry { old, .. }, Answer::OnChain(Presence::Gone)) => {
                self.tip = None;
                self.phase = Phase::Tip;
                vec![Change::RolledBack(old)]
            }
            // Whether there was a rollback stays unknown; everything is read again anyway.
            (Phase::Ancestry { new, .. }, Answer::Failed(Ask::IsOnChain(_))) => {
                self.move_to(new);
                Vec::new()
            }
            (Phase::Reading { at, mut open, mut read }, Answer::Reading(target, reading)) => {
                if let Some(place) = open.iter().position(|candidate| *candidate == target) {
                    open.swap_remove(place);
                    read.extend(reading.state(&at).map(|state| (target, state)));
                }
                self.read_on(at, open, read);
                Vec::new()
            }
            (Phase::Reading { at, mut open, read }, Answer::Failed(Ask::Read(target))) => {
                open.retain(|candidate| *candidate != target);
                self.turn += 1;
                if let Some(watch) = self.watches.get_mut(&target) {
                    watch.turn = self.turn;
                }
                self.read_on(at, open, read);
                Vec::new()
            }
            (Phase::Confirming { at, read }, Answer::Tip(tip)) if tip.hash == at.hash => {
                self.batch = self.batch.saturating_mul(2).min(MAX_BATCH);
                let changes = self.publish(at, read);
                self.start_batch(at);
                changes
            }
            (Phase::Confirming { .. }, Answer::Tip(tip)) => {
                self.batch = (self.batch / 2).max(1);
                self.look_from(tip)
            }
            (Phase::Tip | Phase::Confirming { .. }, Answer::Failed(Ask::Tip)) => Vec::new(),
            (phase, _) => {
                self.phase = phase;
                Vec::new()
            }
        }
    }

    /// Goes on from an answer about the latest block.
    fn look_from(&mut self, tip: Tip) -> Vec<Change> {
        match self.tip {
            Some(old) if old.hash == tip.hash => {
                if self.quiet >= REFRESH {
                    self.move_to(tip);
                } else {
                    self.start_batch(tip);
                }
                Vec::new()
            }
            // No chain has two blocks of one height.
            Some(old) if tip.height <= old.height => {
                self.move_to(tip);
                vec![Change::RolledBack(old)]
            }
            Some(old) => {
                self.phase = Phase::Ancestry { old, new: tip };
                Vec::new()
            }
            None => {
                self.move_to(tip);
                Vec::new()
            }
        }
    }

    /// Everything is to be read at this block.
    fn move_to(&mut self, tip: Tip) {
        self.tip = Some(tip);
        self.quiet = 0;
        for watch in self.watches.values_mut() {
            (watch.fresh, watch.tried) = (false, false);
        }
        self.start_batch(tip);
    }

    fn start_batch(&mut self, at: Tip) {
        let due = self.watches.iter().filter(|(_, watch)| !watch.fresh && !watch.tried);
        let mut due: Vec<(u64, Target)> = due.map(|(target, watch)| (watch.turn, target.clone())).collect();
        due.sort();
        due.truncate(self.batch);
        let open: Vec<Target> = due.into_iter().map(|(_, target)| target).collect();
        for target in &open {
            if let Some(watch) = self.watches.get_mut(target) {
                watch.tried = true;
            }
        }
        self.phase = if open.is_empty() { Phase::Idle } else { Phase::Reading { at, open, read: BTreeMap::new() } };
    }

    fn read_on(&mut self, at: Tip, open: Vec<Target>, read: BTreeMap<Target, State>) {
        self.phase = if !open.is_empty() { Phase::Reading { at, open, read } } else { Phase::Confirming { at, read } };
    }

    fn publish(&mut self, at: Tip, read: BTreeMap<Target, State>) -> Vec<Change> {
        let mut changes = Vec::new();
        for (target, state) in read {
            let Some(watch) = self.watches.get_mut(&target) else { continue };
            self.turn += 1;
            (watch.fresh, watch.turn) = (true, self.turn);
            let seen = Seen { at, state };
            if watch.seen.as_ref() != Some(&seen) {
                watch.seen = Some(seen.clone());
                changes.push(Change::Seen(target, seen));
            }
        }
        changes
    }
}
