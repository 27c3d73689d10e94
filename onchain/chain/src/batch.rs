//! Closing any mix of escrows in few transactions: settled by verdicts, refunded where the deadline has passed.
//!
//! ```text
//!            ┌──────────────── a block later: closed, lost, or to be tried again ───────────────┐
//!            ▼                                                                                  │
//!  look at the chain ─► ways out (nunet_contracts::batch) ─► Planner: fit by balancing ─► submit, one after another
//!            ▲                                                                                  │
//!            └──────────── refused, because somebody else spent an escrow: rebuild ─────────────┘
//! ```
//!
//! Everything is decided by what is on chain: an escrow counts as closed when a confirmed transaction spent it, ours or
//! somebody else's. So a run that was cut short is simply run again with the same escrows and verdicts.

mod planner;

use std::collections::{BTreeMap, BTreeSet};

use nunet_contracts::{
    CommitteeId, Deployment, Escrow, Obstacle, SignedVerdict,
    batch::{Flaw, UsableVerdict, ways_out},
};
use nunet_ledger::{OutPoint, PosixMs, Slot, TxId};

pub use self::planner::{Batch, Case, Planned, Planner};
use crate::{
    chain::{Chain, Outcome, OutputState, Tip},
    error::ChainError,
    submit::submit_plan,
    wait::Limit,
    wallet::Wallet,
};

/// How long a closing transaction is valid, in milliseconds of chain time: whoever loses the race to close an escrow has
/// its funds back then.
pub const CLOSING_LIFE_MS: u64 = 5 * 60 * 1000;

/// How often an escrow that stays unspent is tried again after the network refused or lost its transaction, a block
/// apart: a rival transaction that waits for a block is on chain by then, or gone.
const MAX_TRIES: u32 = 20;

/// Escrows on their way to be closed.
pub struct Closings<'a> {
    chain: &'a Chain,
    deployment: &'a Deployment,
    wallet: &'a Wallet,
    verdicts: Vec<SignedVerdict>,
    escrows: BTreeMap<OutPoint, State>,
    tries: BTreeMap<OutPoint, u32>,
    /// Ours that are not in a block yet, with the slot from which they no longer can be.
    sent: BTreeMap<TxId, Slot>,
    confirmed: Vec<TxId>,
    rebuilt: u32,
}

/// Where an escrow stands.
#[derive(Clone, Debug)]
enum State {
    /// To be closed; with the escrow when it was read since the latest block.
    Open(Option<Box<Escrow>>),
    /// In a transaction of ours that is not in a block yet.
    Sent(TxId),
    /// Part of a transaction that was refused, for these reasons; to be looked at again above this height.
    Aside { height: u64, reason: String },
    /// Spent by a confirmed transaction.
    Closed(TxId),
    /// Not to be closed.
    Left(Obstacle),
}

/// How every escrow ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The confirmed transaction that closed each escrow, ours or somebody else's.
    pub closed: BTreeMap<OutPoint, TxId>,
    /// The escrows that are not closed, and why.
    pub left: BTreeMap<OutPoint, Obstacle>,
    /// Our transactions, in the order in which they were found on chain.
    pub transactions: Vec<TxId>,
    /// How many of our transactions were refused or lost, so that the rest of their escrows went into others.
    pub rebuilt: u32,
}

impl<'a> Closings<'a> {
    /// These escrows, to be closed by these verdicts or by their deadlines, at the expense of a wallet that gets the tips.
    pub fn new(
        chain: &'a Chain,
        deployment: &'a Deployment,
        wallet: &'a Wallet,
        escrows: impl IntoIterator<Item = OutPoint>,
        verdicts: Vec<SignedVerdict>,
    ) -> Self {
        let escrows = escrows.into_iter().map(|escrow| (escrow, State::Open(None))).collect();
        let (tries, sent) = (BTreeMap::new(), BTreeMap::new());
        Self { chain, deployment, wallet, verdicts, escrows, tries, sent, confirmed: Vec::new(), rebuilt: 0 }
    }

    /// Closes what can be closed and waits until all of it is in blocks. What is left then has a reason.
    ///
    /// # Errors
    /// When the chain cannot be reached or the wallet cannot pay; what was sent takes its course, and another run with the
    /// same escrows goes on from there.
    pub async fn run(mut self) -> Result<Report, ChainError> {
        loop {
            let tip = self.chain.tip().await?;
            self.round(&tip).await?;
            if self.escrows.values().all(|state| matches!(state, State::Closed(_) | State::Left(_))) {
                return Ok(self.report());
            }
            // After a refusal the others are built again at once.
            if !self.escrows.values().any(|state| matches!(state, State::Open(_))) {
                let next = |now: Tip| async move { Ok((now.hash != tip.hash).then_some(())) };
                self.chain.poll("the next block", Limit::Never, next).await?;
            }
        }
    }

