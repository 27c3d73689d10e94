//! Fitting escrows into transactions by balancing them for real, scripts and all. Nothing is read or sent.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use nunet_contracts::{
    Deployment, Escrow, PlanError, TxPlan,
    batch::{Attempt, Largest, Load, Packed, UsableVerdict, Way, assign, largest, pack, sort_by_payees},
    transactions::{refund, settle},
};
use nunet_ledger::{NetworkMagic, OutPoint, Slot, SlotConfig, parameters::ProtocolParameters};

use crate::{
    build::{BuildError, balance},
    chain::Utxo,
    error::ChainError,
    signed::{Unsigned, check},
    wallet::Wallet,
};

/// An escrow and the ways out that it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The escrow.
    pub escrow: Escrow,
    /// At least one, as [`nunet_contracts::batch::ways_out`] finds them.
    pub ways: Vec<Way>,
}

/// Escrows that one transaction closes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// How.
    pub way: Way,
    /// Which.
    pub escrows: Vec<Escrow>,
}

/// Every escrow in one batch, or refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Planned {
    /// One for each transaction.
    pub batches: Vec<Batch>,
    /// Escrows that no transaction can close, and why.
    pub refused: Vec<(OutPoint, String)>,
    /// How many transactions were balanced to find the batches.
    pub tries: usize,
}

/// What batches are fitted against.
#[derive(Clone)]
pub struct Planner {
    /// The validators, and where they are.
    pub deployment: Deployment,
    /// The ledger's parameters, with its limits.
    pub params: Arc<ProtocolParameters>,
    /// The ledger's clock.
    pub slots: SlotConfig,
    /// The network.
    pub magic: NetworkMagic,
    /// Who pays.
    pub wallet: Wallet,
    /// What with.
    pub funds: Vec<Utxo>,
    /// The verdicts given, those that settle nothing as `None`.
    pub verdicts: Vec<Option<UsableVerdict>>,
    /// The slot of the latest block.
    pub now: Slot,
    /// The slot from which the transactions are no longer valid.
    pub until: Slot,
}

impl Planner {
    /// Puts escrows into batches, on a thread that may take its time.
    ///
    /// # Errors
    /// When the wallet cannot pay.
    pub async fn plan(&self, cases: Vec<Case>) -> Result<Planned, ChainError> {
        let planner = self.clone();
        let work = tokio::task::spawn_blocking(move || planner.plan_now(&cases));
        match work.await {
            Ok(planned) => Ok(planned?),
            Err(panic) => Err(ChainError::Aborted(panic.to_string())),
        }
    }

    /// Puts escrows into batches; see [`nunet_contracts::batch`] for how few.
    ///
    /// # Errors
    /// When the wallet cannot pay.
    pub fn plan_now(&self, cases: &[Case]) -> Result<Planned, BuildError> {
        let mut planned = Planned::default();
        for (way, mut escrows) in self.choose(cases, &mut planned.tries)? {
            sort_by_payees(&mut escrows, way);
            let Packed { sets, refused } = pack(escrows.len(), self.limits(), |places| {
                planned.tries += 1;
                let set: Vec<Escrow> = places.iter().map(|place| escrows[*place].clone()).collect();
                self.attempt(way, &set)
            })?;
            let refused = refused.into_iter().map(|(place, reason)| (escrows[place].outpoint, reason));
            planned.refused.extend(refused);
            for places in sets {
                let escrows = places.into_iter().map(|place| escrows[place].clone()).collect();
                planned.batches.push(Batch { way, escrows });
            }
        }
        Ok(planned)
    }

    /// The plan that closes escrows in one way.
    ///
    /// # Errors
    /// When they cannot be closed so.
    pub fn plan_of(&self, way: Way, escrows: &[Escrow]) -> Result<TxPlan, PlanError> {
        let verdict = match way {
            Way::Settle(place) => self.verdicts.get(place).and_then(Option::as_ref),
            Way::Refund => None,
        };
        let mut plan = match verdict {
            Some(UsableVerdict { verdict, signatures, committee }) => {
                settle(&self.deployment, &self.params, committee, verdict, signatures, escrows)?
            }
            None => refund(&self.deployment, &self.params, &self.slots, escrows)?,
        };
        plan.valid_until = Some(self.until);
        Ok(plan)
    }

