//! Honest transactions: each operation by the real builders, where the rules allow it.

mod jobs;
mod leases;

use std::collections::BTreeMap;

use anyhow::Context;
use ed25519_dalek::{Signer, SigningKey};
use nunet_contracts::{
    AgreementHash, Committee, CommitteeDatum, Consents, Escrow, JobDatum, Lease, MemberKey, Ntx, Signatures, Spend,
    TxPlan,
    transactions::{accept, agree, payout, refund, rotate_committee, rotation_message},
};
use nunet_ledger::{Address, Lovelace, PosixMs, Slot, TxOut, Value};

use super::{
    books::Signers,
    flaw::Flaw,
    people::Money,
    stage::{PARTIES, Stage, TREASURIES},
    step::{Op, Pick, Step},
};

/// The builder's part of what is locked, in lovelace.
const TIP: Lovelace = Lovelace(3_000_000);
/// How far from a bound an honest transaction stays, in milliseconds: real time passes too while it is made.
const MARGIN_MS: u64 = 60_000;
/// How long an honest transaction has to come into a block.
const LAND_MS: u64 = 600_000;

/// A transaction that is tried.
pub(super) struct Attempt {
    pub(super) kind: &'static str,
    pub(super) plan: TxPlan,
    pub(super) payer: usize,
    /// What an agreement sends where.
    pub(super) agreed: BTreeMap<usize, Money>,
    /// Whether validators have a say in it.
    pub(super) judged: bool,
    /// Whether its flaw is already in it.
    pub(super) spoiled: bool,
}

impl Attempt {
    fn new(kind: &'static str, payer: usize, plan: TxPlan) -> Self {
        Self { kind, plan, payer, agreed: BTreeMap::new(), judged: true, spoiled: false }
    }

    fn unjudged(kind: &'static str, payer: usize, plan: TxPlan) -> Self {
        Self { judged: false, ..Self::new(kind, payer, plan) }
    }
}

impl Stage {
    /// The transaction of a step; `None` where the rules give it nothing to do.
    pub(super) fn attempt(&mut self, step: &Step) -> anyhow::Result<Option<Attempt>> {
        let payer = usize::from(step.payer) % PARTIES;
        let none = Consents::none();
        let (deployment, params, slots) = (&self.world.deployment, self.world.chain.params(), self.world.chain.slots());
        let now = self.now();
        Ok(match &step.op {
            Op::Lock { .. } => self.lock(&step.op)?,
            Op::Settle { pick, skipped, paid, slashed } => {
                self.settlement(*pick, *skipped, *paid, *slashed, payer, &step.flaws)?
            }
            Op::Accept(pick) => {
                let escrows = self.picked(*pick, |_| true);
                if escrows.is_empty() {
                    return Ok(None);
                }
                Some(Attempt::new("accept", payer, accept(deployment, &params, &escrows, &none)?))
            }
            Op::Agree { pick, share } => {
                let escrows = self.picked(*pick, |_| true);
                let Some(first) = escrows.first() else { return Ok(None) };
                let held: u64 = escrows.iter().map(|escrow| self.ntx_in(&escrow.output)).sum();
                let (outputs, agreed) = self.split(&first.datum.requester, held, *share)?;
                let plan = agree(deployment, &escrows, outputs, &none)?;
                Some(Attempt { agreed, ..Attempt::new("agree", payer, plan) })
            }
            Op::Redeem { pick, share } => self.redemption(*pick, *share, payer)?,
            Op::Refund(pick) => {
                let escrows = self.picked(*pick, |datum| datum.deadline <= now);
                if escrows.is_empty() {
                    return Ok(None);
                }
                Some(Attempt::new("refund", payer, refund(deployment, &params, &slots, &escrows)?))
            }
            Op::Open { .. } => self.opening(&step.op)?,
            Op::Rotate { .. } => self.rotation(&step.op, payer, &step.flaws)?,
            Op::Forge { victim, lacks } => Some(self.forgery(usize::from(*victim) % PARTIES, *lacks, payer)?),
            Op::Dust { lease } => {
                let protocol = &deployment.protocol;
                let address = if *lease { protocol.lease_address() } else { protocol.escrow_address() };
                let dust = TxOut::new(address, Value::lovelace_only(Lovelace(1_500_000)));
                Some(Attempt::unjudged("dust", payer, TxPlan { outputs: vec![dust], ..TxPlan::default() }))
            }
            Op::Pass { .. } => None,
            Op::Claim(lease)
            | Op::TopUp { lease, .. }
            | Op::Shorten { lease, .. }
            | Op::Fault { lease, .. }
            | Op::Close(lease)
            | Op::AgreeLease { lease, .. } => {
                let Some(lease) = self.lease(*lease) else { return Ok(None) };
                self.of_lease(&lease, step, payer)?
            }
        })
    }

    fn now(&self) -> PosixMs {
        self.world.devnet.latest().time
    }

    fn ntx_in(&self, output: &TxOut) -> u64 {
        output.value.quantity(self.books.protocol.ntx())
    }

    fn address(&self, who: usize, staked: bool) -> Address {
        let wallet = self.books.people.wallet(who);
        if staked { wallet.address() } else { wallet.enterprise_address() }
    }

    /// The open escrows that a pick names, without those that do not fit.
    fn picked(&self, pick: Pick, fits: impl Fn(&JobDatum) -> bool) -> Vec<Escrow> {
        let mut fitting: Vec<&Escrow> = self.books.escrows.values().filter(|escrow| fits(&escrow.datum)).collect();
        // By age: outpoints are others in every run.
        fitting.sort_by_key(|escrow| escrow.datum.agreement);
        let count = usize::from(pick.count).clamp(1, fitting.len().max(1));
        fitting.iter().cycle().skip(usize::from(pick.first)).take(count.min(fitting.len())).copied().cloned().collect()
    }

