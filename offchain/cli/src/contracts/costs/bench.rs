//! The bench: a devnet on which every run makes the same transactions, byte for byte.
//!
//! Keys, addresses, deadlines and the bounds of validity are fixed, so hashes and with them the order of inputs repeat.
//! The devnet's slots are moved up to where their numbers have the width of mainnet's.

mod escrows;
mod largest;

use std::{sync::Arc, time::Duration};

use anyhow::{Context, bail, ensure};
use ed25519_dalek::{Signer, SigningKey};
use nunet_chain::{Signed, Unsigned, Wallet};
use nunet_contracts::{BondFunds, MemberKey, Ntx, Signatures, TxPlan, transactions::publish_scripts};
use nunet_devnet::Applied;
use nunet_ledger::{Lovelace, PosixMs, ProtocolParameters, Slot, TxId};

pub(super) use self::escrows::{Batch, Outcome, Parties, Payment};
use super::row::Row;
use crate::{
    accounts::Role,
    world::{THRESHOLD, World},
};

/// When every escrow's deadline is, and every lease begins: 2033-05-18T03:33:20Z.
pub(super) const DEADLINE: PosixMs = PosixMs(2_000_000_000_000);
/// How far the clock is moved at the start. Slot numbers above 65,535 take 5 bytes, up to mainnet's and beyond.
const SLOTS_BEFORE: Duration = Duration::from_secs(100_000);
/// Until when transactions that open something are valid: long after the deadlines.
pub(super) const OPEN_UNTIL: Slot = Slot(1_000_000_000);
/// Blocks made in a row before a transaction counts as lost.
const BLOCKS: usize = 64;

/// A row to be measured: its name, how many escrows it locks or closes, and how many of its outputs are the protocol's.
#[derive(Clone, Copy, Debug)]
struct Subject<'a> {
    name: &'a str,
    escrows: usize,
    outputs: usize,
}

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
        bench.note(Subject { name: "deploy", escrows: 0, outputs: published }, &deployed);
        bench.note(Subject { name: "found", escrows: 0, outputs: 1 }, &founded);
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

    /// The time of the latest block.
    pub(super) fn now(&self) -> PosixMs {
        self.world.devnet.latest().time
    }

    /// Lets time pass until just after `time`.
    pub(super) async fn pass(&self, time: PosixMs) -> anyhow::Result<()> {
        let missing = time.0.saturating_sub(self.now().0);
        self.world.devnet.advance(Duration::from_millis(missing) + Duration::from_secs(1)).await?;
        Ok(())
    }

    fn note(&mut self, subject: Subject<'_>, applied: &Applied) {
        let Subject { name, escrows, outputs } = subject;
        let row = Row::read(name.into(), escrows as u64, applied, outputs, &self.params);
        (self.on_row)(&row);
        self.rows.push(row);
    }

    /// Submits a plan that these sign, the first of whom pays, has it confirmed, and notes it as a row.
    pub(super) async fn measure(
        &mut self,
        name: &str,
        escrows: usize,
        plan: &TxPlan,
        signers: &[Role],
    ) -> anyhow::Result<Signed> {
        self.measure_part(Subject { name, escrows, outputs: plan.outputs.len() }, plan, signers).await
    }

    /// The same where the second signer puts in a bond: its change, the second output, ties nothing up.
    pub(super) async fn measure_bonded(
        &mut self,
        name: &str,
        escrows: usize,
        plan: &TxPlan,
        signers: [Role; 2],
    ) -> anyhow::Result<Signed> {
        self.measure_part(Subject { name, escrows, outputs: 1 }, plan, &signers).await
    }

    /// What a role pays a bond and its carry with.
    pub(super) async fn bond_funds(&self, role: Role, bond: Ntx, carry: Lovelace) -> anyhow::Result<BondFunds> {
        let (protocol, wallet) = (&self.world.deployment.protocol, self.wallet(role));
        Ok(self.world.chain.set_bond_aside(protocol, bond, carry, wallet, OPEN_UNTIL).await?)
    }

    async fn measure_part(&mut self, subject: Subject<'_>, plan: &TxPlan, signers: &[Role]) -> anyhow::Result<Signed> {
        let payer = *signers.first().context("nobody pays")?;
        let unsigned = self.world.chain.balance(plan, self.wallet(payer)).await;
        let unsigned = unsigned.with_context(|| subject.name.to_owned())?;
        self.measure_built(subject, unsigned, signers).await
    }

    async fn measure_built(
        &mut self,
        subject: Subject<'_>,
        unsigned: Unsigned,
        signers: &[Role],
    ) -> anyhow::Result<Signed> {
        let wallets: Vec<&Wallet> = signers.iter().map(|role| self.wallet(*role)).collect();
        let signed = unsigned.sign_with(&wallets).finish()?;
        self.world.chain.send(&signed).await.with_context(|| subject.name.to_owned())?;
        let applied = self.confirm(signed.id).await?;
        self.note(subject, &applied);
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

    /// Signatures of the first members, as many as are needed.
    pub(super) fn sign(&self, message: &[u8; 32]) -> Signatures {
        let keys = self.world.member_keys.iter().take(usize::from(THRESHOLD));
        keys.map(|key| (MemberKey(key.verifying_key().to_bytes()), key.sign(message).to_bytes())).collect()
    }
}
