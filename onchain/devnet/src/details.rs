//! What a transaction says beyond its effects: read once from its bytes, for the answers of the HTTP API.

mod metadata;

use std::collections::BTreeMap;

use nunet_ledger::{
    AssetId, CborError, Credential, ExUnits, KeyHash, Lovelace, OutPoint, Purpose, RewardAccount, Script, ScriptHash,
    Slot,
    hash::blake2b_256,
    received::{ReceivedBody, ReceivedCertificate, ReceivedTx},
};

/// A transaction's parts that its effects do not show.
#[derive(Clone, Debug, Default)]
#[cfg_attr(test, derive(PartialEq))]
pub(crate) struct Details {
    pub(crate) inputs: Vec<OutPoint>,
    pub(crate) collateral: Vec<OutPoint>,
    pub(crate) references: Vec<OutPoint>,
    pub(crate) valid_from: Option<Slot>,
    pub(crate) valid_until: Option<Slot>,
    pub(crate) mint: BTreeMap<AssetId, i64>,
    pub(crate) withdrawals: BTreeMap<RewardAccount, Lovelace>,
    pub(crate) certificates: Vec<ReceivedCertificate>,
    pub(crate) required_signers: Vec<KeyHash>,
    pub(crate) redeemers: Vec<RedeemerDetail>,
    /// Scripts in the witness set.
    pub(crate) scripts: Vec<Script>,
    /// Datums in the witness set, as CBOR.
    pub(crate) datums: Vec<Vec<u8>>,
    /// Metadata as CBOR, by label.
    pub(crate) metadata: BTreeMap<u64, Vec<u8>>,
}

/// A redeemer, as far as the API shows it.
#[derive(Clone, Debug)]
#[cfg_attr(test, derive(PartialEq))]
pub(crate) struct RedeemerDetail {
    pub(crate) purpose: Purpose,
    pub(crate) index: u32,
    /// blake2b-256 of the argument.
    pub(crate) data_hash: [u8; 32],
    /// What it declares.
    pub(crate) units: ExUnits,
    pub(crate) runs: Runs,
}

/// What tells the script that a redeemer is for.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(test, derive(PartialEq))]
pub(crate) enum Runs {
    /// The address of this input.
    AtInput(OutPoint),
    /// The transaction itself.
    Script(ScriptHash),
    /// Nothing: the redeemer points beside the transaction's parts.
    Nothing,
}

impl Details {
    /// Reads a transaction of the Conway era.
    pub(crate) fn read(cbor: &[u8]) -> Result<Self, CborError> {
        let ReceivedTx { body, witnesses, auxiliary, .. } = ReceivedTx::decode(cbor)?;
        let redeemers = witnesses.redeemers.iter().map(|((purpose, index), redeemer)| RedeemerDetail {
            purpose: *purpose,
            index: *index,
            data_hash: blake2b_256(redeemer.data),
            units: redeemer.units,
            runs: runs(&body, *purpose, *index).unwrap_or(Runs::Nothing),
        });
        Ok(Self {
            // The ledger's rules refuse a transaction whose auxiliary data has none of the three forms.
            metadata: auxiliary.and_then(|all| metadata::metadata(all.bytes).ok()).unwrap_or_default(),
            redeemers: redeemers.collect(),
            scripts: witnesses.scripts.into_values().collect(),
            datums: witnesses.datums.into_values().map(<[u8]>::to_vec).collect(),
            inputs: body.inputs.into_iter().collect(),
            collateral: body.collateral.into_iter().collect(),
            references: body.reference_inputs.into_iter().collect(),
            valid_from: body.valid_from,
            valid_until: body.valid_until,
            mint: body.mint,
            withdrawals: body.withdrawals,
            certificates: body.certificates,
            required_signers: body.required_signers.into_iter().collect(),
        })
    }

    /// The stake credentials that certificates register or remove, with the certificates' indices.
    pub(crate) fn stake_events(&self) -> impl Iterator<Item = (usize, Credential, StakeEvent)> {
        self.certificates.iter().enumerate().filter_map(|(index, certificate)| match certificate {
            ReceivedCertificate::Register { credential, .. }
            | ReceivedCertificate::RegisterAndDelegate { credential, .. } => {
                Some((index, *credential, StakeEvent::Registered))
            }
            ReceivedCertificate::Deregister { credential, .. } => Some((index, *credential, StakeEvent::Removed)),
            _ => None,
        })
    }
}

/// The stake credential that a certificate is about, if it is about one.
pub(crate) fn stake_credential(certificate: &ReceivedCertificate) -> Option<Credential> {
    match certificate {
        ReceivedCertificate::Register { credential, .. }
        | ReceivedCertificate::Deregister { credential, .. }
        | ReceivedCertificate::Delegate { credential, .. }
        | ReceivedCertificate::RegisterAndDelegate { credential, .. } => Some(*credential),
        ReceivedCertificate::RegisterPool(_)
        | ReceivedCertificate::RetirePool { .. }
        | ReceivedCertificate::Other { .. } => None,
    }
}

/// What a certificate does to a stake credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StakeEvent {
    /// It has an account from now on.
    Registered,
    /// It has none any more.
    Removed,
}

fn runs(body: &ReceivedBody, purpose: Purpose, index: u32) -> Option<Runs> {
    let index = usize::try_from(index).ok()?;
    let credential = match purpose {
        Purpose::Spend => return body.inputs.iter().nth(index).map(|input| Runs::AtInput(*input)),
        Purpose::Mint => {
            let mut policies: Vec<_> = body.mint.keys().map(|asset| asset.policy).collect();
            policies.dedup();
            return policies.get(index).map(|policy| Runs::Script(*policy));
        }
        Purpose::Withdraw => body.withdrawals.keys().nth(index)?.credential,
        Purpose::Certify => body.certificates.get(index)?.witness()?,
    };
    match credential {
        Credential::Script(hash) => Some(Runs::Script(hash)),
        Credential::Key(_) => None,
    }
}
