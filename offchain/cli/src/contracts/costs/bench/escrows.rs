//! The escrows of the bench: who stands on each side, what the terms say, and how they are locked and settled.

use ed25519_dalek::{Signer, SigningKey};
use nunet_chain::Signed;
use nunet_contracts::{
    AgreementHash, Escrow, EscrowTerms, JobDatum, Leaf, Ntx, TxPlan, Verdict, Voucher,
    transactions::{self, escrow_output},
    voucher_message,
};
use nunet_ledger::{Address, Credential, KeyHash, Lovelace, hash::blake2b_224};

use super::{Bench, DEADLINE, OPEN_UNTIL};
use crate::{accounts::Role, world::World};

/// What the escrows of a batch have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::contracts::costs) struct Batch {
    pub(in crate::contracts::costs) requesters: Parties,
    pub(in crate::contracts::costs) providers: Parties,
    pub(in crate::contracts::costs) payment: Payment,
    pub(in crate::contracts::costs) outcome: Outcome,
}

/// Who stands on one side of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::contracts::costs) enum Parties {
    /// The wallet in this role, at its enterprise address.
    One(Role),
    /// Somebody else each time, at a base address.
    Base,
    /// Somebody else each time, at an enterprise address.
    Enterprise,
}

/// How the terms say that the provider is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::contracts::costs) enum Payment {
    /// By a verdict or the requester.
    ByVerdict,
    /// The same, with a bond of the provider's.
    Bonded,
    /// By vouchers too.
    ByVoucher,
}

/// What members find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::contracts::costs) enum Outcome {
    /// Part of the price is paid; the rest of the NTX goes back.
    Rest,
    /// All of it is paid; the deposit alone goes back.
    InFull,
    /// Nothing is paid, and the bond goes to the requester.
    Slashed,
}

/// Escrows locked in one transaction: an output's index below 24 takes one byte, as that of a lone lock does.
const LOCKS: usize = 24;

const PRICE: Ntx = Ntx(5_000_000);
const BOND: Ntx = Ntx(2_000_000);
/// What the provider's payout carries when there is a bond.
const CARRY: Lovelace = Lovelace(1_500_000);
/// What vouchers are signed for.
const REDEEMED: Ntx = Ntx(3_000_000);

impl Bench<'_> {
    /// Terms as agents fix them.
    pub(in crate::contracts::costs) fn terms(&mut self, batch: Batch) -> EscrowTerms {
        self.locked += 1;
        let number = self.locked;
        let mut agreement = [0; 32];
        agreement[24..].copy_from_slice(&number.to_be_bytes());
        let (bond, carry) = if batch.payment == Payment::Bonded { (BOND, CARRY) } else { (Ntx(0), Lovelace(0)) };
        let by_voucher = batch.payment == Payment::ByVoucher;
        EscrowTerms {
            datum: JobDatum {
                requester: self.party(batch.requesters, "requester", number),
                provider: self.party(batch.providers, "provider", number),
                price: PRICE,
                fee: Ntx(500_000),
                bond,
                deposit: Lovelace(1_500_000),
                carry,
                deadline: DEADLINE,
                committee: self.world.committee.id,
                agreement: AgreementHash(agreement),
                voucher_key: by_voucher.then(|| voucher_key().verifying_key().to_bytes()),
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
    pub(in crate::contracts::costs) async fn lock(
        &mut self,
        batch: Batch,
        count: usize,
    ) -> anyhow::Result<Vec<Escrow>> {
        let terms: Vec<EscrowTerms> = (0..count).map(|_| self.terms(batch)).collect();
        let mut escrows = Vec::with_capacity(count);
        for terms in terms.chunks(LOCKS) {
            let outputs = terms
                .iter()
                .map(|terms| escrow_output(&self.world.deployment.protocol, terms))
                .collect::<Result<_, _>>()?;
            let plan = TxPlan { outputs, valid_until: Some(OPEN_UNTIL), ..TxPlan::default() };
            let operator = self.wallet(Role::Operator);
            let (id, signed) = nunet_chain::submit_plan(&self.world.chain, &plan, operator).await?;
            self.confirm(id).await?;
            escrows.extend(self.escrows_of(&signed, terms.len())?);
        }
        Ok(escrows)
    }

    /// The plan that locks one escrow.
    pub(in crate::contracts::costs) fn lone_lock(&self, terms: &EscrowTerms) -> anyhow::Result<TxPlan> {
        Ok(transactions::lock(&self.world.deployment.protocol, terms, OPEN_UNTIL)?)
    }

    /// The escrows that a lock made.
    pub(in crate::contracts::costs) fn escrows_of(&self, lock: &Signed, count: usize) -> anyhow::Result<Vec<Escrow>> {
        let protocol = &self.world.deployment.protocol;
        let outputs = lock.produced().into_iter().take(count);
        outputs.map(|utxo| Ok(Escrow::read(protocol, utxo.outpoint, utxo.output)?)).collect()
    }

    /// The plan that settles escrows by a verdict of as many members as are needed.
    pub(in crate::contracts::costs) fn settlement(&self, batch: Batch, escrows: &[Escrow]) -> anyhow::Result<TxPlan> {
        let World { deployment, committee, .. } = &self.world;
        let leaf = |escrow: &Escrow| {
            let (paid, slashed) = match batch.outcome {
                Outcome::Rest => (Ntx(PRICE.0 / 5 * 3), Ntx(0)),
                Outcome::InFull => (PRICE, Ntx(0)),
                Outcome::Slashed => (Ntx(0), escrow.datum.bond),
            };
            Leaf { escrow: escrow.outpoint, paid, slashed }
        };
        let protocol = &deployment.protocol;
        let leaves = escrows.iter().map(leaf).collect();
        let verdict = Verdict::new(protocol.magic(), protocol.logic_hash(), [7; 32], leaves)?;
        let signatures = self.sign(&verdict.message());
        Ok(transactions::settle(deployment, &self.params, committee, &verdict, &signatures, escrows)?)
    }

    /// Each escrow with the voucher that its requester signed.
    pub(in crate::contracts::costs) fn with_vouchers(&self, escrows: &[Escrow]) -> Vec<(Escrow, Voucher)> {
        let protocol = &self.world.deployment.protocol;
        let voucher = |escrow: &Escrow| {
            let message = voucher_message(protocol.magic(), protocol.logic_hash(), escrow.outpoint, REDEEMED);
            Voucher { amount: REDEEMED, signature: Some(voucher_key().sign(&message).to_bytes()) }
        };
        escrows.iter().map(|escrow| (escrow.clone(), voucher(escrow))).collect()
    }
}

/// Signs every requester's vouchers.
fn voucher_key() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}
