//! Finds transactions by what they touch beside their ids and addresses: assets, scripts, stake accounts, labels.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use nunet_ledger::{Address, AssetId, Credential, OutPoint, ScriptHash, TxOut};

use crate::{
    chain::Applied,
    details::{Runs, stake_credential},
};

/// Something that transactions are found by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// Transactions with an asset in an output they consume or make, or in what they mint.
    Moves(AssetId),
    /// Transactions that mint or burn an asset.
    Mints(AssetId),
    /// Transactions with a redeemer for a script.
    Runs(ScriptHash),
    /// Transactions with a certificate for a stake account, or a withdrawal from it.
    Account(Credential),
    /// Transactions with metadata under a label.
    Label(u64),
}

/// The index; positions are those of transactions among all confirmed ones.
#[derive(Debug, Default)]
#[cfg_attr(test, derive(Clone, PartialEq))]
pub(crate) struct Lookups {
    positions: BTreeMap<Subject, Vec<usize>>,
    /// The addresses with a payment credential, by its hash alone, as Blockfrost looks them up; with the position of the
    /// first transaction that paid to them.
    payments: HashMap<[u8; 28], BTreeMap<Address, usize>>,
    /// Assets in the order of their first mint.
    assets: Vec<(usize, AssetId)>,
    /// Scripts in the order in which they were first seen.
    scripts: Vec<(usize, ScriptHash)>,
    known_scripts: HashSet<ScriptHash>,
}

impl Lookups {
    /// Adds the next transaction; `output` gives any output ever made.
    pub(crate) fn append<'a>(
        &mut self,
        position: usize,
        applied: &Applied,
        output: impl Fn(&OutPoint) -> Option<&'a TxOut>,
    ) {
        for subject in subjects(applied, output) {
            let positions = self.positions.entry(subject).or_insert_with_key(|subject| {
                if let Subject::Mints(asset) = subject {
                    self.assets.push((position, asset.clone()));
                }
                Vec::new()
            });
            positions.push(position);
        }
        let referred = applied.produced.iter().filter_map(|(_, output)| output.reference_script.as_ref());
        for script in applied.details.scripts.iter().chain(referred) {
            let hash = script.hash();
            if self.known_scripts.insert(hash) {
                self.scripts.push((position, hash));
            }
        }
        for (_, output) in &applied.produced {
            if let Some(payment) = output.address.payment() {
                let addresses = self.payments.entry(payment_hash(payment)).or_default();
                addresses.entry(output.address.clone()).or_insert(position);
            }
        }
    }

    /// Takes back every transaction but the first `kept`.
    pub(crate) fn rollback(&mut self, kept: usize) {
        self.positions.retain(|_, positions| {
            positions.truncate(positions.partition_point(|position| *position < kept));
            !positions.is_empty()
        });
        self.assets.truncate(self.assets.partition_point(|(position, _)| *position < kept));
        let first = self.scripts.partition_point(|(position, _)| *position < kept);
        for (_, hash) in self.scripts.drain(first..) {
            self.known_scripts.remove(&hash);
        }
        self.payments.retain(|_, addresses| {
            addresses.retain(|_, first| *first < kept);
            !addresses.is_empty()
        });
    }

    /// The positions of transactions that touch a subject, oldest first.
    pub(crate) fn positions(&self, subject: &Subject) -> &[usize] {
        self.positions.get(subject).map_or(&[], Vec::as_slice)
    }

    /// Every label of metadata with the number of transactions that have it.
    pub(crate) fn labels(&self) -> impl DoubleEndedIterator<Item = (u64, usize)> {
        let labels = self.positions.range(Subject::Label(0)..=Subject::Label(u64::MAX));
        labels.filter_map(|(subject, positions)| match subject {
            Subject::Label(label) => Some((*label, positions.len())),
            _ => None,
        })
    }

    /// Every asset that was ever minted, in the order of first mints.
    pub(crate) fn assets(&self) -> impl DoubleEndedIterator<Item = &AssetId> {
        self.assets.iter().map(|(_, asset)| asset)
    }

    /// Every script that was ever seen, in the order of first appearance.
    pub(crate) fn scripts(&self) -> impl DoubleEndedIterator<Item = &ScriptHash> {
        self.scripts.iter().map(|(_, hash)| hash)
    }

    /// The addresses whose payment credential has a hash, be it of a key or of a script.
    pub(crate) fn addresses_of(&self, payment: &[u8; 28]) -> impl Iterator<Item = &Address> {
        self.payments.get(payment).into_iter().flat_map(BTreeMap::keys)
    }
}

