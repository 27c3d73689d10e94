//! What the chain holds before its first block: funded addresses, and the devnet's own NTX.

use nunet_ledger::{Address, AssetId, KeyHash, Lovelace, OutPoint, Script, Transaction, TxBody, TxId, TxOut, Value};

use crate::chain::Applied;

/// The asset name of NTX, in ASCII.
pub const NTX_NAME: &[u8] = b"NTX";

/// What [`devnet_genesis`] sets aside for each account as an output of lovelace only, for use as collateral.
pub const COLLATERAL_OUTPUT: Lovelace = Lovelace(5_000_000);

/// The lovelace that [`devnet_genesis`] puts beside an account's NTX.
pub const NTX_OUTPUT_LOVELACE: Lovelace = Lovelace(5_000_000);

/// The largest number of outputs a genesis can have: an output's index has 16 bits.
pub const MAX_GENESIS_OUTPUTS: usize = 1 << 16;

/// What the chain starts from.
#[derive(Clone, Debug, Default)]
pub struct Genesis {
    /// One output each, in this order; an address may appear any number of times.
    pub accounts: Vec<(Address, Value)>,
}

/// Why a chain cannot start from a genesis.
#[derive(Debug, thiserror::Error)]
pub enum GenesisError {
    /// More outputs than indices.
    #[error("the genesis has {count} outputs, but only {MAX_GENESIS_OUTPUTS} can be indexed; fund fewer accounts")]
    TooManyOutputs {
        /// How many there are.
        count: usize,
    },
    /// An address of mainnet.
    #[error("the genesis funds {address}, a mainnet address; derive it with network id 0")]
    MainnetAddress {
        /// The address.
        address: Address,
    },
    /// More than 64 bits of something.
    #[error("the genesis holds more than 2^64 - 1 of an asset; lower the amounts")]
    Overflow,
    /// Too little for what an account is to hold.
    #[error("{address} is to start with {given}, but its outputs need at least {needed}; raise its lovelace")]
    TooLittle {
        /// Whose account.
        address: Address,
        /// What it was to get.
        given: Lovelace,
        /// What its outputs hold at least.
        needed: Lovelace,
    },
}

/// The devnet's NTX policy: a native script that a signature of one key satisfies
/// (`[0, key hash]` in the CDDL of [native scripts](https://cips.cardano.org/cip/CIP-29)).
pub fn ntx_policy(key_hash: KeyHash) -> Script {
    // array(2), unsigned 0, bytes(28)
    let mut cbor = vec![0x82, 0x00, 0x58, 0x1c];
    cbor.extend_from_slice(&key_hash.0);
    Script::Native(cbor)
}

/// The asset id of the devnet's NTX under [`ntx_policy`].
pub fn ntx_asset(key_hash: KeyHash) -> AssetId {
    AssetId { policy: ntx_policy(key_hash).hash(), name: NTX_NAME.to_vec() }
}

/// What one address starts with.
#[derive(Clone, Debug)]
pub struct Funding {
    /// Whose it is.
    pub address: Address,
    /// All its lovelace.
    pub lovelace: Lovelace,
    /// Its NTX, in base units; zero for none.
    pub ntx: u64,
}

/// A genesis that funds accounts in the shape a wallet wants: one output for collateral, one with the NTX if there is
/// any, one with the rest of the lovelace.
///
/// Errors when an account's lovelace cannot cover these outputs.
pub fn devnet_genesis(ntx: &AssetId, accounts: &[Funding]) -> Result<Genesis, GenesisError> {
    let mut genesis = Genesis::default();
    for Funding { address, lovelace, ntx: quantity } in accounts {
        let beside_ntx = if *quantity > 0 { NTX_OUTPUT_LOVELACE.0 } else { 0 };
        let set_aside = COLLATERAL_OUTPUT.0 + beside_ntx;
        // The rest is an output too, and must not fall below what an output needs.
        let needed = Lovelace(set_aside + COLLATERAL_OUTPUT.0);
        if *lovelace < needed {
            return Err(GenesisError::TooLittle { address: address.clone(), given: *lovelace, needed });
        }
        genesis.accounts.push((address.clone(), Value::lovelace_only(COLLATERAL_OUTPUT)));
        if *quantity > 0 {
            let value = Value::lovelace_only(NTX_OUTPUT_LOVELACE).with(ntx.clone(), *quantity);
            genesis.accounts.push((address.clone(), value.ok_or(GenesisError::Overflow)?));
        }
        genesis.accounts.push((address.clone(), Value::lovelace_only(Lovelace(lovelace.0 - set_aside))));
    }
    Ok(genesis)
}

impl Genesis {
    /// The genesis as the transaction without inputs that block 0 holds.
    pub(crate) fn transaction(&self) -> Result<Applied, GenesisError> {
        if self.accounts.len() > MAX_GENESIS_OUTPUTS {
            return Err(GenesisError::TooManyOutputs { count: self.accounts.len() });
        }
        let mut total = Value::default();
        let mut outputs = Vec::with_capacity(self.accounts.len());
        for (address, value) in &self.accounts {
            if address.network_id() == Some(1) {
                return Err(GenesisError::MainnetAddress { address: address.clone() });
            }
            total = total.checked_add(value).ok_or(GenesisError::Overflow)?;
            outputs.push(TxOut::new(address.clone(), value.clone()));
        }
        let transaction = Transaction { body: TxBody { outputs, ..TxBody::default() }, ..Transaction::default() };
        let id: TxId = transaction.id();
        let cbor = transaction.to_cbor();
        // The count was checked above, so every index fits.
        let produced = (0..=u16::MAX).map(|index| OutPoint { tx: id, index }).zip(transaction.body.outputs).collect();
        Ok(Applied::genesis(id, cbor, produced, total))
    }
}