    /// Looks once and sends what can be sent now, without waiting for any block; returns what was sent, and why the other
    /// escrows are left.
    ///
    /// # Errors
    /// As for [`Closings::run`].
    pub async fn send(mut self) -> Result<(Vec<TxId>, Report), ChainError> {
        let tip = self.chain.tip().await?;
        self.round(&tip).await?;
        let sent = self.sent.keys().copied().collect();
        Ok((sent, self.report()))
    }

    fn report(self) -> Report {
        let mut report = Report { transactions: self.confirmed, rebuilt: self.rebuilt, ..Report::default() };
        for (escrow, state) in self.escrows {
            match state {
                State::Closed(by) => drop(report.closed.insert(escrow, by)),
                State::Left(obstacle) => drop(report.left.insert(escrow, obstacle)),
                State::Aside { reason, .. } => drop(report.left.insert(escrow, Obstacle::Refused(reason))),
                State::Open(_) | State::Sent(_) => {}
            }
        }
        report
    }

    async fn round(&mut self, tip: &Tip) -> Result<(), ChainError> {
        self.follow(tip).await?;
        self.read(tip).await?;
        let open = self.escrows.values().filter_map(|state| match state {
            State::Open(Some(escrow)) => Some(Escrow::clone(escrow)),
            _ => None,
        });
        let open: Vec<Escrow> = open.collect();
        if open.is_empty() {
            return Ok(());
        }
        let checked = self.check_verdicts().await?;
        let mut cases = Vec::new();
        for escrow in open {
            match ways_out(&self.deployment.protocol, &escrow, &self.verdicts, &checked, tip.time) {
                Ok(ways) => cases.push(Case { escrow, ways }),
                Err(obstacle) => self.set(escrow.outpoint, State::Left(obstacle)),
            }
        }
        let until = self.chain.slots().at(PosixMs(tip.time.0.saturating_add(CLOSING_LIFE_MS)));
        let planner = self.planner(checked, tip, until).await?;
        let Planned { batches, refused, .. } = planner.plan(cases).await?;
        for (escrow, reason) in refused {
            self.set(escrow, State::Left(Obstacle::Refused(reason)));
        }
        for batch in batches {
            self.submit(&planner, &batch, until).await?;
        }
        Ok(())
    }

    async fn planner(
        &self,
        checked: Vec<Result<UsableVerdict, Flaw>>,
        tip: &Tip,
        until: Slot,
    ) -> Result<Planner, ChainError> {
        let funds = self.chain.spendable_at(&[self.wallet.address(), self.wallet.enterprise_address()]).await?;
        Ok(Planner {
            deployment: self.deployment.clone(),
            params: self.chain.params(),
            slots: self.chain.slots(),
            magic: self.chain.magic(),
            wallet: self.wallet.clone(),
            funds,
            verdicts: checked.into_iter().map(Result::ok).collect(),
            now: tip.slot,
            until,
        })
    }

