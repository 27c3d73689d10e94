//! The books: every open escrow and lease, what members and requesters signed, and what each way gives to whom.
//!
//! The rules stand here as the documentation has them, in wide integers, on what an applied transaction shows: what it
//! consumed and made, its bounds, its signatures, and which way its redeemer names.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};
use nunet_contracts::{
    Committee, CommitteeDatum, CommitteeId, Escrow, Fault, JobAction, JobDatum, Lease, LeaseAction, MemberKey, Ntx,
    Protocol, data,
};
use nunet_devnet::Applied;
use nunet_ledger::{
    Address, Credential, KeyHash, Lovelace, OutPoint, PosixMs, ProtocolParameters, Purpose, SlotConfig, TxOut,
    fees::min_ada, hash::blake2b_224, received::ReceivedTx,
};

use super::{
    lease::{Facts, Outcome, Standing},
    people::{Money, People},
};

/// The members who signed something.
pub(super) type Signers = BTreeSet<MemberKey>;

/// What committees, requesters and lessees have allowed.
#[derive(Default)]
pub(super) struct Spoken {
    /// The verdict on an escrow, which never changes, and those who signed it, each time that they did.
    pub(super) verdicts: BTreeMap<OutPoint, (Ntx, Ntx, Vec<Signers>)>,
    /// Faults.
    pub(super) faults: Vec<(Fault, Signers)>,
    /// What replaces the committee at an outpoint.
    pub(super) rotations: Vec<(OutPoint, CommitteeDatum, Signers)>,
    /// Vouchers.
    pub(super) vouchers: BTreeSet<(OutPoint, Ntx)>,
}

/// How a transaction was meant.
pub enum Conduct {
    /// By the rules: everybody but who pays for it must gain exactly what is theirs, and beside that what was agreed.
    Honest {
        /// Who pays the fee, and gets what is left.
        payer: usize,
        /// Where an agreement sends money.
        agreed: BTreeMap<usize, Money>,
    },
    /// Not by the rules, whoever signed it: nobody else may lose by it.
    Dishonest,
}

/// Everything that is owed to anybody.
pub struct Books {
    pub(super) protocol: Protocol,
    params: ProtocolParameters,
    slots: SlotConfig,
    pub(super) people: People,
    pub(super) escrows: BTreeMap<OutPoint, Escrow>,
    pub(super) leases: BTreeMap<OutPoint, Lease>,
    pub(super) committees: Vec<Committee>,
    pub(super) spoken: Spoken,
}

/// What a transaction changes in the books.
#[derive(Default)]
pub(super) struct Entries {
    lease: Option<Lease>,
    committees: Vec<Committee>,
}

/// A transaction under judgement.
struct Case<'a> {
    books: &'a Books,
    applied: &'a Applied,
    tx: ReceivedTx<'a>,
    signers: BTreeSet<KeyHash>,
    lower: Option<PosixMs>,
    upper: Option<PosixMs>,
    /// What is owed to whom.
    owed: BTreeMap<usize, Money>,
    entries: Entries,
}

impl Books {
    pub(super) fn open(
        protocol: Protocol,
        params: ProtocolParameters,
        slots: SlotConfig,
        people: People,
        committees: Vec<Committee>,
    ) -> Self {
        let (escrows, leases, spoken) = (BTreeMap::new(), BTreeMap::new(), Spoken::default());
        Self { protocol, params, slots, people, escrows, leases, committees, spoken }
    }

    /// Holds a transaction against the rules.
    ///
    /// # Errors
    /// When it breaks the law, and how.
    pub fn judge(&self, applied: &Applied, conduct: &Conduct) -> anyhow::Result<()> {
        self.entries_of(applied, conduct).map(|_| ())
    }

    /// Judges a transaction and writes down what it changed.
    pub(super) fn enter(&mut self, applied: &Applied, conduct: &Conduct) -> anyhow::Result<()> {
        let Entries { lease, committees } = self.entries_of(applied, conduct)?;
        for (outpoint, _) in &applied.consumed {
            self.escrows.remove(outpoint);
            self.leases.remove(outpoint);
        }
        self.leases.extend(lease.map(|lease| (lease.outpoint, lease)));
        for next in committees {
            self.committees.iter_mut().filter(|now| now.id == next.id).for_each(|now| *now = next.clone());
        }
        Ok(())
    }

