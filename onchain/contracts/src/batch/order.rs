//! Who is put together: those who share a payee, because a transaction pays one address in one output.

use std::{cmp::Reverse, collections::BTreeMap};

use nunet_ledger::Address;

use super::Way;
use crate::transactions::Escrow;

/// Sorts escrows that are closed in the same way so that those come together who share a payee: by the address that the
/// most escrows pay of those that each pays, then by the other one.
///
/// A settlement merges what providers and requesters get, a refund what providers get.
pub fn sort_by_payees(escrows: &mut [Escrow], way: Way) {
    let mut shares: BTreeMap<Address, usize> = BTreeMap::new();
    for escrow in escrows.iter() {
        for payee in payees(escrow, way).into_iter().flatten() {
            *shares.entry(payee.clone()).or_default() += 1;
        }
    }
    escrows.sort_by_cached_key(|escrow| {
        let mut payees: Vec<(Reverse<usize>, Address)> = payees(escrow, way)
            .into_iter()
            .flatten()
            .map(|payee| (Reverse(shares.get(payee).copied().unwrap_or(0)), payee.clone()))
            .collect();
        payees.sort();
        (payees, escrow.outpoint)
    });
}

/// The addresses whose payouts merge.
fn payees(escrow: &Escrow, way: Way) -> [Option<&Address>; 2] {
    let datum = &escrow.datum;
    match way {
        Way::Settle(_) => [Some(&datum.provider), Some(&datum.requester)],
        Way::Refund => {
            let owes = datum.bond.0 > 0 || datum.carry.0 > 0;
            [owes.then_some(&datum.provider), None]
        }
    }
}