    /// Chooses one way for each escrow.
    fn choose(&self, cases: &[Case], tries: &mut usize) -> Result<BTreeMap<Way, Vec<Escrow>>, BuildError> {
        let ways: BTreeSet<Way> = cases.iter().flat_map(|case| case.ways.iter().copied()).collect();
        let ways: Vec<Way> = ways.into_iter().collect();
        let place = |way: &Way| ways.binary_search(way).unwrap_or_default();
        let options: Vec<Vec<usize>> = cases.iter().map(|case| case.ways.iter().map(place).collect()).collect();
        // How many a transaction takes is only asked where there is a choice.
        let contested: BTreeSet<usize> = options.iter().filter(|bins| bins.len() > 1).flatten().copied().collect();
        let mut room = vec![cases.len().max(1); ways.len()];
        for bin in contested {
            let way = ways[bin];
            let candidates = cases.iter().filter(|case| case.ways.contains(&way));
            let mut candidates: Vec<Escrow> = candidates.map(|case| case.escrow.clone()).collect();
            sort_by_payees(&mut candidates, way);
            let found = largest(candidates.len(), self.limits(), |size| {
                *tries += 1;
                self.attempt(way, candidates.get(..size).unwrap_or(&candidates))
            })?;
            if let Largest::Fits { size, .. } = found {
                room[bin] = size.max(1);
            }
        }
        let mut chosen: BTreeMap<Way, Vec<Escrow>> = BTreeMap::new();
        for (case, bin) in cases.iter().zip(assign(&options, &room)) {
            chosen.entry(ways[bin]).or_default().push(case.escrow.clone());
        }
        Ok(chosen)
    }

    fn limits(&self) -> Load {
        Load { bytes: self.params.max_tx_size, units: self.params.max_tx_ex_units }
    }

    /// Balances the transaction that closes these.
    fn attempt(&self, way: Way, escrows: &[Escrow]) -> Result<Attempt, BuildError> {
        let plan = match self.plan_of(way, escrows) {
            Ok(plan) => plan,
            Err(error) => return Ok(Attempt::Refused(error.to_string())),
        };
        let change = self.wallet.address();
        match balance(&plan, &self.funds, &change, &self.params, &self.slots, self.magic) {
            Ok(unsigned) => {
                let load = Load { bytes: unsigned.signed_size() as u64, units: unsigned.units() };
                // What balancing does not look at, only an escrow that no agent made can break.
                let flaw = if escrows.iter().all(|escrow| self.is_plain(escrow)) { None } else { self.flaw(unsigned) };
                Ok(flaw.map_or(Attempt::Fits(load), Attempt::Refused))
            }
            Err(error) if error.exceeds_a_transaction() => Ok(Attempt::Exceeds),
            Err(error) if error.wants_funds() => Err(error),
            Err(error) => Ok(Attempt::Refused(error.to_string())),
        }
    }

    /// Whether it holds nothing but lovelace and NTX.
    fn is_plain(&self, escrow: &Escrow) -> bool {
        let output = &escrow.output;
        let ntx = self.deployment.protocol.ntx();
        output.reference_script.is_none() && output.value.assets().all(|(asset, _)| asset == ntx)
    }

    /// What the ledger has against the whole transaction.
    fn flaw(&self, unsigned: Unsigned) -> Option<String> {
        match unsigned.sign_with(&[&self.wallet]).finish() {
            Ok(signed) => {
                let checked = check(&signed, &self.params, &self.slots, Slot(self.now.0.saturating_add(1)));
                checked.err().map(|error| error.error.to_string())
            }
            Err(error) => Some(error.to_string()),
        }
    }
}
