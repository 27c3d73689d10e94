//! What the scenarios of leases share: terms, an opened lease, what happens to it, and faults with signatures.

use anyhow::Context;
use nunet::{accounts::Role, world::World};
use nunet_chain::Wallet;
use nunet_contracts::{
    AgreementHash, Fault, Lease, LeaseDatum, LeaseEvent, LeaseTerms, LeaseWays, MemberKey, Ntx, PlanError, Rate,
    Signatures, TxPlan, lease::event::read_lease_event, transactions::open_lease,
};
use nunet_ledger::{Lovelace, OutPoint, PosixMs, ProtocolParameters, SlotConfig};

use crate::place_signed;

/// A period of these leases.
pub const HOUR_MS: u64 = 60 * 60 * 1000;

/// A day at 0.1 NTX an hour with all its rent, a bond of 0.5 NTX and a fee of 0.02, from now on: one hour's notice, and
/// two hours in which faults are charged after the end.
pub async fn lease_terms(world: &World) -> anyhow::Result<LeaseTerms> {
    let now = now(world).await?;
    Ok(LeaseTerms {
        datum: LeaseDatum {
            lessee: world.accounts.wallet(Role::Requester).enterprise_address(),
            lessor: world.accounts.wallet(Role::Provider).enterprise_address(),
            rate: Rate::new(Ntx(100_000), HOUR_MS)?,
            paid_until: now,
            end: PosixMs(now.0 + 24 * HOUR_MS),
            notice_ms: HOUR_MS,
            window_ms: 2 * HOUR_MS,
            faults_until: now,
            bond: Ntx(500_000),
            withheld: Ntx(0),
            deposit: Lovelace(1_500_000),
            carry: Lovelace(1_500_000),
            fee: Ntx(20_000),
            committee: world.committee.id,
            agreement: AgreementHash([5; 32]),
        },
        rent: Ntx(2_400_000),
        tip: Lovelace(1_000_000),
    })
}

/// The time of the latest block.
pub async fn now(world: &World) -> anyhow::Result<PosixMs> {
    Ok(world.chain.tip().await?.time)
}

/// A lease on the devnet, followed by what the chain says happened to it.
pub struct Leased<'a> {
    world: &'a World,
    params: ProtocolParameters,
    slots: SlotConfig,
    /// The lease as it stands.
    pub lease: Lease,
}

impl<'a> Leased<'a> {
    /// Opens a lease, which the requester pays.
    pub async fn open(world: &'a World, terms: &LeaseTerms) -> anyhow::Result<Self> {
        let until = world.chain.slots().at(PosixMs(now(world).await?.0 + 600_000));
        let protocol = &world.deployment.protocol;
        let tx = world.place(&open_lease(protocol, terms, until)?, world.accounts.wallet(Role::Requester)).await?;
        let outpoint = OutPoint { tx, index: 0 };
        let lease = Lease::read(protocol, outpoint, world.chain.unspent(&outpoint).await?)?;
        Ok(Self { world, params: (*world.chain.params()).clone(), slots: world.chain.slots(), lease })
    }

    /// Its ways.
    pub fn ways(&self) -> LeaseWays<'_> {
        let Self { world, params, slots, lease } = self;
        LeaseWays { deployment: &world.deployment, params, slots, lease }
    }

    /// Places a plan that these wallets sign and the first pays for; reads from the chain what it did, and follows the
    /// lease.
    pub async fn place(&mut self, plan: Result<TxPlan, PlanError>, wallets: &[&Wallet]) -> anyhow::Result<LeaseEvent> {
        let tx = place_signed(self.world, &plan?, wallets).await?;
        let cbor = self.world.chain.transaction_cbor(&tx).await?.context("the transaction is in a block")?;
        let event = read_lease_event(&self.world.deployment.protocol, &self.slots, &cbor, &self.lease)?;
        match &event {
            LeaseEvent::Claimed { next, .. }
            | LeaseEvent::ToppedUp { next, .. }
            | LeaseEvent::Shortened { next }
            | LeaseEvent::Faulted { next, .. } => {
                // The chain shows the same as the transaction.
                let shown = self.world.chain.unspent(&next.outpoint).await?;
                self.lease = Lease::read(&self.world.deployment.protocol, next.outpoint, shown)?;
                anyhow::ensure!(self.lease == *next, "the transaction and the chain tell different leases");
            }
            LeaseEvent::Closed(_) | LeaseEvent::Agreed => {}
        }
        Ok(event)
    }
}

/// Signatures of the first `count` members under a fault.
pub fn fault_signatures(world: &World, fault: &Fault, count: usize) -> Signatures {
    use ed25519_dalek::Signer;
    let protocol = &world.deployment.protocol;
    let message = fault.message(protocol.magic(), protocol.lease_hash());
    let keys = world.member_keys.iter().take(count);
    keys.map(|key| (MemberKey(key.verifying_key().to_bytes()), key.sign(&message).to_bytes())).collect()
}
