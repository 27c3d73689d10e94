//! The stage: a devnet with its people, on which steps are played and held against the books.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use anyhow::{Context, bail, ensure};
use ed25519_dalek::SigningKey;
use nunet::{
    accounts::{Accounts, MNEMONIC, Role},
    deployment::founding,
    world::World,
};
use nunet_chain::{BuildError, ChainError, Signed, Wallet, check, submit_plan};
use nunet_contracts::{
    Closer, Committee, CommitteeDatum, Consents, LeaseWays, MemberKey, TxPlan,
    transactions::{agree, refund},
};
use nunet_devnet::Applied;
use nunet_ledger::{Lovelace, NetworkMagic, OutPoint, Slot, TxOut, Value};

use super::{
    books::{Books, Conduct},
    flaw::{Forged, Surroundings},
    honest::Attempt,
    people::{Money, People},
    step::{Op, Step},
};
use crate::second_opinion::{Agreement, judge, judge_all};

/// How many take part as principals.
pub(super) const PARTIES: usize = 4;
/// How many more only get committees' fees.
pub(super) const TREASURIES: usize = 2;
/// Those who can be members.
const MEMBERS: u8 = 8;
/// Sequences have blocks made when they need them; this is for what waits for one while the world is set up.
const BLOCKS_EVERY: Duration = Duration::from_millis(50);
/// The first account of the people.
const FIRST_ACCOUNT: u32 = 10;
/// What each output holds that a party starts with.
const START: Money = Money { ntx: 10_000_000_000, lovelace: 500_000_000 };
/// How many of them each party has.
const STARTS: usize = 4;
/// Escrows refunded together in the end.
const REFUNDED: usize = 4;

/// What was done, by kind.
#[derive(Clone, Debug, Default)]
pub struct Tally(BTreeMap<&'static str, Counts>);

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    honest: usize,
    refused: usize,
    harmless: usize,
}

/// A devnet and the books of it.
pub struct Stage {
    pub(super) world: World,
    pub(super) books: Books,
    pub(super) members: Vec<SigningKey>,
    pub(super) agreements: u64,
    forged: Vec<Forged>,
    tally: Tally,
    supply: Money,
    /// NTX units that cheats sent to the validators' addresses beside escrows and leases: nobody's any more.
    stray: i128,
    probing: bool,
}

/// What became of a transaction.
enum Landing {
    Applied(Arc<Applied>),
    Refused(String),
}

impl Stage {
    /// Sets a world up with two committees, and gives everybody money.
    pub async fn set() -> anyhow::Result<Self> {
        let members: Vec<SigningKey> = (1..=MEMBERS).map(|seed| SigningKey::from_bytes(&[seed; 32])).collect();
        let world = World::start_paced(std::array::from_fn(|seat| members[seat].clone()), BLOCKS_EVERY).await?;
        let wallet =
            |number| Wallet::from_mnemonic(MNEMONIC, NetworkMagic::DEVNET.network_id(), FIRST_ACCOUNT + number);
        let wallets: Vec<Wallet> = (0..(PARTIES + TREASURIES) as u32 - 1).map(wallet).collect::<Result<_, _>>()?;
        // The treasury of the world's own committee is the last of the people.
        let people = People::new(wallets.into_iter().chain([Accounts::wallet_of(Role::Treasury)?]).collect());
        let protocol = world.deployment.protocol.clone();
        let operator = world.accounts.wallet(Role::Operator);

        let others = members[3..].iter().map(|key| MemberKey(key.verifying_key().to_bytes())).collect();
        let datum = CommitteeDatum::new(others, 2, people.wallet(PARTIES).address())?;
        let plan = founding(&world.chain, &protocol, operator, &datum).await?;
        let (id, _) = submit_plan(&world.chain, &plan, operator).await?;
        world.devnet.advance(Duration::ZERO).await?;
        let outpoint = OutPoint { tx: id, index: 0 };
        let second = Committee::read(&protocol, outpoint, world.chain.unspent(&outpoint).await?)?;

        let value = Value::lovelace_only(Lovelace(u64::try_from(START.lovelace)?));
        let value = value.with(protocol.ntx().clone(), u64::try_from(START.ntx)?).context("a start")?;
        let outputs = (0..PARTIES * STARTS)
            .map(|number| TxOut::new(people.wallet(number % PARTIES).enterprise_address(), value.clone()));
        let plan = TxPlan { outputs: outputs.collect(), ..TxPlan::default() };
        submit_plan(&world.chain, &plan, operator).await?;
        world.devnet.advance(Duration::ZERO).await?;

        let committees = vec![world.committee.clone(), second];
        let books = Books::open(protocol, (*world.chain.params()).clone(), world.chain.slots(), people, committees);
        let (tally, forged) = (Tally::default(), Vec::new());
        let mut stage = Self {
            world,
            books,
            members,
            agreements: 0,
            forged,
            tally,
            supply: Money::default(),
            stray: 0,
            probing: false,
        };
        stage.supply = stage.supply_now();
        Ok(stage)
    }

