//! The bench: a devnet on which every run makes the same transactions, byte for byte.
//!
//! Keys, addresses, deadlines and the bounds of validity are fixed, so hashes and with them the order of inputs repeat.
//! The devnet's slots are moved up to where their numbers have the width of mainnet's.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, bail, ensure};
use ed25519_dalek::{Signer, SigningKey};
use nunet_chain::{BuildError, ChainError, Signed, Unsigned, Wallet};
use nunet_contracts::{
    AgreementHash, Escrow, EscrowTerms, JobDatum, Leaf, MemberKey, Ntx, Signatures, TxPlan, Verdict,
    transactions::{escrow_output, publish_scripts, settle},
};
use nunet_devnet::Applied;
use nunet_ledger::{
    Address, Credential, KeyHash, Lovelace, PosixMs, ProtocolParameters, Slot, TxId, hash::blake2b_224,
};

use super::row::Row;
use crate::{
    accounts::Role,
    world::{THRESHOLD, World},
};

/// When every escrow's deadline is: 2033-05-18T03:33:20Z.
const DEADLINE: PosixMs = PosixMs(2_000_000_000_000);
/// How far the clock is moved at the start. Slot numbers above 65,535 take 5 bytes, up to mainnet's and beyond.
const SLOTS_BEFORE: Duration = Duration::from_secs(100_000);
/// Until when locks are valid: long after the deadlines.
const LOCK_UNTIL: Slot = Slot(1_000_000_000);
/// Escrows locked in one transaction: an output's index below 24 takes one byte, as that of a lone lock does.
const LOCKS: usize = 24;
/// Blocks made in a row before a transaction counts as lost.
const BLOCKS: usize = 64;

/// What the escrows of a batch have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) requesters: Parties,
    pub(super) providers: Parties,
    pub(super) outcome: Outcome,
}

/// Who stands on one side of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parties {
    /// The wallet in this role, at its enterprise address.
    One(Role),
    /// Somebody else each time, at a base address.
    Base,
    /// Somebody else each time, at an enterprise address.
    Enterprise,
}

/// What members find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Part of the price is paid; the rest of the NTX goes back.
    Rest,
    /// All of it is paid; the deposit alone goes back.
    InFull,
}

const PRICE: Ntx = Ntx(5_000_000);

/// A devnet, and the rows measured on it so far.
pub(super) struct Bench<'a> {
    pub(super) world: World,
    pub(super) params: Arc<ProtocolParameters>,
    rows: Vec<Row>,
    on_row: &'a mut (dyn FnMut(&Row) + Send),
    /// Tells escrows, and the parties made up for them, apart.
    locked: u64,
}

impl<'a> Bench<'a> {
    /// Starts a world with fixed members; its own two transactions are the first rows.
    pub(super) async fn start(on_row: &'a mut (dyn FnMut(&Row) + Send)) -> anyhow::Result<Self> {
        let members = std::array::from_fn(|index| SigningKey::from_bytes(&[index as u8 + 1; 32]));
        let world = World::start_with(members).await?;
        let params = world.chain.params();
        ensure!(
            *params == ProtocolParameters::mainnet(),
            "the devnet's parameters are not mainnet's: these would be no fees of mainnet"
        );
        let mut bench = Self { world, params, rows: Vec::new(), on_row, locked: 0 };
        let [_genesis, deployed, founded] = &bench.world.devnet.transactions()[..] else {
            bail!("the world is not set up by two transactions");
        };
        let (deployed, founded) = (deployed.clone(), founded.clone());
        let published = publish_scripts(&bench.world.deployment.protocol, &bench.params).outputs.len();
        bench.note("deploy", 0, &deployed, published);
        bench.note("found", 0, &founded, 1);
        bench.world.devnet.advance(SLOTS_BEFORE).await?;
        Ok(bench)
    }

    /// The rows, and the world that they were measured in.
    pub(super) fn finish(self) -> (Vec<Row>, World) {
        (self.rows, self.world)
    }

    pub(super) fn wallet(&self, role: Role) -> &Wallet {
        self.world.accounts.wallet(role)
    }

    fn note(&mut self, name: &str, escrows: usize, applied: &Applied, outputs: usize) {
        let row = Row::read(name.into(), escrows as u64, applied, outputs, &self.params);
        (self.on_row)(&row);
        self.rows.push(row);
    }

    /// Submits a plan, has it confirmed, and notes it as a row.
    pub(super) async fn measure(
        &mut self,
        name: &str,
        escrows: usize,
        plan: &TxPlan,
        payer: Role,
    ) -> anyhow::Result<Signed> {
        let unsigned = self.world.chain.balance(plan, self.wallet(payer)).await.context(name.to_owned())?;
        self.measure_built(name, escrows, plan, unsigned, payer).await
    }

