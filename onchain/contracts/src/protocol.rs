//! The compiled validators for one network and token: script hashes, addresses, and what must be on chain to use them.

use ed25519_dalek::{Signature, VerifyingKey};
use nunet_ledger::{
    Address, AssetId, Credential, Datum, NetworkMagic, OutPoint, RewardAccount, Script, ScriptHash, TxOut,
    evaluate::apply_params,
};
use serde::Deserialize;

use crate::{
    committee::{CommitteeDatum, CommitteeId, MemberKey},
    data::{self, DataError},
    verdict::Signatures,
};

/// The blueprint ([CIP-57](https://cips.cardano.org/cip/CIP-57)) that the Aiken project compiles to.
pub const BLUEPRINT: &str = include_str!("../../../validators/plutus.json");

/// Why the protocol cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    /// The checked-in blueprint cannot be read: a build mistake.
    #[error(
        "validators/plutus.json: {0}; rebuild it with NUNET_BLESS=1 cargo test -p nunet-contracts --test blueprint"
    )]
    Blueprint(String),
    /// A datum or output is not what the protocol needs.
    #[error(transparent)]
    Data(#[from] DataError),
    /// An output on chain is not the one that was asked for.
    #[error("{outpoint} is not {expected}: {problem}")]
    WrongOutput {
        /// The output.
        outpoint: OutPoint,
        /// What it should be.
        expected: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

#[derive(Deserialize)]
struct Blueprint {
    validators: Vec<BlueprintValidator>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlueprintValidator {
    title: String,
    compiled_code: String,
}

impl Blueprint {
    fn script(&self, prefix: &str) -> Result<Vec<u8>, ProtocolError> {
        let validator = self
            .validators
            .iter()
            .find(|validator| validator.title.starts_with(prefix))
            .ok_or_else(|| ProtocolError::Blueprint(format!("no validator {prefix}…")))?;
        hex::decode(&validator.compiled_code).map_err(|error| ProtocolError::Blueprint(format!("{prefix}…: {error}")))
    }
}

/// The validators with their parameters applied.
#[derive(Clone, Debug)]
pub struct Protocol {
    magic: NetworkMagic,
    ntx: AssetId,
    stub: Script,
    logic: Script,
    lease: Script,
    committee: Script,
}

impl Protocol {
    /// The protocol on the network with this magic, paying in this token.
    pub fn new(magic: NetworkMagic, ntx: AssetId) -> Result<Self, ProtocolError> {
        let blueprint: Blueprint =
            serde_json::from_str(BLUEPRINT).map_err(|error| ProtocolError::Blueprint(error.to_string()))?;
        let apply = |prefix: &str, params: &[_]| -> Result<Script, ProtocolError> {
            apply_params(&blueprint.script(prefix)?, params)
                .map(Script::PlutusV3)
                .map_err(|error| ProtocolError::Blueprint(format!("{prefix}…: {error}")))
        };
        let magic_data = data::int(u64::from(magic.0));
        let committee = apply("committee.committee.", std::slice::from_ref(&magic_data))?;
        let parameters =
            [magic_data, data::bytes(&ntx.policy.0), data::bytes(&ntx.name), data::bytes(&committee.hash().0)];
        let logic = apply("job.logic.", &parameters)?;
        let credential = data::constr(1, vec![data::bytes(&logic.hash().0)]);
        let stub = apply("job.stub.", &[credential])?;
        let lease = apply("lease.lease.", &parameters)?;
        Ok(Self { magic, ntx, stub, logic, lease, committee })
    }

    /// The network.
    pub fn magic(&self) -> NetworkMagic {
        self.magic
    }

    /// The network id in addresses: 1 on mainnet, 0 elsewhere.
    pub fn network_id(&self) -> u8 {
        self.magic.network_id()
    }

    /// The token.
    pub fn ntx(&self) -> &AssetId {
        &self.ntx
    }

    /// The script at the escrow address.
    pub fn stub(&self) -> &Script {
        &self.stub
    }

    /// The script that judges a whole transaction.
    pub fn logic(&self) -> &Script {
        &self.logic
    }

    /// The script at the lease address.
    pub fn lease(&self) -> &Script {
        &self.lease
    }

    /// The committee NFT's policy.
    pub fn committee(&self) -> &Script {
        &self.committee
    }

    /// The hash that verdicts name.
    pub fn logic_hash(&self) -> ScriptHash {
        self.logic.hash()
    }

    /// Where escrows are locked: the stub, without a stake part.
    pub fn escrow_address(&self) -> Address {
        Address::new(self.network_id(), Credential::Script(self.stub.hash()), None)
    }

    /// The stake account whose withdrawal runs the logic.
    pub fn logic_account(&self) -> RewardAccount {
        RewardAccount { network_id: self.network_id(), credential: Credential::Script(self.logic_hash()) }
    }

    /// The hash that faults name.
    pub fn lease_hash(&self) -> ScriptHash {
        self.lease.hash()
    }

    /// Where leases are: the script, without a stake part.
    pub fn lease_address(&self) -> Address {
        Address::new(self.network_id(), Credential::Script(self.lease_hash()), None)
    }

    /// Where committees live: their policy's script, without a stake part.
    pub fn committee_address(&self) -> Address {
        Address::new(self.network_id(), Credential::Script(self.committee.hash()), None)
    }

    /// A committee's NFT.
    pub fn committee_nft(&self, id: CommitteeId) -> AssetId {
        AssetId { policy: self.committee.hash(), name: id.0.to_vec() }
    }

    /// Where reference scripts live: the native script `any of nothing`, which nobody can satisfy.
    pub fn reference_address(&self) -> Address {
        // CBOR [2, []], the native script `any` of an empty list.
        let nobody = Script::Native(vec![0x82, 0x02, 0x80]);
        Address::new(self.network_id(), Credential::Script(nobody.hash()), None)
    }

    /// Reads a committee's output, trusting nothing about it.
    pub fn read_committee(
        &self,
        outpoint: OutPoint,
        output: &TxOut,
    ) -> Result<(CommitteeId, CommitteeDatum), ProtocolError> {
        let wrong = |problem: String| ProtocolError::WrongOutput { outpoint, expected: "a committee", problem };
        if output.address != self.committee_address() {
            return Err(wrong(format!("it is at {}, not at {}", output.address, self.committee_address())));
        }
        let mut nfts = output.value.assets().filter(|(asset, _)| asset.policy == self.committee.hash());
        let (Some((nft, 1)), None) = (nfts.next(), nfts.next()) else {
            return Err(wrong("it does not hold exactly one committee NFT".into()));
        };
        let name = nft.name.as_slice().try_into().map_err(|_| wrong("the NFT's name has not 32 bytes".into()))?;
        let Some(Datum::Inline(datum)) = &output.datum else {
            return Err(wrong("it has no inline datum".into()));
        };
        Ok((CommitteeId(name), CommitteeDatum::from_cbor(datum, self.network_id())?))
    }
}

/// The outputs on chain that transactions refer to.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// The validators.
    pub protocol: Protocol,
    /// The output that carries the stub as a reference script.
    pub stub: (OutPoint, TxOut),
    /// The output that carries the logic as a reference script.
    pub logic: (OutPoint, TxOut),
    /// The output that carries the lease as a reference script.
    pub lease: (OutPoint, TxOut),
}

impl Deployment {
    /// Checks that the outputs carry the scripts of `protocol`.
    pub fn new(
        protocol: Protocol,
        stub: (OutPoint, TxOut),
        logic: (OutPoint, TxOut),
        lease: (OutPoint, TxOut),
    ) -> Result<Self, ProtocolError> {
        for ((outpoint, output), script, expected) in [
            (&stub, &protocol.stub, "the stub's reference script"),
            (&logic, &protocol.logic, "the logic's reference script"),
            (&lease, &protocol.lease, "the lease's reference script"),
        ] {
            if output.reference_script.as_ref() != Some(script) {
                let problem = format!("it does not carry script {}", script.hash());
                return Err(ProtocolError::WrongOutput { outpoint: *outpoint, expected, problem });
            }
        }
        Ok(Self { protocol, stub, logic, lease })
    }
}

/// A committee where it stands on chain.
#[derive(Clone, Debug)]
pub struct Committee {
    /// Its NFT's name.
    pub id: CommitteeId,
    /// Its members, threshold and treasury.
    pub datum: CommitteeDatum,
    /// The output that transactions refer to.
    pub outpoint: OutPoint,
    /// That output.
    pub output: TxOut,
}

impl Committee {
    /// Reads a committee from its output.
    pub fn read(protocol: &Protocol, outpoint: OutPoint, output: TxOut) -> Result<Self, ProtocolError> {
        let (id, datum) = protocol.read_committee(outpoint, &output)?;
        Ok(Self { id, datum, outpoint, output })
    }

    /// Those of the signatures that are by members and verify, which are all that count: a validator refuses every other.
    pub fn verified(&self, message: &[u8; 32], signatures: &Signatures) -> Signatures {
        let verifies = |key: &MemberKey, signature: &[u8; 64]| {
            VerifyingKey::from_bytes(&key.0)
                .is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
        };
        let members = self.datum.members().iter().filter_map(|key| Some((*key, *signatures.get(key)?)));
        members.filter(|(key, signature)| verifies(key, signature)).collect()
    }

    /// Signatures in the order of the members, as redeemers hold them; those of keys that are no members are left out.
    pub fn aligned(&self, signatures: &Signatures) -> Vec<Option<[u8; 64]>> {
        self.datum.members().iter().map(|key| signatures.get(key).copied()).collect()
    }
}
