//! The oracle committee as the chain knows it: the datum beside the committee's NFT.

use nunet_ledger::{Address, OutPoint, hash::blake2b_256};
use pallas_primitives::PlutusData;

use crate::data::{self, DataError};

/// The most members that the committee policy admits.
pub const MAX_MEMBERS: usize = 32;

/// An Ed25519 verification key of a committee member.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberKey(pub [u8; 32]);

impl std::fmt::Display for MemberKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl std::fmt::Debug for MemberKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MemberKey({self})")
    }
}

/// The name of a committee's NFT: blake2b-256 of the outpoint that its minting consumed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitteeId(pub [u8; 32]);

impl CommitteeId {
    /// The id of the committee that is created by consuming `seed`.
    pub fn from_seed(seed: OutPoint) -> Self {
        Self(blake2b_256(&seed.to_bytes()))
    }
}

impl std::fmt::Display for CommitteeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl std::fmt::Debug for CommitteeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CommitteeId({self})")
    }
}

/// Who may sign verdicts, how many must, and where the oracle fee goes. Only valid ones can be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitteeDatum {
    members: Vec<MemberKey>,
    threshold: u8,
    treasury: Address,
}

impl CommitteeDatum {
    /// A committee of these members, in any order.
    ///
    /// # Errors
    /// Without `1 ≤ threshold ≤ members ≤ 32`, or when two members share a key.
    pub fn new(mut members: Vec<MemberKey>, threshold: u8, treasury: Address) -> Result<Self, DataError> {
        members.sort();
        Self::checked(members, threshold, treasury)
    }

    fn checked(members: Vec<MemberKey>, threshold: u8, treasury: Address) -> Result<Self, DataError> {
        const WHAT: &str = "committee";
        if members.len() > MAX_MEMBERS {
            return Err(DataError::new(WHAT, format!("{} members, at most {MAX_MEMBERS} are possible", members.len())));
        }
        if threshold == 0 || usize::from(threshold) > members.len() {
            let problem = format!("a threshold of {threshold} with {} members; choose 1 to that", members.len());
            return Err(DataError::new(WHAT, problem));
        }
        if members.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(DataError::new(WHAT, "member keys must be distinct and in ascending order"));
        }
        Ok(Self { members, threshold, treasury })
    }

    /// The members' keys, strictly ascending.
    pub fn members(&self) -> &[MemberKey] {
        &self.members
    }

    /// How many members must sign.
    pub fn threshold(&self) -> usize {
        usize::from(self.threshold)
    }

    /// Where the oracle fee goes.
    pub fn treasury(&self) -> &Address {
        &self.treasury
    }

    /// The index of a member, which the aligned signatures of a settlement use.
    pub fn position(&self, key: &MemberKey) -> Option<usize> {
        self.members.binary_search(key).ok()
    }

    /// As Plutus data.
    pub fn to_data(&self) -> Result<PlutusData, DataError> {
        let members = self.members.iter().map(|key| data::bytes(&key.0)).collect();
        let treasury = data::address("treasury", &self.treasury)?;
        Ok(data::constr(0, vec![data::list(members), data::int(u64::from(self.threshold)), treasury]))
    }

    /// From the CBOR of a datum on the network with this id.
    pub fn from_cbor(cbor: &[u8], network_id: u8) -> Result<Self, DataError> {
        const WHAT: &str = "committee datum";
        let datum = data::from_cbor(WHAT, cbor)?;
        let [members, threshold, treasury] = data::fields::<3>(WHAT, &datum, 0)?;
        let members = data::as_list("members", members)?
            .iter()
            .map(|key| data::as_array("member key", key).map(MemberKey))
            .collect::<Result<_, _>>()?;
        let threshold = u8::try_from(data::as_u64("threshold", threshold)?)
            .map_err(|_| DataError::new("threshold", "larger than any committee"))?;
        Self::checked(members, threshold, data::as_address("treasury", treasury, network_id)?)
    }
}
