//! Addresses of the Byron era: what the rules must know of them (the `Byron` CDDL; CIP-19, header type 8).

use pallas_addresses::byron::{AddrAttrProperty, AddrAttrs, AddrType, AddressPayload, ByronAddress, SpendingData};
use pallas_codec::minicbor;

use crate::{address::Address, received::BootstrapWitness, units::KeyHash};

/// A Byron address's parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ByronParts {
    /// What a bootstrap witness must hash to.
    pub(crate) root: KeyHash,
    /// Size of the attributes in bytes.
    pub(crate) attributes_size: usize,
    /// 1 on mainnet, 0 elsewhere, like a Shelley header's.
    pub(crate) network_id: u8,
}

impl ByronParts {
    /// The parts of an address; `None` when it is not of the Byron era.
    pub(crate) fn of(address: &Address) -> Option<Self> {
        let byron = ByronAddress::from_bytes(address.as_bytes()).ok()?;
        let payload = byron.decode().ok()?;
        let tagged = payload.attributes.iter().any(|attribute| matches!(attribute, AddrAttrProperty::NetworkTag(_)));
        Some(Self {
            root: KeyHash(*payload.root),
            attributes_size: attributes_size(&payload.attributes),
            network_id: u8::from(!tagged),
        })
    }

    /// Whether the bytes are exactly a Byron address, with the right checksum.
    pub(crate) fn is_exact(bytes: &[u8]) -> bool {
        let canonical = ByronAddress::from_bytes(bytes)
            .ok()
            .and_then(|byron| byron.decode().ok())
            .map(|payload: AddressPayload| ByronAddress::from(payload).to_vec());
        canonical.as_deref() == Some(bytes)
    }
}

impl BootstrapWitness<'_> {
    /// The root that addresses of this key have; `None` when the attributes are none, or the chain code is no half of a
    /// key.
    pub(crate) fn root(&self) -> Option<KeyHash> {
        let attributes: AddrAttrs = minicbor::decode(self.attributes).ok()?;
        let chain_code: [u8; 32] = self.chain_code.try_into().ok()?;
        let key = SpendingData::PubKey([self.key, chain_code].concat().into());
        Some(KeyHash(*AddressPayload::hash_address_id(&AddrType::PubKey, &key, &attributes)))
    }
}

/// The size of the attributes' values, as `bootstrapAddressAttrsSize` counts it: the derivation path.
fn attributes_size(attributes: &AddrAttrs) -> usize {
    attributes
        .iter()
        .map(|attribute| match attribute {
            AddrAttrProperty::DerivationPath(path) => path.len(),
            AddrAttrProperty::AddrDistr(_) | AddrAttrProperty::NetworkTag(_) => 0,
        })
        .sum()
}
