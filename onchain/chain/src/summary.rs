//! What a transaction moves, in words, for whoever is about to sign it: a pure function of the transaction itself, the
//! outputs behind it, and the account that reads it.

mod words;

use std::collections::BTreeMap;

use nunet_ledger::{
    Address, AssetId, Certificate, Credential, Datum, Lovelace, NetworkMagic, OutPoint, RewardAccount, Slot, TxId,
    TxOut, Value,
};

pub use self::words::Names;
use crate::{
    signed::{Proof, Unsigned},
    wallet::Account,
};

/// Why there are no words for a transaction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SummaryError {
    /// What goes in is not what comes out.
    #[error(
        "the amounts of transaction {id} do not add up ({what}): somebody lies about what it consumes. Do not sign it"
    )]
    Unbalanced {
        /// The transaction.
        id: TxId,
        /// Of what there is too much or too little.
        what: String,
    },
    /// Deposits are paid and given back in one, so that neither can be told from the other.
    #[error(
        "transaction {id} registers and deregisters stake credentials at once: who gets which deposit cannot be told. Do not sign it"
    )]
    MixedDeposits {
        /// The transaction.
        id: TxId,
    },
}

/// Amounts with a sign, of lovelace and assets: above zero when they leave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Lovelace.
    pub lovelace: i128,
    /// Assets, none of them zero.
    pub assets: BTreeMap<AssetId, i128>,
}

impl Flow {
    fn add(&mut self, value: &Value, sign: i128) {
        self.lovelace += sign * i128::from(value.lovelace().0);
        for (asset, quantity) in value.assets() {
            self.add_asset(asset, sign * i128::from(quantity));
        }
    }

    fn add_asset(&mut self, asset: &AssetId, quantity: i128) {
        let sum = self.assets.entry(asset.clone()).or_default();
        *sum += quantity;
        if *sum == 0 {
            self.assets.remove(asset);
        }
    }
}

/// An output that is not the reader's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// To whom.
    pub to: Address,
    /// What.
    pub value: Value,
    /// Who decides about it from then on.
    pub held_by: Holder,
    /// What comes with it.
    pub carries: Vec<Cargo>,
}

/// Who decides about an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Whoever has the key.
    Key,
    /// A script: without the right datum and redeemer nobody gets the money out.
    Script,
    /// The reader's own payment key, but with a stake key of somebody else: this wallet would not find it again.
    OwnKeyForeignStake,
}

/// What an output holds beside its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cargo {
    /// A datum.
    Datum(Datum),
    /// A reference script.
    Script,
}

/// The deposits of a transaction's certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deposit {
    /// Nothing moves.
    None,
    /// Held by the ledger until the certificates are taken back.
    Paid(Lovelace),
    /// Given back.
    Returned(Lovelace),
}

/// A withdrawal of staking rewards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewards {
    /// From which account.
    pub account: RewardAccount,
    /// How much.
    pub amount: Lovelace,
}

/// What a transaction moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The transaction.
    pub id: TxId,
    /// The network that it is for.
    pub magic: NetworkMagic,
    /// The outputs that are not the reader's, in order.
    pub payments: Vec<Payment>,
    /// What the reader's outputs that are consumed hold.
    pub spent: Flow,
    /// What comes back to the reader's addresses.
    pub back: Flow,
    /// What outputs of others that are consumed hold.
    pub others_spent: Flow,
    /// What leaves the reader for good or for a while: spent and withdrawn, less what comes back.
    pub leaving: Flow,
    /// The network fee.
    pub fee: Lovelace,
    /// Deposits of certificates.
    pub deposit: Deposit,
    /// Withdrawals, whoever's.
    pub withdrawals: Vec<Rewards>,
    /// What is minted (above zero) and burnt (below).
    pub minted: BTreeMap<AssetId, i64>,
    /// Certificates, in order.
    pub certificates: Vec<Certificate>,
    /// The reader's own stake credential.
    pub own_stake: Option<Credential>,
    /// Whether scripts see a signature of the reader's as consent to what they are asked.
    pub consents: bool,
    /// How many scripts run.
    pub scripts: usize,
    /// What the reader loses, instead of everything above, when a script fails.
    pub collateral: Flow,
    /// First slot of validity.
    pub valid_from: Option<Slot>,
    /// First slot after it.
    pub valid_until: Option<Slot>,
    /// Consumed outputs and collateral whose contents are only claimed.
    pub unproven: Vec<OutPoint>,
}

/// Who reads.
struct Reader<'a>(Option<&'a Account>);

impl Reader<'_> {
    /// Whether the reader's signature is what releases this output.
    fn controls(&self, output: &TxOut) -> bool {
        self.0.is_some_and(|account| account.controls(&output.address))
    }

    /// Whether the reader's wallet will find the output at one of its addresses.
    fn owns(&self, address: &Address) -> bool {
        self.0.is_some_and(|account| account.owns(address))
    }

    fn holder(&self, output: &TxOut) -> Holder {
        match output.address.payment() {
            Some(Credential::Script(_)) => Holder::Script,
            _ if self.controls(output) => Holder::OwnKeyForeignStake,
            _ => Holder::Key,
        }
    }
}

