//! The faucet: a key that the genesis funds and that pays whoever asks, by ordinary transactions.

use nunet_ledger::{
    Address, Credential, ExUnits, KeyHash, Lovelace, NetworkMagic, OutPoint, Transaction, TxBody, TxOut, VKeyWitness,
    Value, Witnesses,
    fees::{ledger_size, min_ada, min_fee},
    hash::{blake2b_224, blake2b_256},
    rules::LedgerState,
};
use pallas_crypto::key::ed25519::SecretKey;

use crate::{chain::SubmitError, genesis::Genesis};

/// The most lovelace that the faucet pays at once: a million ADA.
pub const MAX_FAUCET_LOVELACE: Lovelace = Lovelace(1_000_000_000_000);

/// The most of any other asset that the faucet pays at once, in base units.
pub const MAX_FAUCET_QUANTITY: u64 = 1_000_000_000_000;

/// The seed of the faucet's key is this text's blake2b-256: no secret, as nothing on a devnet is.
const SEED: &[u8] = b"nunet devnet faucet";

/// Why the faucet did not pay.
#[derive(Debug, thiserror::Error)]
pub enum FaucetError {
    /// There is no faucet.
    #[error("this devnet has no faucet; start it with one, or pay from a funded account")]
    None,
    /// An address of mainnet, or of an old era.
    #[error("{address} is no address of this devnet; give one that begins with addr_test1")]
    ForeignAddress {
        /// Whom to pay.
        address: Address,
    },
    /// More than one call gives.
    #[error(
        "the faucet pays at most {MAX_FAUCET_LOVELACE} and {MAX_FAUCET_QUANTITY} base units of an asset at once; ask \
         for less"
    )]
    TooMuch,
    /// Less than an output must hold.
    #[error("{given} is less than the {needed} that such an output must hold; ask for more")]
    TooLittle {
        /// What was asked for.
        given: Lovelace,
        /// What the ledger asks for.
        needed: Lovelace,
    },
    /// Nothing left.
    #[error("the faucet does not hold that much; {held} and what it has of other assets are left")]
    Short {
        /// The lovelace in its largest output.
        held: Lovelace,
    },
    /// The ledger or the mempool refused its transaction.
    #[error("the faucet's transaction was not taken: {0}")]
    Refused(Box<SubmitError>),
}

/// A key with funds.
#[derive(Debug)]
pub(crate) struct Faucet {
    key: SecretKey,
    address: Address,
    /// Its latest change, which holds nearly all of its funds while no rollback has undone it.
    change: Option<OutPoint>,
}

impl Faucet {
    /// A faucet that a genesis gives these funds.
    pub(crate) fn funded(genesis: &mut Genesis, funds: Value) -> Self {
        let key = SecretKey::from(blake2b_256(SEED));
        let hash = KeyHash(blake2b_224(key.public_key().as_ref()));
        let address = Address::new(NetworkMagic::DEVNET.network_id(), Credential::Key(hash), None);
        genesis.accounts.push((address.clone(), funds));
        Self { key, address, change: None }
    }

    /// A transaction that pays an address, on top of a state. Remembers its change for the next one.
    pub(crate) fn pay(&mut self, state: &LedgerState, to: &Address, value: &Value) -> Result<Vec<u8>, FaucetError> {
        self.check(state, to, value)?;
        let (from, held) = self.funds(state).ok_or(FaucetError::Short { held: Lovelace(0) })?;
        let short = || FaucetError::Short { held: held.lovelace() };
        let rest = held.checked_sub(value).ok_or_else(short)?;
        // The first draft has the widest fee, so that the second is no longer than it.
        let draft = self.transaction(from, to, value, &rest, Lovelace(u64::from(u32::MAX)));
        let fee = min_fee(&state.params, ledger_size(&draft.to_cbor()), ExUnits::default(), 0);
        let rest = rest.checked_sub(&Value::lovelace_only(fee)).ok_or_else(short)?;
        if rest.lovelace() < min_ada(&state.params, &TxOut::new(self.address.clone(), rest.clone())) {
            return Err(short());
        }
        let transaction = self.transaction(from, to, value, &rest, fee);
        self.change = Some(OutPoint { tx: transaction.id(), index: 1 });
        Ok(transaction.to_cbor())
    }

    fn check(&self, state: &LedgerState, to: &Address, value: &Value) -> Result<(), FaucetError> {
        if to.network_id() != Some(NetworkMagic::DEVNET.network_id()) {
            return Err(FaucetError::ForeignAddress { address: to.clone() });
        }
        let too_much = value.assets().any(|(_, quantity)| quantity > MAX_FAUCET_QUANTITY);
        if too_much || value.lovelace() > MAX_FAUCET_LOVELACE {
            return Err(FaucetError::TooMuch);
        }
        let needed = min_ada(&state.params, &TxOut::new(to.clone(), value.clone()));
        match value.lovelace() < needed {
            true => Err(FaucetError::TooLittle { given: value.lovelace(), needed }),
            false => Ok(()),
        }
    }

    /// The output to pay from: the latest change, or after a rollback or a restart the one with most lovelace.
    fn funds<'a>(&self, state: &'a LedgerState) -> Option<(OutPoint, &'a Value)> {
        let known = self.change.and_then(|change| Some((change, &state.utxo.get(&change)?.value)));
        known.or_else(|| {
            let own = state.utxo.iter().filter(|(_, output)| output.address == self.address);
            own.map(|(outpoint, output)| (*outpoint, &output.value)).max_by_key(|(_, value)| value.lovelace())
        })
    }

    fn transaction(&self, from: OutPoint, to: &Address, value: &Value, rest: &Value, fee: Lovelace) -> Transaction {
        let outputs = vec![TxOut::new(to.clone(), value.clone()), TxOut::new(self.address.clone(), rest.clone())];
        let body = TxBody { inputs: [from].into(), outputs, fee, ..TxBody::default() };
        let mut witness = VKeyWitness { key: [0; 32], signature: [0; 64] };
        witness.key.copy_from_slice(self.key.public_key().as_ref());
        witness.signature.copy_from_slice(self.key.sign(body.id().0).as_ref());
        Transaction { body, witnesses: Witnesses { vkeys: vec![witness], ..Witnesses::default() } }
    }
}
