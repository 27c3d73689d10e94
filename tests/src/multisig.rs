//! A multisig as a party: a native script, its address, and the registered account by which it consents.

use nunet::{accounts::Role, world::World};
use nunet_chain::Wallet;
use nunet_contracts::{
    Consents, ScriptConsent, TxPlan,
    consent::{Argument, ScriptSource},
};
use nunet_ledger::{Address, Certificate, Credential, Lovelace, Script};

/// Two of three keys.
pub struct Multisig {
    script: Script,
}

impl Multisig {
    /// The script of these keys, with its stake account registered by the operator.
    pub async fn register(world: &World, wallets: [&Wallet; 3]) -> anyhow::Result<Self> {
        // CBOR `[3, 2, [[0, key], [0, key], [0, key]]]`.
        let keys = wallets.map(|wallet| [&[0x82, 0x00, 0x58, 0x1c], wallet.key_hash().0.as_slice()].concat()).concat();
        let multisig = Self { script: Script::Native([&[0x83, 0x03, 0x02, 0x83], keys.as_slice()].concat()) };
        let certificates = vec![Certificate::RegisterStake(multisig.credential())];
        let plan = TxPlan { certificates, ..TxPlan::default() };
        world.place(&plan, world.accounts.wallet(Role::Operator)).await?;
        Ok(multisig)
    }

    fn credential(&self) -> Credential {
        Credential::Script(self.script.hash())
    }

    /// Its address, without a stake part.
    pub fn address(&self) -> Address {
        Address::new(0, self.credential(), None)
    }

    /// Its consent, by the signatures of these.
    pub fn consent(&self, signers: [&Wallet; 2]) -> anyhow::Result<Consents> {
        let keys = signers.map(Wallet::key_hash).into();
        let source = ScriptSource::Attached(self.script.clone());
        Ok(Consents::none().with(ScriptConsent::new(source, Lovelace(0), Argument::Signers(keys))?))
    }
}
