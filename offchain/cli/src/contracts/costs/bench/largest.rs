//! The largest batch that one transaction takes.

use anyhow::{bail, ensure};
use nunet_chain::balance;
use nunet_contracts::{
    Escrow, TxPlan,
    batch::{Attempt, Largest, Load, largest},
    verdict::MAX_LEAVES,
};

use super::{Batch, Bench};
use crate::accounts::Role;

impl Bench<'_> {
    /// Measures the largest batch that one transaction takes, up to as many as a verdict has leaves: `plan` makes a plan
    /// of escrows.
    pub(in crate::contracts::costs) async fn largest(
        &mut self,
        name: &str,
        batch: Batch,
        payer: Role,
        plan: impl Fn(&Self, &[Escrow]) -> anyhow::Result<TxPlan>,
    ) -> anyhow::Result<()> {
        let escrows = self.lock(batch, MAX_LEAVES).await?;
        let (wallet, chain) = (self.wallet(payer), &self.world.chain);
        let funds = chain.spendable_at(&[wallet.address(), wallet.enterprise_address()]).await?;
        let limits = Load { bytes: self.params.max_tx_size, units: self.params.max_tx_ex_units };
        let attempt = |size: usize| -> anyhow::Result<Attempt> {
            let (plan, change) = (plan(self, &escrows[..size])?, wallet.address());
            match balance(&plan, &funds, &change, &self.params, &chain.slots(), chain.magic()) {
                Ok(unsigned) => {
                    Ok(Attempt::Fits(Load { bytes: unsigned.signed_size() as u64, units: unsigned.units() }))
                }
                Err(error) if error.exceeds_a_transaction() => Ok(Attempt::Exceeds),
                Err(error) => bail!("{name}: {error}"),
            }
        };
        let Largest::Fits { size, .. } = largest(escrows.len(), limits, attempt)? else { bail!("{name}: refused") };
        ensure!(size > 0, "{name}: not even one escrow fits");
        let plan = plan(self, &escrows[..size])?;
        self.measure(name, size, &plan, &[payer]).await?;
        Ok(())
    }
}
