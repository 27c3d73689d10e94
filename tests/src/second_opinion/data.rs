//! Plutus data as a script context is written: a tree, and its CBOR.

use minicbor::{
    Encoder,
    data::{Int, Tag},
};
use nunet_ledger::{Address, Credential, OutPoint, ScriptHash, Value};

/// Plutus data.
#[derive(Clone, Debug)]
pub(super) enum Data {
    /// A constructor below 7, and its fields.
    Constr(u64, Vec<Data>),
    /// Pairs, in order.
    Map(Vec<(Data, Data)>),
    /// A list.
    List(Vec<Data>),
    /// A number of 64 bits and a sign.
    Int(i128),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Data that is CBOR already.
    Encoded(Vec<u8>),
}

impl Data {
    pub(super) fn to_cbor(&self) -> anyhow::Result<Vec<u8>> {
        let mut encoder = Encoder::new(Vec::new());
        self.write(&mut encoder)?;
        Ok(encoder.into_writer())
    }

    fn write(&self, encoder: &mut Encoder<Vec<u8>>) -> anyhow::Result<()> {
        match self {
            Self::Constr(number, fields) => {
                encoder.tag(Tag::new(121 + number))?.array(fields.len() as u64)?;
                fields.iter().try_for_each(|field| field.write(encoder))?;
            }
            Self::Map(pairs) => {
                encoder.map(pairs.len() as u64)?;
                for (key, value) in pairs {
                    key.write(encoder)?;
                    value.write(encoder)?;
                }
            }
            Self::List(items) => {
                encoder.array(items.len() as u64)?;
                items.iter().try_for_each(|item| item.write(encoder))?;
            }
            Self::Int(number) => {
                encoder.int(Int::try_from(*number)?)?;
            }
            Self::Bytes(bytes) => {
                encoder.bytes(bytes)?;
            }
            Self::Encoded(bytes) => encoder.writer_mut().extend_from_slice(bytes),
        }
        Ok(())
    }

    /// `Just` or `Nothing`.
    pub(super) fn maybe(data: Option<Self>) -> Self {
        match data {
            Some(data) => Self::Constr(0, vec![data]),
            None => Self::Constr(1, Vec::new()),
        }
    }

    pub(super) fn bool(value: bool) -> Self {
        Self::Constr(u64::from(value), Vec::new())
    }

    pub(super) fn script(hash: ScriptHash) -> Self {
        Self::Bytes(hash.0.to_vec())
    }

    /// `Credential`.
    pub(super) fn credential(credential: Credential) -> Self {
        match credential {
            Credential::Key(hash) => Self::Constr(0, vec![Self::Bytes(hash.0.to_vec())]),
            Credential::Script(hash) => Self::Constr(1, vec![Self::script(hash)]),
        }
    }

    /// `TxOutRef`.
    pub(super) fn outpoint(outpoint: OutPoint) -> Self {
        Self::Constr(0, vec![Self::Bytes(outpoint.tx.0.to_vec()), Self::Int(outpoint.index.into())])
    }

    /// `Address` of the Shelley kind; `None` for another.
    pub(super) fn address(address: &Address) -> Option<Self> {
        let staking = address.stake().map(|credential| Self::Constr(0, vec![Self::credential(credential)]));
        Some(Self::Constr(0, vec![Self::credential(address.payment()?), Self::maybe(staking)]))
    }

    /// `Value`: lovelace under the empty policy and name, then the assets by policy.
    pub(super) fn value(value: &Value) -> Self {
        let lovelace = Self::Map(vec![(Self::Bytes(Vec::new()), Self::Int(value.lovelace().0.into()))]);
        let assets = value.assets().map(|(asset, quantity)| (asset.policy, asset.name.clone(), quantity.into()));
        let mut policies = vec![(Self::Bytes(Vec::new()), lovelace)];
        policies.extend(Self::policies(assets));
        Self::Map(policies)
    }

    /// Quantities by policy and name, from a list in canonical order.
    pub(super) fn policies(assets: impl Iterator<Item = (ScriptHash, Vec<u8>, i128)>) -> Vec<(Self, Self)> {
        let mut policies: Vec<(ScriptHash, Vec<(Self, Self)>)> = Vec::new();
        for (policy, name, quantity) in assets {
            if policies.last().is_none_or(|(last, _)| *last != policy) {
                policies.push((policy, Vec::new()));
            }
            if let Some((_, names)) = policies.last_mut() {
                names.push((Self::Bytes(name), Self::Int(quantity)));
            }
        }
        policies.into_iter().map(|(policy, names)| (Self::script(policy), Self::Map(names))).collect()
    }
}
