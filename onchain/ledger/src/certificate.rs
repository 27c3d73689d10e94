//! What certificates speak of: delegation, representatives, stake pools ([Conway CDDL]).
//!
//! [Conway CDDL]: https://github.com/IntersectMBO/cardano-ledger/blob/master/eras/conway/impl/cddl-files/conway.cddl

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, Ipv6Addr},
};

use crate::{
    address::{Credential, RewardAccount},
    parameters::Rational,
    units::{KeyHash, Lovelace, PoolId, ScriptHash},
};

/// A representative that an account delegates its vote to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DRep {
    /// A representative with a key.
    Key(KeyHash),
    /// A representative with a script.
    Script(ScriptHash),
    /// Nobody, and the stake does not count.
    Abstain,
    /// Nobody, and the stake counts as a vote of no confidence.
    NoConfidence,
}

impl DRep {
    /// Whose registration it needs; `None` for the two that are always there.
    pub fn credential(self) -> Option<Credential> {
        match self {
            Self::Key(hash) => Some(Credential::Key(hash)),
            Self::Script(hash) => Some(Credential::Script(hash)),
            Self::Abstain | Self::NoConfidence => None,
        }
    }
}

/// What an account delegates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Delegation {
    /// Its stake, to a pool.
    Stake(PoolId),
    /// Its vote, to a representative.
    Vote(DRep),
    /// Both.
    StakeAndVote(PoolId, DRep),
}

impl Delegation {
    /// The pool that the stake goes to.
    pub fn pool(self) -> Option<PoolId> {
        match self {
            Self::Stake(pool) | Self::StakeAndVote(pool, _) => Some(pool),
            Self::Vote(_) => None,
        }
    }

    /// The representative that the vote goes to.
    pub fn drep(self) -> Option<DRep> {
        match self {
            Self::Vote(drep) | Self::StakeAndVote(_, drep) => Some(drep),
            Self::Stake(_) => None,
        }
    }
}

/// What a stake pool is registered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolParams {
    /// The pool: the hash of its operator's cold key.
    pub id: PoolId,
    /// The hash of its key for the leader lottery (VRF).
    pub vrf: [u8; 32],
    /// What its owners promise to delegate to it.
    pub pledge: Lovelace,
    /// What it keeps of an epoch's rewards first.
    pub cost: Lovelace,
    /// The share that it keeps of the rest, between 0 and 1.
    pub margin: Rational,
    /// Where its rewards go, and its deposit in the end.
    pub reward_account: RewardAccount,
    /// The keys whose stake is the pledge.
    pub owners: BTreeSet<KeyHash>,
    /// Where its nodes listen.
    pub relays: Vec<Relay>,
    /// Where it describes itself.
    pub metadata: Option<PoolMetadata>,
}

/// Where a pool's node listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Relay {
    /// At addresses.
    Address {
        /// The port, when it is stated.
        port: Option<u16>,
        /// The IPv4 address.
        ipv4: Option<Ipv4Addr>,
        /// The IPv6 address.
        ipv6: Option<Ipv6Addr>,
    },
    /// At a name with an address record (A or AAAA).
    Name {
        /// The port, when it is stated.
        port: Option<u16>,
        /// The name.
        name: String,
    },
    /// At a name with a service record (SRV), which has the ports.
    Service {
        /// The name.
        name: String,
    },
}

/// Where a pool describes itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolMetadata {
    /// The address of the description.
    pub url: String,
    /// The hash of the description.
    pub hash: Vec<u8>,
}