    async fn measure_built(
        &mut self,
        name: &str,
        escrows: usize,
        plan: &TxPlan,
        unsigned: Unsigned,
        payer: Role,
    ) -> anyhow::Result<Signed> {
        let signed = unsigned.sign_with(&[self.wallet(payer)]).finish()?;
        self.world.chain.send(&signed).await.context(name.to_owned())?;
        let applied = self.confirm(signed.id).await?;
        self.note(name, escrows, &applied, plan.outputs.len());
        Ok(signed)
    }

    /// Has blocks made until a transaction is in one.
    async fn confirm(&self, id: TxId) -> anyhow::Result<Arc<Applied>> {
        for _ in 0..BLOCKS {
            match self.world.devnet.transaction(&id) {
                Some(applied) if applied.valid => return Ok(applied),
                Some(_) => bail!("a script of transaction {id} failed in its block"),
                None => self.world.devnet.advance(Duration::ZERO).await?,
            };
        }
        bail!("transaction {id} came into none of {BLOCKS} blocks")
    }

    /// Lets every escrow's deadline pass.
    pub(super) async fn pass_deadlines(&self) -> anyhow::Result<()> {
        let missing = DEADLINE.0.saturating_sub(self.world.devnet.latest().time.0);
        self.world.devnet.advance(Duration::from_millis(missing) + Duration::from_secs(1)).await?;
        Ok(())
    }

    /// Terms as agents fix them.
    pub(super) fn terms(&mut self, batch: Batch) -> EscrowTerms {
        self.locked += 1;
        let number = self.locked;
        let mut agreement = [0; 32];
        agreement[24..].copy_from_slice(&number.to_be_bytes());
        EscrowTerms {
            datum: JobDatum {
                requester: self.party(batch.requesters, "requester", number),
                provider: self.party(batch.providers, "provider", number),
                price: PRICE,
                fee: Ntx(500_000),
                bond: Ntx(0),
                deposit: Lovelace(1_500_000),
                carry: Lovelace(0),
                deadline: DEADLINE,
                committee: self.world.committee.id,
                agreement: AgreementHash(agreement),
                voucher_key: None,
            },
            tip: Lovelace(2_000_000),
        }
    }

    /// Nobody needs a wallet to be paid: whoever is no role is a hash.
    fn party(&self, parties: Parties, side: &str, number: u64) -> Address {
        let credential =
            |part: &str| Credential::Key(KeyHash(blake2b_224(format!("{side} {number} {part}").as_bytes())));
        let network = self.world.deployment.protocol.network_id();
        match parties {
            Parties::One(role) => self.wallet(role).enterprise_address(),
            Parties::Base => Address::new(network, credential("payment"), Some(credential("stake"))),
            Parties::Enterprise => Address::new(network, credential("payment"), None),
        }
    }

    /// Locks that many escrows, at the operator's expense and without a row.
    pub(super) async fn lock(&mut self, batch: Batch, count: usize) -> anyhow::Result<Vec<Escrow>> {
        let terms: Vec<EscrowTerms> = (0..count).map(|_| self.terms(batch)).collect();
        let mut escrows = Vec::with_capacity(count);
        for terms in terms.chunks(LOCKS) {
            let outputs = terms
                .iter()
                .map(|terms| escrow_output(&self.world.deployment.protocol, terms))
                .collect::<Result<_, _>>()?;
            let plan = TxPlan { outputs, valid_until: Some(LOCK_UNTIL), ..TxPlan::default() };
            let operator = self.wallet(Role::Operator);
            let (id, signed) = nunet_chain::submit_plan(&self.world.chain, &plan, operator).await?;
            self.confirm(id).await?;
            escrows.extend(self.escrows_of(&signed, terms.len())?);
        }
        Ok(escrows)
    }

    /// The plan that locks one escrow.
    pub(super) fn lone_lock(&self, terms: &EscrowTerms) -> anyhow::Result<TxPlan> {
        Ok(nunet_contracts::transactions::lock(&self.world.deployment.protocol, terms, LOCK_UNTIL)?)
    }

    /// The escrows that a lock made.
    pub(super) fn escrows_of(&self, lock: &Signed, count: usize) -> anyhow::Result<Vec<Escrow>> {
        let protocol = &self.world.deployment.protocol;
        let outputs = lock.produced().into_iter().take(count);
        outputs.map(|utxo| Ok(Escrow::read(protocol, utxo.outpoint, utxo.output)?)).collect()
    }