    /// From now on, the books are also shown each honest transaction with one thing wrong, and must see it.
    pub fn probe_books(&mut self) {
        self.probing = true;
    }

    /// What was done so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Plays a step.
    ///
    /// # Errors
    /// When the law is broken: money is not conserved, somebody does not get what is theirs, or an honest step that the
    /// rules allow is refused.
    pub async fn play(&mut self, step: &Step) -> anyhow::Result<()> {
        if let Op::Pass { minutes } = &step.op {
            self.world.devnet.advance(Duration::from_secs(u64::from(*minutes) * 60)).await?;
            self.tally.0.entry("pass").or_default().honest += 1;
            return Ok(());
        }
        let Some(mut attempt) = self.attempt(step)? else { return Ok(()) };
        if attempt.judged && !attempt.spoiled {
            let spends = |outpoint: &OutPoint| attempt.plan.spends.iter().any(|spend| spend.outpoint == *outpoint);
            let others = self.books.escrows.iter().filter(|(outpoint, _)| !spends(outpoint));
            let others = others.map(|(outpoint, escrow)| (*outpoint, escrow.output.clone())).collect();
            let wallets = self.books.people.wallets();
            let addresses = wallets.iter().map(|wallet| [wallet.enterprise_address(), wallet.address()]).collect();
            let around = Surroundings { ntx: self.books.protocol.ntx(), addresses, others, forged: &self.forged };
            attempt.spoiled = step.flaws.iter().any(|flaw| flaw.spoil(&mut attempt.plan, &around));
        }
        let landing = self.land(&attempt.plan, attempt.payer).await?;
        let applied = self.hold_to_the_law(attempt, landing)?;
        if let (Op::Forge { victim, lacks }, Some(applied)) = (&step.op, applied) {
            let (outpoint, output) = applied.produced.first().cloned().context("a forgery has an output")?;
            let victim = self.books.people.wallet(usize::from(*victim) % PARTIES).enterprise_address();
            self.forged.push(Forged { outpoint, output, victim, lacks: *lacks });
        }
        Ok(())
    }

    fn hold_to_the_law(&mut self, attempt: Attempt, landing: Landing) -> anyhow::Result<Option<Arc<Applied>>> {
        let Attempt { kind, payer, agreed, judged, spoiled, .. } = attempt;
        let counts = self.tally.0.entry(kind).or_default();
        let applied = match landing {
            Landing::Refused(_) if spoiled => {
                counts.refused += 1;
                return Ok(None);
            }
            Landing::Refused(reason) => bail!("an honest transaction was refused: {reason}"),
            Landing::Applied(applied) => applied,
        };
        if spoiled {
            counts.harmless += 1;
        } else {
            counts.honest += 1;
        }
        let conduct = if spoiled { Conduct::Dishonest } else { Conduct::Honest { payer, agreed } };
        let locks = matches!(kind, "lock" | "open");
        if self.probing && !spoiled && (judged || locks) {
            self.books.probe(&applied, &conduct, kind)?;
        }
        self.books.enter(&applied, &conduct)?;
        let spent = |forged: &Forged| applied.consumed.iter().any(|(outpoint, _)| *outpoint == forged.outpoint);
        self.forged.retain(|forged| !spent(forged));
        if locks {
            self.books.lock(&applied)?;
        }
        let listed = |outpoint| self.books.escrows.contains_key(outpoint) || self.books.leases.contains_key(outpoint);
        let stray = applied.produced.iter().filter(|(outpoint, output)| self.guards(output) && !listed(outpoint));
        self.stray += Money::in_outputs(stray, self.books.protocol.ntx()).ntx;
        let supply = self.supply_now();
        ensure!(supply == self.supply, "there were {}, and there are {supply}", self.supply);
        Ok(Some(applied))
    }