    /// Writes down the escrows and leases that a transaction locked, which are as their principals agreed.
    pub(super) fn lock(&mut self, applied: &Applied) -> anyhow::Result<()> {
        for (outpoint, output) in &applied.produced {
            if output.address == self.protocol.escrow_address() {
                let escrow = Escrow::read(&self.protocol, *outpoint, output.clone())?;
                self.escrows.insert(*outpoint, escrow);
            } else if output.address == self.protocol.lease_address() {
                self.leases.insert(*outpoint, Lease::read(&self.protocol, *outpoint, output.clone())?);
            }
        }
        Ok(())
    }

    pub(super) fn owner(&self, address: &Address) -> anyhow::Result<usize> {
        self.people.owner(address).with_context(|| format!("{address} belongs to nobody"))
    }

    pub(super) fn committee(&self, id: CommitteeId) -> anyhow::Result<&Committee> {
        self.committees.iter().find(|committee| committee.id == id).context("an unknown committee")
    }

    fn entries_of(&self, applied: &Applied, conduct: &Conduct) -> anyhow::Result<Entries> {
        ensure!(applied.valid, "a script failed on chain");
        let tx = ReceivedTx::decode(&applied.cbor)?;
        let signers = signers_of(&tx);
        let lower = tx.body.valid_from.map(|slot| self.slots.begin(slot));
        let upper = tx.body.valid_until.map(|slot| self.slots.begin(slot));
        let (owed, entries) = (BTreeMap::new(), Entries::default());
        let mut case = Case { books: self, applied, tx, signers, lower, upper, owed, entries };
        case.jobs()?;
        case.leases()?;
        case.rotations()?;
        case.locks(conduct)?;
        case.everybody_gets_theirs(conduct)?;
        Ok(case.entries)
    }
}

/// The keys that signed a transaction.
pub(super) fn signers_of(tx: &ReceivedTx<'_>) -> BTreeSet<KeyHash> {
    tx.witnesses.vkeys.iter().map(|witness| KeyHash(blake2b_224(&witness.key))).collect()
}

/// Whether enough of the members signed.
fn enough(committee: &CommitteeDatum, signers: &Signers) -> bool {
    let members = committee.members().iter().filter(|member| signers.contains(member));
    members.count() >= committee.threshold()
}

