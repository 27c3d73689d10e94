//! What a provider offers, which agreements it signs, and when it believes that the money is there.

use std::sync::Arc;

use nunet_compute::Model;
use nunet_contracts::{AgreementHash, Ntx};
use nunet_ledger::{Address, Lovelace, OutPoint, PosixMs};
use nunet_market::{Agreement, Demand, Quote, SignedAgreement, SignedQuote};
use nunet_oracle::{
    Kind,
    messages::{MAX_BLOB_BYTES, Noted},
};
use nunet_p2p::{Caller, Refusal, blob::fetch_blob, peer_id_of};
use nunet_proof::{ProofKind, RunResult};
use tokio::sync::OwnedSemaphorePermit;

use super::{ProviderEvent, Shared, Waiting, Work};
use crate::{
    blobs::HeldBlobs,
    messages::{Agreed, Locked, ProposeAgreement},
    party::lock,
};

/// How long a quote stands, in milliseconds of chain time.
const QUOTE_LIFE_MS: u64 = 60_000;
/// The longest time that an agreement may leave between now and the lock, in milliseconds.
const MAX_LOCK_TIME_MS: u64 = 15 * 60_000;
/// Lovelace that a closing transaction's network fee never exceeds.
const CLOSING_FEE: u64 = 400_000;

impl Shared {
    async fn now(&self) -> Result<PosixMs, Refusal> {
        let tip = self.party.chain.tip().await;
        tip.map(|tip| tip.time).map_err(|_| Refusal::failed("the provider cannot see the chain at the moment"))
    }

    pub(super) async fn quote(&self, demand: &Demand) -> Result<SignedQuote, Refusal> {
        let now = self.now().await?;
        if demand.magic != self.party.protocol().magic() {
            return Err(Refusal::rejected("the demand is for another network"));
        }
        if demand.spec.kind != ProofKind::Exact {
            return Err(Refusal::rejected("this provider offers only proofs of kind exact"));
        }
        if demand.expires <= now {
            return Err(Refusal::rejected("the demand expired"));
        }
        if demand.max_price < self.offer.price {
            return Err(Refusal::rejected(format!(
                "a job costs {}, the demand allows {}",
                self.offer.price, demand.max_price
            )));
        }
        if demand.program_bytes > MAX_BLOB_BYTES as u64 || demand.input_bytes > MAX_BLOB_BYTES as u64 {
            return Err(Refusal::rejected("program or inputs are too large for this provider"));
        }
        let quote = Quote {
            demand: demand.hash(),
            provider: self.party.party_key(),
            payout: self.party.wallet.enterprise_address(),
            price: self.offer.price,
            bond: self.offer.bond,
            run_ms: self.offer.run_ms,
            expires: PosixMs(now.0.saturating_add(QUOTE_LIFE_MS)),
        };
        Ok(quote.sign(&self.party.key))
    }