/// All that a transaction is found by. What a failed script kept from happening is left out.
fn subjects<'a>(applied: &Applied, output: impl Fn(&OutPoint) -> Option<&'a TxOut>) -> BTreeSet<Subject> {
    let details = &applied.details;
    let moved = applied.consumed.iter().chain(&applied.produced);
    let moved = moved.flat_map(|(_, output)| output.value.assets().map(|(asset, _)| Subject::Moves(asset.clone())));
    let run = details.redeemers.iter().filter_map(|redeemer| match redeemer.runs {
        Runs::Script(hash) => Some(hash),
        Runs::AtInput(input) => match output(&input)?.address.payment()? {
            Credential::Script(hash) => Some(hash),
            Credential::Key(_) => None,
        },
        Runs::Nothing => None,
    });
    let labels = details.metadata.keys().map(|label| Subject::Label(*label));
    let mut subjects: BTreeSet<_> = moved.chain(run.map(Subject::Runs)).chain(labels).collect();
    if applied.valid {
        let funded = applied.genesis.iter().flat_map(|value| value.assets()).map(|(asset, _)| asset);
        for asset in details.mint.keys().chain(funded) {
            subjects.insert(Subject::Mints(asset.clone()));
            subjects.insert(Subject::Moves(asset.clone()));
        }
        let withdrawn = details.withdrawals.keys().map(|account| account.credential);
        let certified = details.certificates.iter().filter_map(stake_credential);
        subjects.extend(withdrawn.chain(certified).map(Subject::Account));
    }
    subjects
}

fn payment_hash(credential: Credential) -> [u8; 28] {
    match credential {
        Credential::Key(hash) => hash.0,
        Credential::Script(hash) => hash.0,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use nunet_ledger::{KeyHash, Lovelace, Script, TxId, Value};
    use proptest::prelude::*;

    use super::*;
    use crate::details::{Details, RedeemerDetail};

    /// A transaction of small numbers, so that its subjects meet those of others again and again.
    fn applied() -> impl Strategy<Value = Applied> {
        let outputs = prop::collection::vec((0_u8..4, 0_u8..4, prop::option::of(0_u8..4)), 0..3);
        let labels = prop::collection::vec(0_u64..4, 0..3);
        (any::<bool>(), outputs, prop::collection::vec(0_u8..4, 0..2), labels, prop::collection::vec(0_u8..4, 0..2))
            .prop_map(|(valid, outputs, mints, labels, runs)| {
                let tx = TxId([0; 32]);
                let output = |(address, asset, script): (u8, u8, Option<u8>)| {
                    let payment = Credential::Key(KeyHash([address; 28]));
                    let value = Value::lovelace_only(Lovelace(1)).with(asset_of(asset), 1).unwrap();
                    let mut output = TxOut::new(Address::new(0, payment, None), value);
                    output.reference_script = script.map(|byte| Script::PlutusV3(vec![byte]));
                    output
                };
                let produced = (0..).zip(outputs).map(|(index, made)| (OutPoint { tx, index }, output(made))).collect();
                let mut applied = Applied::genesis(tx, Vec::new(), produced, Value::default());
                applied.genesis = None;
                applied.valid = valid;
                applied.details = Details {
                    mint: mints.into_iter().map(|asset| (asset_of(asset), 1)).collect(),
                    metadata: labels.into_iter().map(|label| (label, vec![0])).collect(),
                    redeemers: runs.into_iter().map(run_of).collect(),
                    ..Details::default()
                };
                applied
            })
    }

    fn asset_of(byte: u8) -> AssetId {
        AssetId { policy: ScriptHash([byte; 28]), name: Vec::new() }
    }

    fn run_of(byte: u8) -> RedeemerDetail {
        RedeemerDetail {
            purpose: nunet_ledger::Purpose::Mint,
            index: 0,
            data_hash: [0; 32],
            units: nunet_ledger::ExUnits::default(),
            runs: Runs::Script(ScriptHash([byte; 28])),
        }
    }

    proptest! {
        #[test]
        fn what_is_taken_back_leaves_no_trace(all in prop::collection::vec(applied(), 0..12), kept in 0_usize..12) {
            let kept = kept.min(all.len());
            let mut lookups = Lookups::default();
            let mut before = Lookups::default();
            for (position, applied) in all.iter().enumerate() {
                lookups.append(position, applied, |_| None);
                if position < kept {
                    before.append(position, applied, |_| None);
                }
            }
            lookups.rollback(kept);
            prop_assert_eq!(lookups, before);
        }
    }
}
