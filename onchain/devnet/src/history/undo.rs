//! Takes blocks out of the index again: every entry that a block added or changed goes back to what it was.

use nunet_ledger::{Address, AssetId, Credential, OutPoint, ScriptHash, rules::Account};

use super::{EpochRecord, History};

/// One change that a block made to the index, with what is needed to take it back.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, PartialEq))]
pub(super) enum Change {
    /// The transaction at this position touches the address.
    Touched(Address, usize),
    /// The output was consumed.
    Spent(OutPoint),
    /// The output was made.
    Produced(OutPoint),
    /// The stake credential was new.
    StakeSeen(Credential),
    /// The address was new to the stake credential.
    StakeAddress(Credential, Address),
    /// So much was withdrawn.
    Withdrawn(Credential, u64),
    /// The account was registered; the epoch of its registration before that.
    RegisteredIn(Credential, Option<u64>),
    /// The script was new.
    Script(ScriptHash),
    /// The datum was new.
    Datum([u8; 32]),
    /// So much of the asset was minted or burnt.
    Minted(AssetId, i128),
    /// The account changed; what it was before.
    Account(Credential, Option<Account>),
    /// The epoch grew; what it was before.
    Epoch(u64, Option<EpochRecord>),
}

impl History {
    /// Takes the latest blocks back, at most as many as the chain can go back.
    pub(crate) fn rollback(&mut self, blocks: u64) {
        let before = self.transactions.len();
        for _ in 0..blocks {
            let Some(changes) = self.changes.pop_back() else { break };
            for change in changes.into_iter().rev() {
                self.take_back(change);
            }
            let Some(block) = self.blocks.pop() else { break };
            self.block_by_hash.remove(&block.tip.hash);
            for record in self.transactions.drain(block.transactions.start..) {
                self.transaction_by_id.remove(&record.applied.id);
            }
        }
        if self.transactions.len() < before {
            self.lookups.rollback(self.transactions.len());
        }
    }

    fn take_back(&mut self, change: Change) {
        match change {
            Change::Touched(address, position) => {
                if let Some(record) = self.addresses.get_mut(&address) {
                    record.transactions.remove(&position);
                    if record.transactions.is_empty() {
                        self.addresses.remove(&address);
                    }
                }
            }
            Change::Spent(outpoint) => self.unspend(outpoint),
            Change::Produced(outpoint) => {
                if let Some(made) = self.outputs.remove(&outpoint)
                    && let Some(record) = self.addresses.get_mut(&made.output.address)
                {
                    record.unspent.remove(&(made.position, outpoint));
                }
            }
            Change::StakeSeen(credential) => {
                self.stakes.remove(&credential);
            }
            Change::StakeAddress(credential, address) => {
                if let Some(stake) = self.stakes.get_mut(&credential) {
                    stake.addresses.remove(&address);
                }
            }
            Change::Withdrawn(credential, amount) => {
                if let Some(stake) = self.stakes.get_mut(&credential) {
                    stake.withdrawn -= u128::from(amount);
                }
            }
            Change::RegisteredIn(credential, before) => {
                if let Some(stake) = self.stakes.get_mut(&credential) {
                    stake.registered_in = before;
                }
            }
            Change::Script(hash) => {
                self.scripts.remove(&hash);
            }
            Change::Datum(hash) => {
                self.datums.remove(&hash);
            }
            Change::Minted(asset, quantity) => self.unmint(&asset, quantity),
            Change::Account(credential, Some(before)) => {
                self.accounts.insert(credential, before);
            }
            Change::Account(credential, None) => {
                self.accounts.remove(&credential);
            }
            Change::Epoch(number, Some(before)) => {
                self.epochs.insert(number, before);
            }
            Change::Epoch(number, None) => {
                self.epochs.remove(&number);
            }
        }
    }

    fn unspend(&mut self, outpoint: OutPoint) {
        if let Some(spent) = self.outputs.get_mut(&outpoint) {
            spent.spent_by = None;
            if let Some(record) = self.addresses.get_mut(&spent.output.address) {
                record.unspent.insert((spent.position, outpoint));
            }
        }
    }

    fn unmint(&mut self, asset: &AssetId, quantity: i128) {
        if let Some(record) = self.assets.get_mut(asset) {
            record.quantity -= quantity;
            record.changes -= 1;
            if record.changes == 0 {
                self.assets.remove(asset);
            }
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
