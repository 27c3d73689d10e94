//! Which escrow a message is about: network, script version and outpoint, so that it counts for no other.

use std::fmt;

use crate::hash::SignedFields;

/// An escrow, named so that a message about it is worth nothing on another network, script version or outpoint.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Binding {
    /// The network's magic number.
    pub magic: u32,
    /// Hash of the job logic script.
    pub script: [u8; 28],
    /// Transaction id (32 bytes), then output index (u16, big-endian).
    pub outpoint: [u8; 34],
}

impl Binding {
    /// Names the output `index` of transaction `transaction_id`.
    pub fn new(magic: u32, script: [u8; 28], transaction_id: [u8; 32], index: u16) -> Self {
        let mut outpoint = [0; 34];
        let (id, place) = outpoint.split_at_mut(32);
        id.copy_from_slice(&transaction_id);
        place.copy_from_slice(&index.to_be_bytes());
        Self { magic, script, outpoint }
    }
}

impl SignedFields {
    /// magic u32 ‖ script hash 28 ‖ outpoint 34.
    #[must_use]
    pub(crate) fn binding(self, binding: &Binding) -> Self {
        self.u32(binding.magic).bytes(&binding.script).bytes(&binding.outpoint)
    }
}

impl fmt::Display for Binding {
    /// As `transaction id#index`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, index) = self.outpoint.split_at(32);
        let index = index.iter().fold(0_u16, |value, byte| value << 8 | u16::from(*byte));
        write!(f, "{}#{index}", hex::encode(id))
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Binding({self}, script {}, network {})", hex::encode(self.script), self.magic)
    }
}