impl Case<'_> {
    fn signed(&self, address: &Address) -> bool {
        match address.payment() {
            Some(Credential::Key(key)) => self.signers.contains(&key),
            _ => false,
        }
    }

    fn owe(&mut self, address: &Address, ntx: i128, lovelace: i128) -> anyhow::Result<()> {
        let who = self.books.owner(address)?;
        let owed = self.owed.entry(who).or_default();
        *owed = *owed + Money { ntx, lovelace };
        Ok(())
    }

    /// The escrows that it consumes, by the one way that its redeemer names.
    fn jobs(&mut self) -> anyhow::Result<()> {
        let books = self.books;
        let consumed: Vec<&Escrow> =
            self.applied.consumed.iter().filter_map(|(outpoint, _)| books.escrows.get(outpoint)).collect();
        if consumed.is_empty() {
            return Ok(());
        }
        let logic = books.protocol.logic_account();
        let place = self.tx.body.withdrawals.keys().position(|account| *account == logic);
        let place = place.context("escrows are spent without the logic")?;
        let redeemer = self.redeemer(Purpose::Withdraw, place)?;
        let action = JobAction::from_data(&redeemer)?;
        // The vouchers of a redemption stand beside all inputs that scripts guard.
        let guarded = self.applied.consumed.iter().filter(|(_, output)| is_guarded(output));
        let guarded: Vec<OutPoint> = guarded.map(|(outpoint, _)| *outpoint).collect();
        for escrow in consumed {
            let place = guarded.iter().position(|outpoint| *outpoint == escrow.outpoint);
            let redeemed = match &action {
                JobAction::Redeem { vouchers } => {
                    place.and_then(|place| vouchers.get(place)).context("an escrow without a voucher")?.amount
                }
                _ => Ntx(0),
            };
            self.job(escrow, &action, redeemed).with_context(|| format!("escrow {}", escrow.outpoint))?;
        }
        Ok(())
    }

    fn job(&mut self, escrow: &Escrow, action: &JobAction, redeemed: Ntx) -> anyhow::Result<()> {
        let JobDatum { requester, provider, deadline, .. } = &escrow.datum;
        let wide = i128::from;
        let (price, fee, bond) = (wide(escrow.datum.price.0), wide(escrow.datum.fee.0), wide(escrow.datum.bond.0));
        let (deposit, carry) = (wide(escrow.datum.deposit.0), wide(escrow.datum.carry.0));
        match action {
            JobAction::Settle { .. } => {
                let committee = &self.books.committee(escrow.datum.committee)?.datum;
                let verdict = self.books.spoken.verdicts.get(&escrow.outpoint);
                let (paid, slashed, signed) = verdict.context("settled without a verdict")?;
                ensure!(signed.iter().any(|signers| enough(committee, signers)), "settled with too few signatures");
                let (paid, slashed) = (wide(paid.0), wide(slashed.0));
                self.owe(provider, paid + bond - slashed, carry)?;
                self.owe(requester, price - paid + slashed, deposit)?;
                let treasury = committee.treasury().clone();
                self.owe(&treasury, fee, 0)
            }
            // What is owed to a principal who signs is not checked: it is the builder's.
            JobAction::Accept { .. } => {
                ensure!(self.signed(requester), "accepted without the requester");
                self.owe(provider, price + bond, carry)
            }
            JobAction::Agree => {
                ensure!(self.signed(requester) && self.signed(provider), "an agreement of one");
                Ok(())
            }
            JobAction::Redeem { .. } => {
                ensure!(self.signed(provider), "redeemed without the provider");
                ensure!(bond == 0, "redeemed past a bond");
                ensure!(self.upper.is_some_and(|upper| upper <= *deadline), "redeemed late");
                let allowed = redeemed.0 == 0 || self.books.spoken.vouchers.contains(&(escrow.outpoint, redeemed));
                ensure!(allowed, "redeemed without a voucher");
                self.owe(requester, price - wide(redeemed.0) + fee, deposit)
            }
            JobAction::Refund { .. } => {
                ensure!(self.lower.is_some_and(|lower| lower >= *deadline), "refunded early");
                self.owe(requester, price + fee, deposit)?;
                self.owe(provider, bond, carry)
            }
        }
    }

    /// The leases that it consumes, each by its redeemer, and how they go on.
    fn leases(&mut self) -> anyhow::Result<()> {
        let books = self.books;
        for (place, outpoint) in self.tx.body.inputs.clone().iter().enumerate() {
            let Some(lease) = books.leases.get(outpoint) else { continue };
            let action = LeaseAction::from_data(&self.redeemer(Purpose::Spend, place)?)?;
            self.lease(lease, &action).with_context(|| format!("lease {outpoint}"))?;
        }
        Ok(())
    }

    fn lease(&mut self, lease: &Lease, action: &LeaseAction) -> anyhow::Result<()> {
        let datum = lease.datum();
        let standing = Standing { datum: datum.clone(), held: lease.state.held().0.into() };
        let next = self.applied.produced.first();
        let next = next.filter(|(_, output)| output.address == lease.output.address);
        let facts = Facts {
            lower: self.lower,
            upper: self.upper,
            lessee_signed: self.signed(&datum.lessee),
            lessor_signed: self.signed(&datum.lessor),
            next_held: next.map(|(_, output)| output.value.quantity(self.books.protocol.ntx()).into()),
        };
        let committee = &self.books.committee(datum.committee)?.datum;
        if let LeaseAction::Fault { from, to, credit, .. } = action {
            let fault = Fault { agreement: datum.agreement, from: *from, to: *to, credit: *credit };
            let mut signed = self.books.spoken.faults.iter().filter(|(signed, _)| *signed == fault);
            ensure!(signed.any(|(_, signers)| enough(committee, signers)), "a fault that too few signed");
        }
        match standing.after(action, &facts)? {
            Outcome::Agreed => Ok(()),
            Outcome::Over { lessor, lessee } => {
                self.owe(&datum.lessor, lessor, datum.carry.0.into())?;
                self.owe(&datum.lessee, lessee, datum.deposit.0.into())
            }
            Outcome::GoesOn { next: expected, treasury } => {
                let (outpoint, output) = next.context("the lease does not go on")?;
                ensure!(output.value.lovelace() >= lease.output.value.lovelace(), "the lease lost lovelace");
                ensure!(output.value.assets().len() <= 1, "the lease holds another asset");
                let next = Lease::read(&self.books.protocol, *outpoint, output.clone())?;
                let found = Standing { datum: next.datum().clone(), held: next.state.held().0.into() };
                ensure!(found == *expected, "the lease goes on as {found:?}, not as {expected:?}");
                self.entries.lease = Some(next);
                let address = committee.treasury().clone();
                self.owe(&address, treasury, 0)
            }
        }
    }

    /// The committees that it replaces.
    fn rotations(&mut self) -> anyhow::Result<()> {
        for now in &self.books.committees {
            if !self.applied.consumed.iter().any(|(outpoint, _)| *outpoint == now.outpoint) {
                continue;
            }
            let nft = self.books.protocol.committee_nft(now.id);
            let mut holders = self.applied.produced.iter().filter(|(_, output)| output.value.quantity(&nft) > 0);
            let (outpoint, output) = holders.next().context("a committee's NFT is gone")?;
            ensure!(output.value.assets().len() == 1, "a committee holds other assets");
            let next = Committee::read(&self.books.protocol, *outpoint, output.clone())?;
            let signed =
                self.books.spoken.rotations.iter().any(|(at, datum, signers)| {
                    *at == now.outpoint && *datum == next.datum && enough(&now.datum, signers)
                });
            ensure!(signed, "a committee replaced without enough of its members");
            self.entries.committees.push(next);
        }
        Ok(())
    }

    /// What principals put into escrows and leases that an honest transaction makes anew.
    fn locks(&mut self, conduct: &Conduct) -> anyhow::Result<()> {
        if matches!(conduct, Conduct::Dishonest) || self.entries.lease.is_some() {
            return Ok(());
        }
        let protocol = &self.books.protocol;
        for (outpoint, output) in &self.applied.produced {
            if output.address == protocol.escrow_address()
                && let Ok(escrow) = Escrow::read(protocol, *outpoint, output.clone())
            {
                let JobDatum { price, fee, bond, carry, .. } = escrow.datum;
                let held = Money::in_output(output, protocol.ntx()).ntx;
                ensure!(
                    held == i128::from(price.0) + i128::from(fee.0) + i128::from(bond.0),
                    "locked {held} NTX units"
                );
                self.owe(&escrow.datum.requester, -i128::from(price.0) - i128::from(fee.0), 0)?;
                self.owe(&escrow.datum.provider, -i128::from(bond.0), -carried(bond, carry))?;
            }
            if output.address == protocol.lease_address()
                && let Ok(lease) = Lease::read(protocol, *outpoint, output.clone())
            {
                let datum = lease.datum();
                self.owe(&datum.lessee, -i128::from(lease.state.rent().0), 0)?;
                self.owe(&datum.lessor, -i128::from(datum.bond.0), -carried(datum.bond, datum.carry))?;
            }
        }
        Ok(())
    }

    fn everybody_gets_theirs(&self, conduct: &Conduct) -> anyhow::Result<()> {
        let books = self.books;
        let ntx = books.protocol.ntx();
        for who in books.people.all() {
            let gain = books.people.gain(who, self.applied, ntx);
            let owed = self.owed.get(&who).copied().unwrap_or_default();
            match conduct {
                Conduct::Dishonest => {
                    let signed = self.signers.contains(&books.people.wallet(who).key_hash());
                    let harmed = gain.ntx < owed.ntx || gain.lovelace < owed.lovelace;
                    ensure!(signed || !harmed, "person {who} is owed {owed} and gained {gain}");
                }
                Conduct::Honest { payer, .. } if *payer == who => {}
                Conduct::Honest { agreed, .. } => {
                    let owed = owed + agreed.get(&who).copied().unwrap_or_default();
                    let exact = gain.ntx == owed.ntx
                        && (gain.lovelace == owed.lovelace || gain.lovelace > owed.lovelace && self.is_raised_for(who));
                    ensure!(exact, "person {who} is owed {owed} and gained {gain}");
                }
            }
        }
        if let Conduct::Honest { .. } = conduct {
            let protocol =
                [books.protocol.escrow_address(), books.protocol.lease_address(), books.protocol.committee_address()];
            let lost =
                |output: &TxOut| !protocol.contains(&output.address) && books.people.owner(&output.address).is_none();
            let strange = self.applied.produced.iter().find(|(_, output)| lost(output));
            ensure!(strange.is_none(), "money went to a stranger: {strange:?}");
        }
        Ok(())
    }

    /// Whether somebody gets an output that holds only the ledger's least: more than is owed then.
    fn is_raised_for(&self, who: usize) -> bool {
        let books = self.books;
        self.applied.produced.iter().any(|(_, output)| {
            books.people.owner(&output.address) == Some(who)
                && output.value.lovelace() == min_ada(&books.params, output)
        })
    }

    fn redeemer(&self, purpose: Purpose, place: usize) -> anyhow::Result<pallas_primitives::PlutusData> {
        let redeemer = self.tx.witnesses.redeemers.get(&(purpose, u32::try_from(place)?));
        Ok(data::from_cbor("redeemer", redeemer.context("there is no redeemer")?.data)?)
    }
}

fn is_guarded(output: &TxOut) -> bool {
    matches!(output.address.payment(), Some(Credential::Script(_)))
}

/// The provider of a bond brings its carry; without a bond the requester pays it all.
fn carried(bond: Ntx, carry: Lovelace) -> i128 {
    if bond.0 > 0 { carry.0.into() } else { 0 }
}