    /// All money that there is, with what the network took in fees and deposits.
    fn supply_now(&self) -> Money {
        let there = Money::in_outputs(self.world.devnet.snapshot().iter(), self.books.protocol.ntx());
        let taken = self.world.devnet.transactions().iter().fold(0, |sum, applied| {
            sum + i128::from(applied.fee.0) + i128::from(applied.deposit) - i128::from(applied.withdrawn.0)
        });
        there + Money { ntx: 0, lovelace: taken }
    }

    /// Builds, signs and sends a transaction, and has a block made with it. Everybody signs whose signature it asks for.
    async fn land(&self, plan: &TxPlan, payer: usize) -> anyhow::Result<Landing> {
        let signed = match self.build(plan, payer).await? {
            Ok(signed) => signed,
            Err(refused) => return Ok(refused),
        };
        match self.world.chain.send(&signed).await {
            Ok(_) => {}
            Err(error @ (ChainError::Check(_) | ChainError::Rejected { .. })) => {
                return Ok(Landing::Refused(error.to_string()));
            }
            Err(error) => return Err(error.into()),
        }
        self.world.devnet.advance(Duration::ZERO).await?;
        let applied = self.world.devnet.transaction(&signed.id);
        Ok(Landing::Applied(applied.with_context(|| format!("transaction {} came into no block", signed.id))?))
    }

