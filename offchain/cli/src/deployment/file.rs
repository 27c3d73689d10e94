//! The deployment file: one JSON object that names everything a deployment put on chain, for other commands to read.

use anyhow::{Context, ensure};
use nunet_chain::Chain;
use nunet_contracts::{Committee, CommitteeId, Deployment, Protocol};
use nunet_ledger::{AssetId, NetworkMagic, OutPoint, ScriptHash, TxOut};
use serde_json::{Value, json};

/// What a deployment file says. It is a list of places to look at: [`DeploymentFile::open`] reads them from the chain
/// and checks each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeploymentFile {
    /// The network.
    pub magic: NetworkMagic,
    /// The token.
    pub ntx: AssetId,
    /// The stub's hash and the output that carries it.
    pub stub: (ScriptHash, OutPoint),
    /// The logic's hash and the output that carries it.
    pub logic: (ScriptHash, OutPoint),
    /// The lease validator's hash and the output that carries it.
    pub lease: (ScriptHash, OutPoint),
    /// The committee. Its output moves when it rotates, so it is found by its NFT.
    pub committee: CommitteeId,
}

impl DeploymentFile {
    /// Names what stands on chain.
    pub fn new(deployment: &Deployment, committee: &Committee) -> Self {
        let protocol = &deployment.protocol;
        Self {
            magic: protocol.magic(),
            ntx: protocol.ntx().clone(),
            stub: (protocol.stub().hash(), deployment.stub.0),
            logic: (protocol.logic().hash(), deployment.logic.0),
            lease: (protocol.lease().hash(), deployment.lease.0),
            committee: committee.id,
        }
    }

    /// As JSON.
    pub fn to_json(&self) -> Value {
        let script = |(hash, outpoint): (ScriptHash, OutPoint)| json!({"hash": hash.to_string(), "outpoint": outpoint.to_string()});
        json!({
            "magic": self.magic.0,
            "ntx": dotted(&self.ntx),
            "reference_scripts": {"stub": script(self.stub), "logic": script(self.logic), "lease": script(self.lease)},
            "committee": {"id": self.committee.to_string()},
        })
    }

    /// Reads what [`DeploymentFile::to_json`] wrote; other fields are ignored.
    pub fn from_json(text: &str) -> anyhow::Result<Self> {
        let file: Value = serde_json::from_str(text).context("the deployment file is no JSON")?;
        let text = |value: &Value, path: &str| -> anyhow::Result<String> {
            let found = value.pointer(path).and_then(Value::as_str);
            Ok(found.with_context(|| format!("the deployment file has no text at {path}"))?.to_owned())
        };
        let script = |name: &str| -> anyhow::Result<(ScriptHash, OutPoint)> {
            let hash = text(&file, &format!("/reference_scripts/{name}/hash"))?;
            let outpoint = text(&file, &format!("/reference_scripts/{name}/outpoint"))?;
            Ok((hash.parse()?, outpoint.parse()?))
        };
        let magic = file.get("magic").and_then(Value::as_u64).and_then(|magic| u32::try_from(magic).ok());
        let ntx = text(&file, "/ntx")?;
        Ok(Self {
            magic: NetworkMagic(magic.context("the deployment file has no magic")?),
            ntx: parse_asset(&ntx).map_err(anyhow::Error::msg)?,
            stub: script("stub")?,
            logic: script("logic")?,
            lease: script("lease")?,
            committee: parse_committee(&text(&file, "/committee/id")?).map_err(anyhow::Error::msg)?,
        })
    }

    /// Reads from the chain what the file names, trusting nothing: the scripts must be those of this program.
    pub async fn open(&self, chain: &Chain) -> anyhow::Result<(Deployment, Committee)> {
        ensure!(
            chain.magic() == self.magic,
            "the deployment file is for the network with magic {}, the endpoint is of {}: use the other file or endpoint",
            self.magic.0,
            chain.magic().0
        );
        let protocol = Protocol::new(self.magic, self.ntx.clone())?;
        for (name, found, own) in [
            ("stub", self.stub.0, protocol.stub().hash()),
            ("logic", self.logic.0, protocol.logic().hash()),
            ("lease", self.lease.0, protocol.lease().hash()),
        ] {
            ensure!(
                found == own,
                "the deployment file names {name} {found}, this program's is {own}: it is of another version"
            );
        }
        let stub = read(chain, self.stub.1).await?;
        let logic = read(chain, self.logic.1).await?;
        let lease = read(chain, self.lease.1).await?;
        let deployment = Deployment::new(protocol, stub, logic, lease)?;
        let committee = chain.committee(&deployment.protocol, self.committee).await?;
        let committee = committee.with_context(|| format!("committee {} is not on this chain", self.committee))?;
        Ok((deployment, committee))
    }
}

async fn read(chain: &Chain, outpoint: OutPoint) -> anyhow::Result<(OutPoint, TxOut)> {
    Ok((outpoint, chain.unspent(&outpoint).await?))
}

/// An asset as people write it: policy, a dot, the name in hex.
pub fn dotted(asset: &AssetId) -> String {
    format!("{}.{}", asset.policy, hex::encode(&asset.name))
}

/// Reads [`dotted`]'s form, and the joined one that explorers show.
pub fn parse_asset(text: &str) -> Result<AssetId, String> {
    let bad = || {
        let shown: String = text.chars().take(140).collect();
        format!("{shown:?} is no asset: write POLICY.NAMEHEX, 56 hex digits, a dot and the name in hex")
    };
    let (policy, name) = text.split_once('.').or_else(|| text.split_at_checked(56)).ok_or_else(bad)?;
    let name = hex::decode(name).map_err(|_| bad())?;
    if name.len() > 32 {
        return Err(bad());
    }
    Ok(AssetId { policy: policy.parse().map_err(|_| bad())?, name })
}

/// Reads a committee's id.
pub fn parse_committee(text: &str) -> Result<CommitteeId, String> {
    let mut id = [0; 32];
    hex::decode_to_slice(text, &mut id).map_err(|_| {
        let shown: String = text.chars().take(80).collect();
        format!("{shown:?} is no committee: write the 64 hex digits of its NFT's name")
    })?;
    Ok(CommitteeId(id))
}
