//! Locking the money of an agreement, alone or together with the provider's bond.

use nunet_chain::{ChainError, Signed, Unsigned};
use nunet_contracts::{
    BondFunds,
    transactions::{MAX_BOND_INPUTS, escrow_output, lock as lock_alone, lock_with_bond},
};
use nunet_ledger::{Lovelace, OutPoint, VKeyWitness};
use nunet_market::{Agreement, PartyKey};
use nunet_oracle::{Kind, wait_for_escrow};
use nunet_p2p::peer_id_of;
use tokio::sync::mpsc;

use super::{Requester, RequesterEvent};
use crate::{
    messages::{NamedFunds, RequestLock},
    party::AgentError,
};

impl Requester {
    /// Looks up what a provider named for its bond.
    pub(super) async fn bond_funds(&self, provider: PartyKey, named: &NamedFunds) -> Result<BondFunds, AgentError> {
        let wrong = |problem: String| AgentError::peer(provider, format!("the funds of its bond: {problem}"));
        if named.inputs().len() > MAX_BOND_INPUTS {
            return Err(wrong(format!("{} outputs, at most {MAX_BOND_INPUTS} are taken", named.inputs().len())));
        }
        let mut inputs = Vec::new();
        for outpoint in named.inputs() {
            match self.party.chain.unspent(&outpoint).await {
                Ok(output) => inputs.push((outpoint, output)),
                Err(error @ (ChainError::MissingOutput(_) | ChainError::SpentOutput { .. })) => {
                    return Err(wrong(error.to_string()));
                }
                Err(error) => return Err(error.into()),
            }
        }
        let change = named.change().map_err(wrong)?;
        BondFunds::of_provider(inputs, change, &self.party.wallet_keys()).map_err(|error| wrong(error.to_string()))
    }

    /// Locks the money: the signed transaction is journalled, then sent, then waited for.
    pub(super) async fn lock(
        &self,
        agreement: &Agreement,
        bond: Option<&BondFunds>,
        events: &mpsc::UnboundedSender<RequesterEvent>,
    ) -> Result<(OutPoint, Lovelace), AgentError> {
        let party = &self.party;
        let until = party.chain.slots().at(agreement.lock_by);
        let terms = agreement.escrow_terms();
        let (protocol, params) = (party.protocol(), party.chain.params());
        let plan = match bond {
            None => lock_alone(protocol, &terms, until)?,
            Some(funds) => lock_with_bond(protocol, &params, &terms, funds, until)?,
        };
        // What pays is held until the end of validity, or until it is certain that it does not pay: meanwhile the provider
        // is asked for its signature, and that may take long.
        let unsigned = {
            let _paying = party.chain.pay().await;
            let unsigned = party.chain.balance(&plan, &party.wallet).await?;
            party.chain.hold(unsigned.transaction().body.inputs.iter().copied(), until);
            unsigned
        };
        let inputs = unsigned.transaction().body.inputs.clone();
        let sent = self.sign_and_send(agreement, bond, unsigned, events).await;
        let signed = sent.inspect_err(|_| party.chain.free(&inputs))?;
        drop(events.send(RequesterEvent::LockSent(signed.id)));
        let escrow = OutPoint { tx: signed.id, index: 0 };
        let expected = escrow_output(protocol, &terms)?;
        wait_for_escrow(&party.chain, escrow, &expected, agreement.lock_by).await?;
        Ok((escrow, signed.tx.body.fee))
    }

    async fn sign_and_send(
        &self,
        agreement: &Agreement,
        bond: Option<&BondFunds>,
        mut unsigned: Unsigned,
        events: &mpsc::UnboundedSender<RequesterEvent>,
    ) -> Result<Signed, AgentError> {
        let party = &self.party;
        if bond.is_some() {
            let witness = self.providers_witness(agreement, &unsigned).await?;
            let added = unsigned.add_witness(witness);
            added.map_err(|error| AgentError::peer(agreement.provider, error))?;
            drop(events.send(RequesterEvent::BondSigned(agreement.bond)));
        }
        let signed = unsigned.sign_with(&[&party.wallet]).finish().map_err(ChainError::from)?;
        party.journal.record(Kind::Lock, &agreement.hash().0, &signed.cbor).await?;
        let id = signed.id;
        if let Err(error) = party.chain.send(&signed).await {
            if !error.is_transient() {
                return Err(error.into());
            }
            // It may have been taken all the same, so what follows waits until it is there or can no longer come.
            tracing::warn!(%id, %error, "it is not clear whether the lock was taken");
        }
        Ok(signed)
    }

    /// Asks the provider to sign the lock that spends its bond.
    async fn providers_witness(&self, agreement: &Agreement, unsigned: &Unsigned) -> Result<VKeyWitness, AgentError> {
        let provider = agreement.provider;
        let peer = peer_id_of(&provider.0).map_err(|error| AgentError::peer(provider, error))?;
        let transaction = unsigned.transaction().to_cbor().into();
        let request = RequestLock { agreement: agreement.hash().0, transaction };
        let witness = self.node.request(peer, &request).await;
        let witness =
            witness.map_err(|error| AgentError::peer(provider, format!("it did not sign the lock: {error}")))?;
        Ok(VKeyWitness { key: witness.key, signature: witness.signature })
    }
}