    fn lease(&self, number: u8) -> Option<Lease> {
        let mut leases: Vec<&Lease> = self.books.leases.values().collect();
        leases.sort_by_key(|lease| lease.datum().agreement);
        leases.get(usize::from(number).checked_rem(leases.len())?).copied().cloned()
    }

    /// An output that gives a share of what is held to an address.
    fn split(&self, to: &Address, held: u64, share: u8) -> anyhow::Result<(Vec<TxOut>, BTreeMap<usize, Money>)> {
        let part = Ntx(part(held, share));
        let params = self.world.chain.params();
        let output = payout(&self.books.protocol, &params, to.clone(), part, Lovelace(0))?;
        let agreed = [(self.books.owner(to)?, Money::in_output(&output, self.books.protocol.ntx()))];
        Ok((vec![output], agreed.into()))
    }

    /// An agreement that no other escrow or lease has.
    fn agreement(&mut self) -> AgreementHash {
        self.agreements += 1;
        let mut hash = [0; 32];
        hash[24..].copy_from_slice(&self.agreements.to_be_bytes());
        AgreementHash(hash)
    }

    /// Adds somebody's inputs to a plan, and what comes back of them.
    fn bring(&self, plan: &mut TxPlan, who: usize, money: Money) -> anyhow::Result<()> {
        let ntx = self.books.protocol.ntx();
        let snapshot = self.world.devnet.snapshot();
        let mut theirs: Vec<_> = snapshot
            .into_iter()
            .filter(|(_, output)| self.books.people.owner(&output.address) == Some(who) && output.datum.is_none())
            .collect();
        theirs.sort_by_key(|(_, output)| std::cmp::Reverse((output.value.quantity(ntx), output.value.lovelace())));
        let mut left = Value::default();
        for (outpoint, output) in theirs {
            let has = Money::in_output(&TxOut::new(output.address.clone(), left.clone()), ntx);
            if has.ntx >= money.ntx && has.lovelace >= money.lovelace + 2_000_000 {
                break;
            }
            left = left.checked_add(&output.value).context("inputs")?;
            plan.spends.push(Spend { outpoint, output, redeemer: None });
        }
        let (units, lovelace) = (u64::try_from(money.ntx)?, Lovelace(u64::try_from(money.lovelace)?));
        let brought = Value::lovelace_only(lovelace).with(ntx.clone(), units).context("a bond")?;
        let change = left.checked_sub(&brought).context("somebody is poor")?;
        plan.outputs.push(TxOut::new(self.address(who, true), change));
        Ok(())
    }

    /// The end of validity of what must land soon.
    fn landing(&self) -> Slot {
        self.world.chain.slots().at(PosixMs(self.now().0 + LAND_MS))
    }

    fn committee_at(&self, number: u8) -> &Committee {
        &self.books.committees[usize::from(number) % self.books.committees.len()]
    }

    /// Who judges, as the transaction shows it, and how many sign.
    fn judges(&self, named: &Committee, flaws: &[Flaw]) -> (Committee, usize, bool) {
        let threshold = named.datum.threshold();
        match flaws.first() {
            Some(Flaw::TooFewMembers) => (named.clone(), threshold - 1, true),
            Some(Flaw::OtherCommittee) => {
                let other = self.books.committees.iter().find(|other| other.id != named.id).unwrap_or(named);
                (Committee { id: named.id, ..other.clone() }, other.datum.threshold(), true)
            }
            _ => (named.clone(), threshold, false),
        }
    }

    /// Signatures of so many members, from one on.
    fn sign(&self, committee: &CommitteeDatum, message: &[u8; 32], count: usize, from: u8) -> (Signatures, Signers) {
        let members = committee.members().iter().cycle().skip(usize::from(from)).take(count);
        let keys = members.filter_map(|member| self.members.iter().find(|key| public(key) == *member));
        let signatures: Signatures = keys.map(|key| (public(key), key.sign(message).to_bytes())).collect();
        let signers = signatures.keys().copied().collect();
        (signatures, signers)
    }

    fn rotation(&mut self, op: &Op, payer: usize, flaws: &[Flaw]) -> anyhow::Result<Option<Attempt>> {
        let Op::Rotate { committee, members, threshold, treasury } = op else { return Ok(None) };
        let bits = if *members == 0 { 1 } else { *members };
        let seats = self.members.iter().enumerate().filter(|(seat, _)| (bits >> seat) & 1 == 1);
        let seats: Vec<MemberKey> = seats.map(|(_, key)| public(key)).collect();
        let threshold = 1 + usize::from(*threshold) % seats.len();
        let treasury = self.address(PARTIES + usize::from(*treasury) % TREASURIES, treasury.is_multiple_of(3));
        let next = CommitteeDatum::new(seats, u8::try_from(threshold)?, treasury)?;
        let now = self.committee_at(*committee).clone();
        let few = flaws.first() == Some(&Flaw::TooFewMembers);
        let count = now.datum.threshold() - usize::from(few);
        let message = rotation_message(self.books.protocol.magic(), now.outpoint, &next)?;
        let (signatures, signers) = self.sign(&now.datum, &message, count, *members);
        let plan = rotate_committee(&self.books.protocol, &self.world.chain.params(), &now, &next, &signatures)?;
        self.books.spoken.rotations.push((now.outpoint, next, signers));
        Ok(Some(Attempt { spoiled: few, ..Attempt::new("rotate", payer, plan) }))
    }
}

fn public(key: &SigningKey) -> MemberKey {
    MemberKey(key.verifying_key().to_bytes())
}

/// A share in percent.
fn part(of: u64, share: u8) -> u64 {
    (u128::from(of) * u128::from(share) / 100) as u64
}