    /// The plan that settles escrows by a verdict of as many members as are needed.
    pub(super) fn settlement(&self, batch: Batch, escrows: &[Escrow]) -> anyhow::Result<TxPlan> {
        let World { deployment, committee, .. } = &self.world;
        let paid = match batch.outcome {
            Outcome::Rest => Ntx(PRICE.0 / 5 * 3),
            Outcome::InFull => PRICE,
        };
        let leaves = escrows.iter().map(|escrow| Leaf { escrow: escrow.outpoint, paid, slashed: Ntx(0) }).collect();
        let protocol = &deployment.protocol;
        let verdict = Verdict::new(protocol.magic(), protocol.logic_hash(), [7; 32], leaves)?;
        let signatures = self.sign(&verdict.message());
        Ok(settle(deployment, &self.params, committee, &verdict, &signatures, escrows)?)
    }

    /// Signatures of the first members, as many as are needed.
    pub(super) fn sign(&self, message: &[u8; 32]) -> Signatures {
        let keys = self.world.member_keys.iter().take(usize::from(THRESHOLD));
        keys.map(|key| (MemberKey(key.verifying_key().to_bytes()), key.sign(message).to_bytes())).collect()
    }

    /// Measures the largest batch that one transaction takes, found by building: `plan` makes a plan of escrows.
    pub(super) async fn largest(
        &mut self,
        name: &str,
        batch: Batch,
        payer: Role,
        plan: impl Fn(&Self, &[Escrow]) -> anyhow::Result<TxPlan>,
    ) -> anyhow::Result<()> {
        let mut escrows = self.lock(batch, PROBES[1]).await?;
        let mut size = self.estimate(&escrows, payer, &plan).await?;
        let mut best = None;
        let mut too_many = MOST + 1;
        while size >= 1 && size < too_many {
            if escrows.len() < size {
                let more = self.lock(batch, size - escrows.len()).await?;
                escrows.extend(more);
            }
            let candidate = plan(self, &escrows[..size])?;
            match self.fits(&candidate, payer).await? {
                Some(unsigned) => {
                    best = Some((size, candidate, unsigned));
                    size += 1;
                }
                None => {
                    too_many = size;
                    // Once something fits, what is one larger and does not ends the search.
                    if best.is_none() {
                        size -= 1;
                    }
                }
            }
        }
        let (size, plan, unsigned) = best.with_context(|| format!("{name}: not even one escrow fits"))?;
        self.measure_built(name, size, &plan, unsigned, payer).await?;
        Ok(())
    }

    /// How many escrows should fit, by the line through two small batches.
    async fn estimate(
        &self,
        escrows: &[Escrow],
        payer: Role,
        plan: impl Fn(&Self, &[Escrow]) -> anyhow::Result<TxPlan>,
    ) -> anyhow::Result<usize> {
        let mut sizes = [[0; 3]; 2];
        for (size, count) in sizes.iter_mut().zip(PROBES) {
            let unsigned = self.world.chain.balance(&plan(self, &escrows[..count])?, self.wallet(payer)).await?;
            let units = unsigned.units();
            let signed = unsigned.sign_with(&[self.wallet(payer)]).finish()?;
            *size = [signed.tx.ledger_size() as u64, units.mem, units.steps];
        }
        let limits = [self.params.max_tx_size, self.params.max_tx_ex_units.mem, self.params.max_tx_ex_units.steps];
        let added = (PROBES[1] - PROBES[0]) as u64;
        let room = limits.iter().zip(sizes[0]).zip(sizes[1]).map(|((limit, small), large)| {
            let left = limit.saturating_sub(large);
            left * added / large.saturating_sub(small).max(1)
        });
        let more = usize::try_from(room.min().unwrap_or(0)).unwrap_or(MOST);
        Ok((PROBES[1] + more).min(MOST))
    }

    /// The balanced transaction, or `None` when it exceeds a limit of the ledger.
    async fn fits(&self, plan: &TxPlan, payer: Role) -> anyhow::Result<Option<Unsigned>> {
        match self.world.chain.balance(plan, self.wallet(payer)).await {
            Ok(unsigned) => Ok(Some(unsigned)),
            Err(ChainError::Build(BuildError::TooBig { .. } | BuildError::TooMuchExecution { .. })) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// The sizes of the two batches that an estimate stands on.
const PROBES: [usize; 2] = [8, 24];
/// The most leaves that a verdict has.
const MOST: usize = nunet_contracts::verdict::MAX_LEAVES;