    /// Signs an agreement whose job this provider has fetched, loaded and found possible.
    pub(super) async fn agree(&self, caller: &Caller, message: ProposeAgreement) -> Result<Agreed, Refusal> {
        let agreement = message.agreement;
        agreement.check_requester(&message.signature).map_err(Refusal::rejected)?;
        let now = self.now().await?;
        self.acceptable(&agreement, now).map_err(Refusal::rejected)?;
        let hash = agreement.hash();
        let signature = agreement.sign(&self.party.key);
        // Agreements whose money never came make room for others.
        lock(&self.waiting).retain(|_, waiting| waiting.agreement.agreement.lock_by > now);
        if let Some(waiting) = lock(&self.waiting).get(&hash) {
            return Ok(Agreed { signature, bond: waiting.named_funds() });
        }
        if self.party.journal.find(Kind::Agreement, &hash.0).await.map_err(Refusal::rejected)?.is_some() {
            return Err(Refusal::rejected("this agreement was served already; propose a new one with another nonce"));
        }
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| Refusal::busy("this provider is full; ask again later"))?;
        let work = self.prepare(caller, &agreement, place).await.map_err(Refusal::rejected)?;
        let signed = SignedAgreement { agreement, requester: message.signature, provider: signature };
        let record = minicbor::to_vec(&signed).map_err(|_| Refusal::failed("the agreement has no encoding"))?;
        let bond = self.set_bond_aside(&signed.agreement).await?;
        if let Err(error) = self.party.journal.record(Kind::Agreement, &hash.0, &record).await {
            self.free_bond(bond.as_ref());
            return Err(Refusal::rejected(error));
        }
        let waiting = Waiting { agreement: signed, work, bond };
        let bond = waiting.named_funds();
        lock(&self.waiting).insert(hash, waiting);
        self.report(ProviderEvent::Agreed(hash));
        Ok(Agreed { signature, bond })
    }

    fn acceptable(&self, agreement: &Agreement, now: PosixMs) -> Result<(), String> {
        self.party.check_venue(agreement)?;
        if agreement.provider != self.party.party_key() {
            return Err("the agreement names another provider".into());
        }
        if agreement.provider_address != self.party.wallet.enterprise_address() {
            return Err("the agreement pays out to another address than the quote's".into());
        }
        if agreement.spec.kind != ProofKind::Exact {
            return Err("this provider offers only proofs of kind exact".into());
        }
        if agreement.price < self.offer.price || agreement.bond != self.offer.bond {
            return Err(format!("this provider asks {} and locks a bond of {}", self.offer.price, self.offer.bond));
        }
        let carry = self.party.carry(&agreement.provider_address, agreement.price, agreement.bond);
        let carry = carry.map_err(|error| error.to_string())?;
        if agreement.carry != carry {
            return Err(format!("the carry must be {carry}, what the provider's payout needs"));
        }
        let run = agreement.reveal_by.0.saturating_sub(agreement.lock_by.0);
        if run < self.offer.run_ms || agreement.lock_by <= now {
            return Err("the agreement leaves less time than the quote asks for".into());
        }
        if agreement.lock_by.0 > now.0.saturating_add(MAX_LOCK_TIME_MS) {
            return Err(format!("the lock must come within {} minutes", MAX_LOCK_TIME_MS / 60_000));
        }
        self.settling_is_covered(agreement)
    }

    /// The lovelace in the escrow must cover what the settlement costs whoever builds it, which is this provider.
    fn settling_is_covered(&self, agreement: &Agreement) -> Result<(), String> {
        let least =
            |address: &Address, ntx: Ntx| self.party.least_lovelace(address, ntx).map_err(|error| error.to_string());
        let most = Ntx(agreement.price.0.saturating_add(agreement.bond.0));
        let deposit = least(&agreement.requester_address, most)?;
        if agreement.deposit < deposit {
            return Err(format!("the deposit must be at least {deposit}, what the requester's output needs"));
        }
        let tip = least(self.party.committee.datum.treasury(), agreement.fee)?.0 + CLOSING_FEE;
        if agreement.tip.0 < tip {
            return Err(format!("the tip must be at least {}, what a settlement costs its builder", Lovelace(tip)));
        }
        Ok(())
    }

    async fn prepare(
        &self,
        caller: &Caller,
        agreement: &Agreement,
        place: OwnedSemaphorePermit,
    ) -> Result<Work, String> {
        let peer = peer_id_of(&agreement.requester.0).map_err(|error| error.to_string())?;
        let program = fetch_blob(&caller.node, peer, agreement.spec.program, MAX_BLOB_BYTES).await;
        let program = program.map_err(|error| error.to_string())?;
        let inputs = fetch_blob(&caller.node, peer, agreement.spec.inputs, MAX_BLOB_BYTES).await;
        let inputs = inputs.map_err(|error| error.to_string())?;
        let store = self.blobs.clone();
        let load = move || -> Result<Work, String> {
            let model = Model::load(&program).map_err(|error| error.to_string())?;
            let tensors = RunResult::from_bytes(&inputs).map_err(|error| format!("the inputs: {error}"))?;
            let tensors = tensors.outputs().to_vec();
            model.prepare(&tensors).map_err(|error| error.to_string())?;
            let mut held = HeldBlobs::new(&store);
            for blob in [program, inputs] {
                held.insert(blob).map_err(|error| error.to_string())?;
            }
            Ok(Work { model, inputs: tensors, _held: held, _place: place })
        };
        tokio::task::spawn_blocking(load).await.map_err(|_| "loading the program was aborted".to_owned())?
    }

    pub(super) fn take_locked(self: &Arc<Self>, caller: &Caller, message: &Locked) -> Result<Noted, Refusal> {
        let hash = AgreementHash(message.agreement);
        let escrow = OutPoint::from_bytes(message.escrow);
        let waiting = {
            let mut all = lock(&self.waiting);
            match all.get(&hash) {
                // Told again after the work began.
                None => return self.jobs.get(&message.escrow).map(|_| Noted),
                Some(waiting) if caller.public_key().ok() != Some(waiting.agreement.agreement.requester.0) => {
                    return Err(Refusal::rejected("only the requester of a job says where its money is"));
                }
                Some(_) => all.remove(&hash),
            }
        };
        let Some(waiting) = waiting else { return Err(Refusal::not_found("no such agreement")) };
        self.begin(caller, waiting, escrow);
        Ok(Noted)
    }

    /// Serves a job in the background: waits for its money, works, and follows the escrow to its end.
    pub(super) fn begin(self: &Arc<Self>, caller: &Caller, waiting: Waiting, escrow: OutPoint) {
        let (shared, node, agreement) = (Arc::clone(self), caller.node.clone(), waiting.agreement.agreement.hash());
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                result = shared.serve(&node, waiting, escrow) => {
                    if let Err(error) = result {
                        tracing::warn!(%escrow, %error, "a job ended without payment");
                        shared.report(ProviderEvent::Failed { agreement, reason: error.to_string() });
                    }
                }
            }
            shared.jobs.close(&escrow);
        });
    }
}
