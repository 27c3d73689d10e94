//! Vouchers: what a requester signs, off chain, to let the provider take a part of the price.

use nunet_ledger::{NetworkMagic, OutPoint, ScriptHash, hash::blake2b_256};
use pallas_primitives::PlutusData;

use crate::{
    data::{self, DataError},
    ntx::Ntx,
};

const DOMAIN: &[u8] = b"nunet/voucher/1";

/// An amount of the price, with the signature that allows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Voucher {
    /// How much of the price.
    pub amount: Ntx,
    /// By the escrow's voucher key over [`voucher_message`]; `None` for an amount of 0, with which a provider declines.
    pub signature: Option<[u8; 64]>,
}

impl Voucher {
    /// Nothing: the provider declines the job, and all of the requester's money returns.
    pub const DECLINE: Self = Self { amount: Ntx(0), signature: None };

    pub(crate) fn to_data(self) -> PlutusData {
        let signature = self.signature.as_ref().map_or(&[][..], |signature| signature);
        data::constr(0, vec![data::int(self.amount.0), data::bytes(signature)])
    }

    pub(crate) fn from_data(item: &PlutusData) -> Result<Self, DataError> {
        let [amount, signature] = data::fields::<2>("voucher", item, 0)?;
        let signature = match data::as_bytes("signature", signature)? {
            [] => None,
            _ => Some(data::as_array("signature", signature)?),
        };
        Ok(Self { amount: Ntx(data::as_u64("amount", amount)?), signature })
    }
}

/// The 32 bytes that a requester signs to let the provider of `escrow` take `amount`, on this network under this version
/// of the job logic.
pub fn voucher_message(magic: NetworkMagic, logic: ScriptHash, escrow: OutPoint, amount: Ntx) -> [u8; 32] {
    let mut bytes = Vec::with_capacity(DOMAIN.len() + 4 + 28 + OutPoint::WIDTH + 8);
    bytes.extend_from_slice(DOMAIN);
    bytes.extend_from_slice(&magic.0.to_be_bytes());
    bytes.extend_from_slice(&logic.0);
    bytes.extend_from_slice(&escrow.to_bytes());
    bytes.extend_from_slice(&amount.0.to_be_bytes());
    blake2b_256(&bytes)
}