    async fn submit(&mut self, planner: &Planner, batch: &Batch, until: Slot) -> Result<(), ChainError> {
        let plan = match planner.plan_of(batch.way, &batch.escrows) {
            Ok(plan) => plan,
            Err(error) => {
                let left = State::Left(Obstacle::Refused(error.to_string()));
                batch.escrows.iter().for_each(|escrow| self.set(escrow.outpoint, left.clone()));
                return Ok(());
            }
        };
        let members: Vec<OutPoint> = batch.escrows.iter().map(|escrow| escrow.outpoint).collect();
        match submit_plan(self.chain, &plan, self.wallet).await {
            // What may have been taken is followed like what was.
            Ok((id, _)) | Err(ChainError::Unclear { id, .. }) => {
                tracing::debug!(%id, escrows = members.len(), "sent a closing transaction");
                members.into_iter().for_each(|escrow| self.set(escrow, State::Sent(id)));
                self.sent.insert(id, until);
            }
            Err(ChainError::Rejected { id, message }) => {
                tracing::info!(%id, message, "somebody else spent an escrow, building again");
                self.rebuilt += 1;
                // The block after the refusal shows what the rival did, and not one that came before it.
                let tip = self.chain.tip().await?;
                self.set_aside(members, &tip, &message);
            }
            // Earlier batches changed the funds: what does not fit any more goes into another one.
            Err(ChainError::Build(error)) if error.exceeds_a_transaction() => {
                self.rebuilt += 1;
                for escrow in members {
                    self.try_again(escrow, error.to_string());
                }
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Keeps the escrows that a refusal names, or all when it names none, until a block has shown what became of them.
    /// An escrow counts as named when its transaction is: servers write outpoints in many ways.
    fn set_aside(&mut self, members: Vec<OutPoint>, tip: &Tip, message: &str) {
        let named: BTreeSet<OutPoint> =
            members.iter().filter(|escrow| message.contains(&escrow.tx.to_string())).copied().collect();
        for escrow in members {
            if named.is_empty() || named.contains(&escrow) {
                self.set(escrow, State::Aside { height: tip.height, reason: message.to_owned() });
            }
        }
    }

    fn try_again(&mut self, escrow: OutPoint, reason: String) {
        let tries = self.tries.entry(escrow).or_default();
        *tries += 1;
        let next = if *tries < MAX_TRIES { State::Open(None) } else { State::Left(Obstacle::Refused(reason)) };
        self.set(escrow, next);
    }

    fn set(&mut self, escrow: OutPoint, state: State) {
        self.escrows.insert(escrow, state);
    }

    /// What became of our transactions.
    async fn follow(&mut self, tip: &Tip) -> Result<(), ChainError> {
        for (id, until) in self.sent.clone() {
            let members = self.escrows.iter().filter(|(_, state)| matches!(state, State::Sent(by) if *by == id));
            let members: Vec<OutPoint> = members.map(|(escrow, _)| *escrow).collect();
            match self.chain.transaction(&id).await?.map(|confirmation| confirmation.outcome) {
                Some(Outcome::Applied) => {
                    self.sent.remove(&id);
                    self.confirmed.push(id);
                    members.into_iter().for_each(|escrow| self.set(escrow, State::Closed(id)));
                }
                Some(Outcome::CollateralTaken) => {
                    self.sent.remove(&id);
                    let left = State::Left(Obstacle::Refused(format!("a script failed in transaction {id}")));
                    members.into_iter().for_each(|escrow| self.set(escrow, left.clone()));
                }
                None => {
                    if self.is_lost(id, &members).await? || tip.slot >= until {
                        self.sent.remove(&id);
                        self.rebuilt += 1;
                        // Its inputs are free again, and what builds on its change is lost with it.
                        self.chain.pending().abandon(vec![id]);
                        for escrow in members {
                            self.try_again(escrow, format!("transaction {id} did not come into a block"));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether a transaction can no longer come into a block, because another one spent an escrow of it.
    async fn is_lost(&self, id: TxId, members: &[OutPoint]) -> Result<bool, ChainError> {
        for escrow in members {
            if matches!(self.chain.output(escrow).await?, OutputState::Spent { by, .. } if by != id) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads the escrows that are to be closed, those set aside after another block.
    async fn read(&mut self, tip: &Tip) -> Result<(), ChainError> {
        for (outpoint, state) in self.escrows.clone() {
            let reason = match state {
                State::Open(None) => None,
                State::Aside { height, reason } if tip.height > height => Some(reason),
                _ => continue,
            };
            let state = match self.chain.output(&outpoint).await? {
                OutputState::Spent { by, .. } => State::Closed(by),
                OutputState::Unknown => State::Left(Obstacle::NotOnChain),
                OutputState::Unspent { output, .. } => {
                    match Escrow::read(&self.deployment.protocol, outpoint, output) {
                        Ok(escrow) => State::Open(Some(Box::new(escrow))),
                        Err(error) => State::Left(error.into()),
                    }
                }
            };
            match (state, reason) {
                (State::Open(_), Some(reason)) => self.try_again(outpoint, reason),
                (state, _) => self.set(outpoint, state),
            }
        }
        Ok(())
    }

    /// Checks every verdict against its committee as it stands now: it may have been rotated.
    async fn check_verdicts(&self) -> Result<Vec<Result<UsableVerdict, Flaw>>, ChainError> {
        let ids: BTreeSet<CommitteeId> = self.verdicts.iter().map(|signed| signed.committee).collect();
        let protocol = &self.deployment.protocol;
        let mut committees = BTreeMap::new();
        for id in ids {
            if let Some(committee) = self.chain.committee(protocol, id).await? {
                committees.insert(id, committee);
            }
        }
        Ok(self.verdicts.iter().map(|signed| signed.check(protocol, committees.get(&signed.committee))).collect())
    }
}
