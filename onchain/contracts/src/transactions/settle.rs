//! Settling any number of escrows by one verdict.

use std::collections::{BTreeMap, BTreeSet};

use nunet_ledger::{Address, Lovelace, OutPoint, ProtocolParameters};

use super::{Escrow, MergedPayouts, PayeeId, Payees, PlanError, funded_in_input_order, payout, spend_through_logic};
use crate::{
    job::{JobAction, SettleItem},
    ntx::Ntx,
    plan::TxPlan,
    protocol::{Committee, Deployment},
    verdict::{Leaf, Signatures, Verdict},
};

/// Settles those leaves of a verdict whose escrows are given; the other leaves are skipped.
///
/// Outputs by position: the treasury (when any fee is due), merged payouts, one output per other requester who is owed
/// anything, in input order. Merged are the providers, and whoever else shares an address with one of them or with another
/// requester. Signatures of keys that are no members are ignored.
///
/// # Errors
/// When an escrow has no leaf, names another committee, does not hold what its datum owes, or an amount of its leaf exceeds
/// price or bond.
pub fn settle(
    deployment: &Deployment,
    params: &ProtocolParameters,
    committee: &Committee,
    verdict: &Verdict,
    signatures: &Signatures,
    escrows: &[Escrow],
) -> Result<TxPlan, PlanError> {
    let protocol = &deployment.protocol;
    let escrows = funded_in_input_order(protocol, escrows)?;
    let by_outpoint: BTreeMap<OutPoint, &Escrow> = escrows.iter().map(|escrow| (escrow.outpoint, *escrow)).collect();
    for outpoint in by_outpoint.keys() {
        if verdict.leaf(*outpoint).is_none() {
            return Err(PlanError::Unfit { escrow: *outpoint, problem: "the verdict has no leaf for it".into() });
        }
    }

    let merges = Merges::of(&escrows);
    let mut fees = 0u64;
    let mut payees = Payees::default();
    let mut requesters = Vec::new();
    let mut entries = Vec::with_capacity(verdict.leaves().len());
    for leaf in verdict.leaves() {
        let Some(escrow) = by_outpoint.get(&leaf.escrow) else {
            entries.push(Entry::Skipped(*leaf));
            continue;
        };
        let Shares { to_provider, to_requester } = divide(committee, escrow, leaf)?;
        let datum = &escrow.datum;
        fees = fees.checked_add(datum.fee.0).ok_or(PlanError::Overflow("the fees"))?;
        let provider = payees.add(&datum.provider, to_provider, datum.carry)?;
        let returned = to_requester.0 > 0 || datum.deposit.0 > 0;
        let requester = if merges.contains(&datum.requester) {
            payees.add(&datum.requester, to_requester, datum.deposit)?
        } else {
            if returned {
                requesters.push(payout(protocol, params, datum.requester.clone(), to_requester, datum.deposit)?);
            }
            None
        };
        entries.push(match provider {
            // The shortest form: what is paid follows from the requester's own output.
            Some(provider) if returned && requester.is_none() && leaf.slashed.0 == 0 => Entry::FromOutput(provider),
            _ => Entry::Explicit { leaf: *leaf, provider, requester },
        });
    }

    let mut merged = payees.merge(protocol, params)?;
    let items = entries.into_iter().map(|entry| entry.item(&merged)).collect();
    let payee_count = merged.count();
    let mut outputs = Vec::new();
    if fees > 0 {
        let treasury = committee.datum.treasury().clone();
        outputs.push(payout(protocol, params, treasury, Ntx(fees), Lovelace(0))?);
    }
    outputs.append(&mut merged.outputs);
    outputs.append(&mut requesters);

    let references = [deployment.stub.0, deployment.logic.0, committee.outpoint];
    let committee_index = references.iter().filter(|outpoint| **outpoint < committee.outpoint).count() as u64;
    let action = JobAction::Settle {
        committee: committee_index,
        signatures: committee.aligned(signatures),
        evidence: *verdict.evidence(),
        payees: payee_count,
        items,
    };
    let mut plan = spend_through_logic(deployment, &escrows, &action);
    plan.references.push((committee.outpoint, committee.output.clone()));
    plan.outputs = outputs;
    Ok(plan)
}

/// The addresses whose shares are merged although they are requesters'.
struct Merges<'a>(BTreeSet<&'a Address>);

impl<'a> Merges<'a> {
    fn of(escrows: &[&'a Escrow]) -> Self {
        let mut seen: BTreeSet<&Address> = escrows.iter().map(|escrow| &escrow.datum.provider).collect();
        Self(escrows.iter().map(|escrow| &escrow.datum.requester).filter(|requester| !seen.insert(requester)).collect())
    }

    fn contains(&self, requester: &Address) -> bool {
        self.0.contains(requester)
    }
}

/// An item of the redeemer, before the merged payouts have places.
enum Entry {
    FromOutput(PayeeId),
    Explicit { leaf: Leaf, provider: Option<PayeeId>, requester: Option<PayeeId> },
    Skipped(Leaf),
}

impl Entry {
    fn item(self, merged: &MergedPayouts) -> SettleItem {
        match self {
            Self::FromOutput(PayeeId(provider)) => SettleItem::FromOutput { provider: merged.places[provider] },
            Self::Explicit { leaf, provider, requester } => SettleItem::Explicit {
                provider: merged.place(provider),
                requester: merged.place(requester),
                paid: leaf.paid,
                slashed: leaf.slashed,
            },
            Self::Skipped(leaf) => SettleItem::Skipped(leaf),
        }
    }
}

/// How the NTX of an escrow is divided, but for the fee.
pub(crate) struct Shares {
    to_provider: Ntx,
    to_requester: Ntx,
}

/// What a leaf gives to each side.
pub(crate) fn divide(committee: &Committee, escrow: &Escrow, leaf: &Leaf) -> Result<Shares, PlanError> {
    let datum = &escrow.datum;
    let wrong = |problem: String| PlanError::Unfit { escrow: escrow.outpoint, problem };
    if datum.committee != committee.id {
        return Err(PlanError::Committee { output: escrow.outpoint, named: datum.committee, given: committee.id });
    }
    let rest = datum.price.0.checked_sub(leaf.paid.0);
    let bond = datum.bond.0.checked_sub(leaf.slashed.0);
    let (Some(rest), Some(bond)) = (rest, bond) else {
        return Err(wrong(format!(
            "{} paid of {} and {} slashed of {}: more than there is",
            leaf.paid, datum.price, leaf.slashed, datum.bond
        )));
    };
    let to_provider = leaf.paid.0.checked_add(bond).ok_or(PlanError::Overflow("paid and bond"))?;
    let to_requester = rest.checked_add(leaf.slashed.0).ok_or(PlanError::Overflow("rest and slashed"))?;
    Ok(Shares { to_provider: Ntx(to_provider), to_requester: Ntx(to_requester) })
}
