//! The provider's bond: which outputs pay for it, and signing the lock that the requester built.

use std::{collections::BTreeMap, sync::Arc};

use nunet_chain::{BuildError, ChainError, OutputState};
use nunet_contracts::{
    AgreementHash, BondFunds,
    transactions::{check_bonded_lock, lock_with_bond, others_inputs},
};
use nunet_ledger::{OutPoint, PosixMs, TxOut, received::ReceivedTx};
use nunet_market::Agreement;
use nunet_oracle::Kind;
use nunet_p2p::{Caller, Refusal};

use super::{ProviderEvent, Shared, Waiting};
use crate::{
    messages::{LockWitness, NamedFunds, RequestLock},
    party::lock,
};

/// The longest time for which a signed lock can hang over the provider, in milliseconds of chain time.
const MAX_LOCK_LIFE_MS: u64 = 10 * 60_000;

impl Waiting {
    pub(super) fn named_funds(&self) -> Option<NamedFunds> {
        let BondFunds { inputs, change } = self.bond.as_ref()?;
        Some(NamedFunds::new(inputs.iter().map(|(outpoint, _)| *outpoint), change))
    }
}

impl Shared {
    /// Sets outputs aside for the bond of an agreement, until it can no longer be locked.
    pub(super) async fn set_bond_aside(&self, agreement: &Agreement) -> Result<Option<BondFunds>, Refusal> {
        if agreement.bond.0 == 0 {
            return Ok(None);
        }
        let chain = &self.party.chain;
        let until = chain.slots().at(agreement.lock_by);
        let (protocol, wallet) = (self.party.protocol(), &self.party.wallet);
        let funds = chain.set_bond_aside(protocol, agreement.bond, agreement.carry, wallet, until).await;
        let funds = funds.map_err(|error| match error {
            ChainError::Build(BuildError::NotEnoughFunds { .. }) => {
                Refusal::busy("what this provider has for bonds is in use; ask again later")
            }
            error => Refusal::failed(error.to_string()),
        })?;
        // What would be refused later is better refused now.
        match lock_with_bond(protocol, &chain.params(), &agreement.escrow_terms(), &funds, until) {
            Ok(_) => Ok(Some(funds)),
            Err(error) => {
                self.free_bond(Some(&funds));
                Err(Refusal::failed(error.to_string()))
            }
        }
    }

    /// Frees what was set aside for a bond.
    pub(super) fn free_bond(&self, funds: Option<&BondFunds>) {
        let inputs = funds.into_iter().flat_map(|funds| &funds.inputs);
        self.party.chain.free(inputs.map(|(outpoint, _)| outpoint));
    }

    /// Signs the lock of an agreement with a bond, and starts to wait for the money: the requester may say no more.
    pub(super) async fn sign_lock(
        self: &Arc<Self>,
        caller: &Caller,
        message: RequestLock,
    ) -> Result<LockWitness, Refusal> {
        let hash = AgreementHash(message.agreement);
        let request = ReceivedTx::decode(&message.transaction).map_err(Refusal::rejected)?;
        let promised = {
            let all = lock(&self.waiting);
            all.get(&hash).map(|waiting| (waiting.agreement.agreement.clone(), waiting.bond.clone()))
        };
        match promised {
            Some((agreement, _)) if caller.public_key().ok() != Some(agreement.requester.0) => {
                return Err(Refusal::rejected("only the requester of a job locks its money"));
            }
            Some((_, None)) => return Err(Refusal::rejected("this agreement has no bond: lock the money alone")),
            Some((agreement, Some(funds))) => {
                self.check_lock(&agreement, &funds, &request).await?;
                // One lock for one agreement: a second one, another way, is refused.
                self.party.journal.record(Kind::BondedLock, &hash.0, &request.id.0).await.map_err(Refusal::rejected)?;
            }
            // Asked again, after the answer was lost.
            None => {
                let signed = self
                    .party
                    .journal
                    .find(Kind::BondedLock, &hash.0)
                    .await
                    .map_err(|error| Refusal::failed(error.to_string()))?;
                if signed.as_deref() != Some(&request.id.0) {
                    return Err(Refusal::not_found("no agreement waits for this lock"));
                }
            }
        }
        let escrow = OutPoint { tx: request.id, index: 0 };
        let waiting = lock(&self.waiting).remove(&hash);
        if let Some(waiting) = waiting {
            self.report(ProviderEvent::LockSigned(escrow));
            self.begin(caller, waiting, escrow);
        }
        let witness = self.party.wallet.sign(&request.id);
        Ok(LockWitness { key: witness.key, signature: witness.signature })
    }

    async fn check_lock(
        &self,
        agreement: &Agreement,
        funds: &BondFunds,
        request: &ReceivedTx<'_>,
    ) -> Result<(), Refusal> {
        let chain = &self.party.chain;
        let tip = chain.tip().await.map_err(|_| Refusal::failed("the provider cannot see the chain at the moment"))?;
        let latest = agreement.lock_by.min(PosixMs(tip.time.0.saturating_add(MAX_LOCK_LIFE_MS)));
        let (params, until) = (chain.params(), chain.slots().at(latest));
        let expected = lock_with_bond(self.party.protocol(), &params, &agreement.escrow_terms(), funds, until);
        let expected = expected.map_err(|error| Refusal::failed(error.to_string()))?;
        let mut others: BTreeMap<OutPoint, TxOut> = BTreeMap::new();
        for outpoint in others_inputs(request, &expected).map_err(Refusal::rejected)? {
            if let OutputState::Unspent { output, .. } =
                chain.output(&outpoint).await.map_err(|error| Refusal::failed(error.to_string()))?
            {
                others.insert(outpoint, output);
            }
        }
        check_bonded_lock(request, &expected, &others, &self.party.wallet_keys(), tip.slot).map_err(Refusal::rejected)
    }
}
