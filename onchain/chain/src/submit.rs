//! From a plan to the chain in one call.

use std::collections::BTreeSet;

use nunet_contracts::{BondFunds, Ntx, Protocol, TxPlan};
use nunet_ledger::{Lovelace, OutPoint, Slot, TxId, TxOut, Value};
use tracing::Instrument;

use crate::{
    api,
    build::{BuildError, ChangeStyle, ChangeTo, balance_with, cover},
    chain::{AccountState, Certainty, Chain, Delivery, OutputState, Tip, Utxo},
    error::ChainError,
    metrics::Submission,
    pending::{Before, Question, Reply},
    signed::{Signed, Unsigned, check},
    wallet::Wallet,
};

impl Chain {
    /// Checks a signed transaction by the ledger's rules at the present slot, sends it, and counts its inputs as spent
    /// and its outputs as spendable from now on.
    ///
    /// After [`ChainError::Unclear`] the inputs stay spent: the transaction is sent again, whenever funds are chosen, until
    /// it is in a block or can no longer come into one. Wait for it; to build another one instead may pay twice. After any
    /// other error they are free.
    pub async fn send(&self, signed: &Signed) -> Result<TxId, ChainError> {
        let span = tracing::info_span!("submission", id = %signed.id);
        let result = self.check_and_deliver(signed).instrument(span).await;
        self.inner.transport.metrics.submission(match &result {
            Ok(_) => Submission::Taken,
            Err(ChainError::Rejected { .. }) => Submission::Refused,
            Err(ChainError::Unclear { .. }) => Submission::Unclear,
            Err(ChainError::Check(_)) => Submission::Withheld,
            Err(_) => Submission::Failed,
        });
        result
    }

    async fn check_and_deliver(&self, signed: &Signed) -> Result<TxId, ChainError> {
        let tip = self.tip().await?;
        check(signed, &self.params(), &self.slots(), next_slot(&tip))?;
        let id = signed.id;
        // Before it is sent: this call may be dropped while it waits for the answer.
        let before = self.pending().add(signed, tip.slot);
        let refused = match self.deliver(id, &signed.cbor).await {
            Ok(Delivery::Taken) => {
                self.pending().taken(&id, tip.slot);
                return Ok(id);
            }
            Ok(Delivery::Refused { message, certainty: Certainty::Unclear }) => {
                return Err(ChainError::Unclear { id, reason: message });
            }
            Ok(Delivery::Refused { message, certainty }) => {
                if certainty == Certainty::UnlessSentBefore && before == Before::Known {
                    return Err(ChainError::Unclear { id, reason: message });
                }
                ChainError::Rejected { id, message }
            }
            Err(error @ ChainError::Unclear { .. }) => return Err(error),
            Err(error) if error.leaves_open() || before == Before::Known => {
                return Err(ChainError::Unclear { id, reason: error.to_string() });
            }
            Err(error) => error,
        };
        self.pending().abandon(vec![id]);
        Err(refused)
    }

    /// Finds out what became of our transactions, and sends those again that nobody seems to have.
    ///
    /// Whoever chooses funds by [`Chain::spendable_at`] need not call this.
    pub async fn settle(&self) -> Result<(), ChainError> {
        let _settling = self.inner.settling.lock().await;
        let tip = self.tip().await?;
        self.pending().begin(tip);
        loop {
            let Some(question) = self.pending().next() else { return Ok(()) };
            let reply = self.reply(&question).await?;
            self.pending().reply(&question, reply);
        }
    }

    async fn reply(&self, question: &Question) -> Result<Reply, ChainError> {
        Ok(match question {
            Question::IsOnChain(hash) => Reply::OnChain(self.is_on_chain(*hash).await?),
            Question::HeightOf(id) => {
                let tx = self.inner.transport.get::<api::Tx>(&format!("txs/{id}")).await?;
                Reply::Height(tx.map(|tx| tx.block_height))
            }
            Question::Send(id, cbor) => match self.deliver(*id, cbor).await {
                Ok(Delivery::Taken) => Reply::Taken,
                Ok(Delivery::Refused { message, certainty: Certainty::Certain }) => {
                    tracing::warn!(%id, message, "a transaction under way is refused; if it stays so, its inputs are free");
                    Reply::Refused
                }
                // It was sent before, so it may be what the endpoint refuses to have twice.
                Ok(Delivery::Refused { .. }) => Reply::Nothing,
                Err(error) => {
                    tracing::warn!(%id, %error, "a transaction under way cannot be sent again");
                    Reply::Nothing
                }
            },
        })
    }

    /// Balances a plan with the funds of a wallet, at both its addresses; change goes to its base address.
    ///
    /// Nothing is reserved: two calls without a submission between them choose the same funds. [`submit_plan`] does
    /// both in one step.
    pub async fn balance(&self, plan: &TxPlan, wallet: &Wallet) -> Result<Unsigned, ChainError> {
        self.balance_with(plan, wallet, ChangeStyle::Single).await
    }