    async fn build(&self, plan: &TxPlan, payer: usize) -> anyhow::Result<Result<Signed, Landing>> {
        let wallet = self.books.people.wallet(payer);
        match self.world.chain.balance(plan, wallet).await {
            Ok(unsigned) => Ok(Ok(unsigned.sign_with(&self.books.people.wallets()).finish()?)),
            Err(ChainError::Build(error)) => {
                if let BuildError::ScriptFailed { draft, .. } = &error {
                    let (params, slots) = (self.world.chain.params(), self.world.chain.slots());
                    let second = judge(&draft.cbor, &draft.resolved, &params, &slots)?;
                    ensure!(second == Agreement::Refused, "one evaluator refuses: {error}");
                }
                Ok(Err(Landing::Refused(error.to_string())))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Closes every escrow and lease that is open, and shows before that each could also be closed by agreement.
    ///
    /// # Errors
    /// When one of them cannot be closed, or anything is left at the validators' addresses.
    pub async fn close_all(&mut self) -> anyhow::Result<()> {
        self.everything_can_be_agreed().await?;
        let escrows = self.books.escrows.values().map(|escrow| escrow.datum.deadline.0);
        let leases = self.books.leases.values().map(|lease| lease.datum().end.0 + lease.datum().window_ms);
        if let Some(last) = escrows.chain(leases).max() {
            let wait = last.saturating_sub(self.world.devnet.latest().time.0) + 1_000;
            self.world.devnet.advance(Duration::from_millis(wait)).await?;
        }
        let (params, slots) = (self.world.chain.params(), self.world.chain.slots());
        let deployment = self.world.deployment.clone();
        let open: Vec<_> = self.books.escrows.values().cloned().collect();
        for batch in open.chunks(REFUNDED) {
            self.close("refund", refund(&deployment, &params, &slots, batch)?).await?;
        }
        let open: Vec<_> = self.books.leases.values().cloned().collect();
        for lease in open {
            let ways = LeaseWays { deployment: &deployment, params: &params, slots: &slots, lease: &lease };
            let plan = ways.close(self.world.devnet.latest().time, Closer::Anyone)?;
            self.close("close", plan).await.with_context(|| format!("lease {}", lease.outpoint))?;
        }
        let snapshot = self.world.devnet.snapshot();
        let left = snapshot.iter().filter(|(_, output)| self.guards(output));
        let left = Money::in_outputs(left, self.books.protocol.ntx()).ntx;
        ensure!(left == self.stray, "{left} NTX units are left at the validators' addresses, not {}", self.stray);
        Ok(())
    }

    /// Whether an output is at the address of escrows or leases.
    fn guards(&self, output: &TxOut) -> bool {
        let protocol = &self.books.protocol;
        [protocol.escrow_address(), protocol.lease_address()].contains(&output.address)
    }

    /// Somebody who is no principal of most of them closes.
    async fn close(&mut self, kind: &'static str, plan: TxPlan) -> anyhow::Result<()> {
        let landing = self.land(&plan, PARTIES - 1).await?;
        let (payer, agreed) = (PARTIES - 1, BTreeMap::new());
        self.hold_to_the_law(Attempt { kind, plan, payer, agreed, judged: true, spoiled: false }, landing)?;
        Ok(())
    }

    async fn everything_can_be_agreed(&self) -> anyhow::Result<()> {
        let (params, slots, none) = (self.world.chain.params(), self.world.chain.slots(), Consents::none());
        let deployment = &self.world.deployment;
        let jobs = self
            .books
            .escrows
            .values()
            .map(|escrow| (escrow.outpoint, agree(deployment, std::slice::from_ref(escrow), Vec::new(), &none)));
        let leases = self.books.leases.values().map(|lease| {
            let ways = LeaseWays { deployment, params: &params, slots: &slots, lease };
            (lease.outpoint, ways.agree(Vec::new(), &none))
        });
        for (outpoint, plan) in jobs.chain(leases) {
            let Ok(signed) = self.build(&plan?, 0).await? else { bail!("{outpoint} cannot be agreed on") };
            check(&signed, &params, &slots, Slot(self.world.devnet.latest().slot.0 + 1))?;
        }
        Ok(())
    }

    /// Has a second evaluator judge everything again, and stops the devnet.
    pub async fn strike(self) -> anyhow::Result<Tally> {
        judge_all(&self.world.devnet, &self.world.chain.params()).context("the evaluators disagree")?;
        self.world.stop().await;
        Ok(self.tally)
    }
}

impl Tally {
    /// How many honest operations of a kind there were.
    pub fn honest(&self, kind: &str) -> usize {
        self.0.get(kind).map_or(0, |counts| counts.honest)
    }

    /// How many dishonest ones of a kind were refused.
    pub fn refused(&self, kind: &str) -> usize {
        self.0.get(kind).map_or(0, |counts| counts.refused)
    }

    /// How many dishonest ones of a kind were let through, and harmed nobody who did not sign.
    pub fn harmless(&self, kind: &str) -> usize {
        self.0.get(kind).map_or(0, |counts| counts.harmless)
    }

    /// How many operations there were in all.
    pub fn all(&self) -> usize {
        self.0.values().map(|counts| counts.honest + counts.refused + counts.harmless).sum()
    }

    /// Adds another one.
    pub fn add(&mut self, other: &Self) {
        for (kind, more) in &other.0 {
            let counts = self.0.entry(kind).or_default();
            counts.honest += more.honest;
            counts.refused += more.refused;
            counts.harmless += more.harmless;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, Counts { honest, refused, harmless }) in &self.0 {
            writeln!(f, "{kind:>16}: {honest:>4} honest, {refused:>4} flawed refused, {harmless:>4} flawed harmless")?;
        }
        write!(f, "{:>16}: {:>4}", "in all", self.all())
    }
}