impl Summary {
    /// What a transaction moves, as the holder of an account sees it (or somebody who only looks).
    ///
    /// What the file or the chain says about consumed outputs is held against the transaction: amounts that do not add up
    /// are an error.
    pub fn of(unsigned: &Unsigned, reader: Option<&Account>) -> Result<Self, SummaryError> {
        let reader = Reader(reader);
        let body = &unsigned.transaction().body;
        let outputs: BTreeMap<OutPoint, (&TxOut, Proof)> =
            unsigned.resolved().map(|resolved| (resolved.outpoint, (resolved.output, resolved.proof))).collect();
        let (mut spent, mut others_spent, mut back) = (Flow::default(), Flow::default(), Flow::default());
        let mut total = Flow::default();
        for (output, _) in body.inputs.iter().filter_map(|input| outputs.get(input)) {
            total.add(&output.value, 1);
            if reader.controls(output) { &mut spent } else { &mut others_spent }.add(&output.value, 1);
        }
        let mut payments = Vec::new();
        for output in &body.outputs {
            total.add(&output.value, -1);
            if reader.owns(&output.address) && output.reference_script.is_none() {
                back.add(&output.value, 1);
            } else {
                payments.push(payment(output, reader.holder(output)));
            }
        }
        let mut leaving = spent.clone();
        subtract(&mut leaving, &back);
        for (account, amount) in &body.withdrawals {
            total.lovelace += i128::from(amount.0);
            if reader.0.is_some_and(|reader| reader.stake_account() == *account) {
                leaving.lovelace += i128::from(amount.0);
            }
        }
        for (asset, quantity) in &body.mint {
            total.add_asset(asset, i128::from(*quantity));
        }
        total.lovelace -= i128::from(body.fee.0);
        let own_stake = reader.0.map(|account| account.stake_account().credential);
        let (registered, removed) = registrations(&body.certificates);
        if !registered.is_empty() && !removed.is_empty() {
            return Err(SummaryError::MixedDeposits { id: unsigned.id() });
        }
        let deposit =
            deposit(&total, &body.certificates).map_err(|what| SummaryError::Unbalanced { id: unsigned.id(), what })?;
        // What the ledger holds for the reader is the reader's too.
        if let (Deposit::Returned(lovelace), Some(own)) = (deposit, own_stake) {
            let own = removed.iter().filter(|credential| ***credential == own).count() as i128;
            leaving.lovelace += i128::from(lovelace.0) * own / removed.len().max(1) as i128;
        }

        let mut collateral = Flow::default();
        for (output, _) in body.collateral.iter().filter_map(|input| outputs.get(input)) {
            if reader.controls(output) {
                collateral.add(&output.value, 1);
            }
        }
        if let Some(output) = body.collateral_return.as_ref().filter(|output| reader.owns(&output.address)) {
            collateral.add(&output.value, -1);
        }
        let claimed = |outpoint: &&OutPoint| outputs.get(outpoint).is_none_or(|(_, proof)| *proof == Proof::Claimed);
        Ok(Self {
            id: unsigned.id(),
            magic: unsigned.magic(),
            payments,
            spent,
            back,
            others_spent,
            leaving,
            fee: body.fee,
            deposit,
            withdrawals: body
                .withdrawals
                .iter()
                .map(|(account, amount)| Rewards { account: *account, amount: *amount })
                .collect(),
            minted: body.mint.clone(),
            certificates: body.certificates.clone(),
            own_stake,
            consents: body.required_signers.iter().any(|key| reader.0.is_some_and(|own| own.path_of(key).is_some())),
            scripts: unsigned.transaction().witnesses.redeemers.len(),
            collateral,
            valid_from: body.valid_from,
            valid_until: body.valid_until,
            unproven: body.inputs.union(&body.collateral).filter(claimed).copied().collect(),
        })
    }
}

fn payment(output: &TxOut, held_by: Holder) -> Payment {
    let datum = output.datum.clone().map(Cargo::Datum);
    let script = output.reference_script.as_ref().map(|_| Cargo::Script);
    let carries = datum.into_iter().chain(script).collect();
    Payment { to: output.address.clone(), value: output.value.clone(), held_by, carries }
}

fn subtract(flow: &mut Flow, other: &Flow) {
    flow.lovelace -= other.lovelace;
    for (asset, quantity) in &other.assets {
        flow.add_asset(asset, -quantity);
    }
}

/// The credentials that certificates register, and those that they remove.
fn registrations(certificates: &[Certificate]) -> (Vec<&Credential>, Vec<&Credential>) {
    let (mut registered, mut removed) = (Vec::new(), Vec::new());
    for certificate in certificates {
        match certificate {
            Certificate::RegisterStake(credential) | Certificate::RegisterAndDelegate { credential, .. } => {
                registered.push(credential);
            }
            Certificate::DeregisterStake(credential) => removed.push(credential),
            Certificate::Delegate { .. } => {}
        }
    }
    (registered, removed)
}

/// What the certificates hold or give back, found as the difference of everything else: it must be the same for each of
/// them, and nothing without them.
fn deposit(total: &Flow, certificates: &[Certificate]) -> Result<Deposit, String> {
    if let Some((asset, quantity)) = total.assets.iter().next() {
        return Err(format!("{quantity} of asset {asset}"));
    }
    let (registered, removed) = registrations(certificates);
    let count = registered.len() as i128 - removed.len() as i128;
    let amount = total.lovelace;
    let fits = if count == 0 { amount == 0 } else { amount % count == 0 && amount / count >= 0 };
    let lovelace = u64::try_from(amount.unsigned_abs()).ok().filter(|_| fits).map(Lovelace);
    match lovelace.ok_or_else(|| format!("{amount} lovelace"))? {
        Lovelace(0) => Ok(Deposit::None),
        lovelace if count > 0 => Ok(Deposit::Paid(lovelace)),
        lovelace => Ok(Deposit::Returned(lovelace)),
    }
}