    /// The same, with change in the form that is asked for.
    pub async fn balance_with(
        &self,
        plan: &TxPlan,
        wallet: &Wallet,
        style: ChangeStyle,
    ) -> Result<Unsigned, ChainError> {
        let funds = self.spendable_at(&[wallet.address(), wallet.enterprise_address()]).await?;
        let change = ChangeTo { address: wallet.address(), style };
        let (plan, params) = (self.with_balances(plan).await?, self.params());
        let (slots, magic) = (self.slots(), self.magic());
        // Scripts run here, for up to seconds: not on a thread that serves sockets.
        let work = tokio::task::spawn_blocking(move || balance_with(&plan, &funds, &change, &params, &slots, magic));
        match work.await {
            Ok(result) => Ok(result?),
            Err(panic) => Err(ChainError::Aborted(panic.to_string())),
        }
    }

    /// Adds the transactions that made what an unsigned one uses, so that whoever signs it elsewhere need not believe its
    /// amounts. Those that the endpoint does not show are left out; [`Unsigned::resolved`] tells what stays unproven.
    pub async fn add_parents(&self, unsigned: &mut Unsigned) -> Result<(), ChainError> {
        let made_by: BTreeSet<TxId> = unsigned.resolved().map(|resolved| resolved.outpoint.tx).collect();
        for id in made_by {
            let ours = self.pending().transaction(&id);
            let parent = match ours {
                Some(cbor) => Some(cbor),
                None => self.transaction_cbor(&id).await?,
            };
            match parent {
                Some(parent) => unsigned.add_parent(parent)?,
                None => tracing::warn!(%id, "the endpoint does not show this transaction: its outputs stay unproven"),
            }
        }
        Ok(())
    }

    /// The plan with what each account that is withdrawn from holds now: the ledger takes nothing less, and anybody can have
    /// rewards paid to a script's account.
    async fn with_balances(&self, plan: &TxPlan) -> Result<TxPlan, ChainError> {
        let mut plan = plan.clone();
        for withdrawal in &mut plan.withdrawals {
            // An account that is not registered is for the ledger to refuse.
            if let AccountState::Registered { rewards } = self.account(&withdrawal.account).await? {
                withdrawal.amount = rewards;
            }
        }
        Ok(plan)
    }

    /// Sets aside outputs of a wallet that hold this value, for a transaction that somebody else builds and sends: nothing
    /// else spends them before the slot `until`. They are confirmed, so that the other side can look them up, and what they
    /// hold beyond the value suffices for an output at the wallet's base address.
    async fn set_aside(&self, value: &Value, wallet: &Wallet, until: Slot) -> Result<Vec<Utxo>, ChainError> {
        let _paying = self.pay().await;
        let addresses = [wallet.address(), wallet.enterprise_address()];
        let mut confirmed = BTreeSet::new();
        for address in &addresses {
            confirmed.extend(self.utxos_at(address).await?.into_iter().map(|utxo| utxo.outpoint));
        }
        let mut funds = self.spendable_at(&addresses).await?;
        funds.retain(|utxo| confirmed.contains(&utxo.outpoint));
        let selected = cover(value, &funds, &wallet.address(), &self.params())?;
        self.hold(selected.iter().map(|utxo| utxo.outpoint), until);
        Ok(selected)
    }

    /// Sets aside what pays a bond and its carry, with the wallet's base address for what is left.
    pub async fn set_bond_aside(
        &self,
        protocol: &Protocol,
        bond: Ntx,
        carry: Lovelace,
        wallet: &Wallet,
        until: Slot,
    ) -> Result<BondFunds, ChainError> {
        let value = Value::lovelace_only(carry).with(protocol.ntx().clone(), bond.0);
        let value = value.ok_or_else(|| BuildError::Overflow("the bond".into()))?;
        let inputs = self.set_aside(&value, wallet, until).await?;
        let inputs = inputs.into_iter().map(|utxo| (utxo.outpoint, utxo.output)).collect();
        Ok(BondFunds { inputs, change: wallet.address() })
    }

    /// Keeps outputs from being spent by anything else before the slot `until`.
    pub fn hold(&self, outpoints: impl IntoIterator<Item = OutPoint>, until: Slot) {
        self.pending().hold(outpoints, until);
    }

    /// Frees outputs that were held or set aside.
    pub fn free<'a>(&self, outpoints: impl IntoIterator<Item = &'a OutPoint>) {
        self.pending().release(outpoints);
    }

    /// The unspent output at an outpoint, or an error that says that there is none.
    pub async fn unspent(&self, outpoint: &OutPoint) -> Result<TxOut, ChainError> {
        match self.output(outpoint).await? {
            OutputState::Unspent { output, .. } => Ok(output),
            OutputState::Unknown => Err(ChainError::MissingOutput(*outpoint)),
            OutputState::Spent { by, .. } => Err(ChainError::SpentOutput { outpoint: *outpoint, by }),
        }
    }
}

/// Pays for a plan from a wallet, signs, checks and submits it. One at a time per [`Chain`], so that plans submitted
/// side by side never choose the same funds; later ones build on the unconfirmed change of earlier ones.
pub async fn submit_plan(chain: &Chain, plan: &TxPlan, wallet: &Wallet) -> Result<(TxId, Signed), ChainError> {
    let _paying = chain.pay().await;
    let signed = chain.balance(plan, wallet).await?.sign_with(&[wallet]).finish()?;
    let id = chain.send(&signed).await?;
    Ok((id, signed))
}

/// The earliest slot that the next block can have.
fn next_slot(tip: &Tip) -> Slot {
    Slot(tip.slot.0.saturating_add(1))
}
