//! Whether every party holds exactly what datum and verdict say, read from the devnet's state.
//!
//! The expectation is computed from the terms alone, not from the transactions, so a wrong payout cannot agree with
//! itself.

use std::fmt;

use nunet_contracts::{Closing, JobDatum};
use nunet_ledger::{Address, AssetId, Lovelace, OutPoint, TxOut};

/// A set of outputs: the ledger at one moment.
pub type Snapshot = [(OutPoint, TxOut)];

/// Who is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// Who locked the money.
    Requester,
    /// Who did the work.
    Provider,
    /// The committee's treasury.
    Treasury,
    /// Everybody else together, escrows included.
    Others,
}

const PARTIES: [Party; 4] = [Party::Requester, Party::Provider, Party::Treasury, Party::Others];

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Requester => "requester",
            Self::Provider => "provider",
            Self::Treasury => "treasury",
            Self::Others => "others",
        })
    }
}

/// Whose addresses are whose.
#[derive(Clone, Debug)]
pub struct Owners {
    /// The requester's.
    pub requester: Vec<Address>,
    /// The provider's.
    pub provider: Vec<Address>,
    /// The treasury's.
    pub treasury: Vec<Address>,
}

impl Owners {
    fn of(&self, address: &Address) -> Party {
        if self.requester.contains(address) {
            Party::Requester
        } else if self.provider.contains(address) {
            Party::Provider
        } else if self.treasury.contains(address) {
            Party::Treasury
        } else {
            Party::Others
        }
    }
}

/// What somebody holds, or by how much it changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Lovelace.
    pub lovelace: i128,
    /// NTX base units.
    pub ntx: i128,
}

/// What is known about how the job was closed.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The terms.
    pub datum: JobDatum,
    /// Lovelace for the builder of the closing transaction.
    pub tip: Lovelace,
    /// How it ended.
    pub closing: Closing,
    /// Network fee of the lock, which the requester paid.
    pub lock_fee: Lovelace,
    /// Network fee of the closing transaction.
    pub closing_fee: Lovelace,
    /// Who built the closing transaction.
    pub closer: Party,
    /// The min-ADA of the treasury's output.
    pub treasury_min: Lovelace,
    /// The min-ADA of the provider's payout.
    pub provider_min: Lovelace,
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Discrepancy {
    /// A party's change is wrong.
    Party {
        /// Whose.
        party: Party,
        /// What it should be.
        expected: Holdings,
        /// What it is.
        found: Holdings,
    },
    /// Something appeared or vanished.
    Supply {
        /// What the whole supply should have changed by.
        expected: Holdings,
        /// What it did.
        found: Holdings,
    },
    /// The escrow is still there.
    EscrowUnspent(OutPoint),
}

impl fmt::Display for Discrepancy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (who, expected, found) = match self {
            Self::Party { party, expected, found } => (party.to_string(), expected, found),
            Self::Supply { expected, found } => ("the supply".into(), expected, found),
            Self::EscrowUnspent(escrow) => return write!(f, "escrow {escrow} is still there"),
        };
        write!(
            f,
            "{who} changed by {} NTX units and {} lovelace, not by {} and {}",
            found.ntx, found.lovelace, expected.ntx, expected.lovelace
        )
    }
}

/// What a party holds in a snapshot.
pub fn holdings(snapshot: &Snapshot, ntx: &AssetId, owners: &Owners, party: Party) -> Holdings {
    snapshot.iter().filter(|(_, output)| owners.of(&output.address) == party).fold(
        Holdings::default(),
        |sum, (_, output)| Holdings {
            lovelace: sum.lovelace + i128::from(output.value.lovelace().0),
            ntx: sum.ntx + i128::from(output.value.quantity(ntx)),
        },
    )
}

/// Compares what changed with what had to; an empty list means that everything is conserved to the base unit.
pub fn audit(
    before: &Snapshot,
    after: &Snapshot,
    ntx: &AssetId,
    owners: &Owners,
    escrow: OutPoint,
    facts: &Facts,
) -> Vec<Discrepancy> {
    let mut wrong = Vec::new();
    let mut supply = Holdings::default();
    for party in PARTIES {
        let (was, is) = (holdings(before, ntx, owners, party), holdings(after, ntx, owners, party));
        let found = Holdings { lovelace: is.lovelace - was.lovelace, ntx: is.ntx - was.ntx };
        supply = Holdings { lovelace: supply.lovelace + found.lovelace, ntx: supply.ntx + found.ntx };
        let expected = expected_change(facts, party);
        if found != expected {
            wrong.push(Discrepancy::Party { party, expected, found });
        }
    }
    let fees = i128::from(facts.lock_fee.0) + i128::from(facts.closing_fee.0);
    let expected = Holdings { lovelace: -fees, ntx: 0 };
    if supply != expected {
        wrong.push(Discrepancy::Supply { expected, found: supply });
    }
    if after.iter().any(|(outpoint, _)| *outpoint == escrow) {
        wrong.push(Discrepancy::EscrowUnspent(escrow));
    }
    wrong
}

/// What the terms and the way out give each party, network fees and min-ADA included.
fn expected_change(facts: &Facts, party: Party) -> Holdings {
    let datum = &facts.datum;
    let units = |amount: u64| i128::from(amount);
    let (price, fee, bond) = (units(datum.price.0), units(datum.fee.0), units(datum.bond.0));
    let (deposit, carry) = (units(datum.deposit.0), units(datum.carry.0));
    let (to_provider, to_requester, to_treasury) = match &facts.closing {
        Closing::Settled { paid, slashed, .. } => {
            let (paid, slashed) = (units(paid.0), units(slashed.0));
            (paid + bond - slashed, price - paid + slashed, fee)
        }
        Closing::Accepted => (price + bond, fee, 0),
        Closing::Redeemed { amount } => (units(amount.0), price - units(amount.0) + fee, 0),
        // What both sides agreed on is not known here; nothing short of the refund is expected.
        Closing::Agreed | Closing::Refunded => (bond, price + fee, 0),
    };
    let provider_ada = if to_provider > 0 || carry > 0 { carry.max(units(facts.provider_min.0)) } else { 0 };
    let treasury_ada = if to_treasury > 0 { units(facts.treasury_min.0) } else { 0 };
    let locked_ada = deposit + carry + units(facts.tip.0);
    let left_to_closer = locked_ada - deposit - provider_ada - treasury_ada - units(facts.closing_fee.0);
    let closer = if facts.closer == party { left_to_closer } else { 0 };
    match party {
        Party::Requester => Holdings {
            ntx: to_requester - price - fee,
            lovelace: deposit - (deposit + units(facts.tip.0)) - units(facts.lock_fee.0) + closer,
        },
        Party::Provider => Holdings { ntx: to_provider - bond, lovelace: provider_ada - carry + closer },
        Party::Treasury => Holdings { ntx: to_treasury, lovelace: treasury_ada + closer },
        Party::Others => Holdings { ntx: 0, lovelace: closer },
    }
}
