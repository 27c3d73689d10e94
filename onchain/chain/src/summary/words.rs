//! The words for a summary, line by line.

use nunet_contracts::Ntx;
use nunet_ledger::{AssetId, Certificate, Credential, DRep, Datum, Delegation, Lovelace, Value};

use super::{Cargo, Deposit, Flow, Holder, Payment, Summary};

/// Most bytes of a datum that are shown.
const MAX_SHOWN: usize = 512;

/// The assets that have a name which can be trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The network's NTX.
    pub ntx: Option<AssetId>,
}

impl Names {
    /// A quantity of an asset: `12.5 NTX`, or base units of an asset by its id. The name that an asset's maker gave it
    /// proves nothing, and is shown in quotes after the id.
    pub fn amount(&self, asset: &AssetId, quantity: u64) -> String {
        if self.ntx.as_ref() == Some(asset) {
            return Ntx(quantity).to_string();
        }
        let id = format!("{quantity} base units of {}.{}", asset.policy, hex::encode(&asset.name));
        match std::str::from_utf8(&asset.name) {
            Ok(name) if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()) => {
                format!("{id} (calls itself {name:?})")
            }
            _ => id,
        }
    }

    /// Everything in a value, lovelace first.
    pub fn value(&self, value: &Value) -> String {
        let assets = value.assets().map(|(asset, quantity)| self.amount(asset, quantity));
        let lovelace = Some(value.lovelace()).filter(|lovelace| lovelace.0 > 0 || value.assets().len() == 0);
        join(lovelace.map(|lovelace| lovelace.to_string()).into_iter().chain(assets))
    }

    /// What of a flow goes in one direction; `None` when nothing does.
    fn part(&self, flow: &Flow, sign: i128) -> Option<String> {
        // Sums can be more than any output holds: then the largest that can be shown stands for more.
        let amount = |quantity: i128| {
            let quantity = sign * quantity;
            (quantity > 0).then(|| u64::try_from(quantity).unwrap_or(u64::MAX))
        };
        let lovelace = amount(flow.lovelace).map(|lovelace| Lovelace(lovelace).to_string());
        let assets = flow.assets.iter().filter_map(|(asset, quantity)| Some(self.amount(asset, amount(*quantity)?)));
        let parts: Vec<String> = lovelace.into_iter().chain(assets).collect();
        (!parts.is_empty()).then(|| join(parts))
    }
}

fn join(parts: impl IntoIterator<Item = String>) -> String {
    parts.into_iter().collect::<Vec<_>>().join(" + ")
}

impl Summary {
    /// What the transaction moves, for people: one fact a line, what matters most first.
    pub fn lines(&self, names: &Names) -> Vec<String> {
        let mut lines: Vec<String> = self.payments.iter().map(|payment| payment_line(payment, names)).collect();
        if let Some(back) = names.part(&self.back, 1) {
            lines.push(format!("comes back to this wallet: {back}"));
        }
        lines.push(format!("network fee: {}", self.fee));
        lines.extend(self.certificate_lines());
        for rewards in &self.withdrawals {
            lines.push(format!("withdraws {} of rewards from {}", rewards.amount, rewards.account));
        }
        for (asset, quantity) in &self.minted {
            let verb = if *quantity > 0 { "mints" } else { "burns" };
            lines.push(format!("{verb} {}", names.amount(asset, quantity.unsigned_abs())));
        }
        if let Some(others) = names.part(&self.others_spent, 1) {
            lines.push(format!("also spends, of others: {others}"));
        }
        if self.scripts > 0 {
            lines.push(format!("runs {} script(s)", self.scripts));
        }
        if self.consents {
            lines.push(
                "your signature is also CONSENT for every script that asks for it, whatever it then allows".into(),
            );
        }
        if let Some(collateral) = names.part(&self.collateral, 1) {
            lines.push(format!("should a script fail, this wallet loses {collateral} instead of all this"));
        }
        lines.push(self.validity());
        lines.push(match names.part(&self.leaving, 1) {
            Some(leaving) => format!("leaves this wallet in total: {leaving}"),
            None => "nothing leaves this wallet".into(),
        });
        if let Some(entering) = names.part(&self.leaving, -1) {
            lines.push(format!("this wallet gets: {entering}"));
        }
        if !self.unproven.is_empty() {
            lines.push(format!(
                "UNPROVEN: the amounts of {} consumed output(s) are only claimed by whoever made the file",
                self.unproven.len()
            ));
        }
        lines
    }

    fn certificate_lines(&self) -> impl Iterator<Item = String> {
        let deposit = match self.deposit {
            Deposit::None => None,
            Deposit::Paid(lovelace) => {
                Some(format!("deposits {lovelace}, which go back to whoever deregisters these credentials"))
            }
            Deposit::Returned(lovelace) => Some(format!("takes deposits of {lovelace} back")),
        };
        let certificates = self.certificates.iter().map(|certificate| match certificate {
            Certificate::RegisterStake(credential) => format!("registers {}", self.whose(credential)),
            Certificate::DeregisterStake(credential) => {
                format!("deregisters {}", self.whose(credential))
            }
            Certificate::Delegate { credential, to } => {
                format!("delegates {} of {}", delegated(*to), self.whose(credential))
            }
            Certificate::RegisterAndDelegate { credential, to, .. } => {
                format!("registers {} and delegates {}", self.whose(credential), delegated(*to))
            }
        });
        certificates.chain(deposit).collect::<Vec<_>>().into_iter()
    }

    fn whose(&self, credential: &Credential) -> String {
        match self.own_stake {
            Some(own) if own == *credential => format!("this wallet's stake credential {}", hash(credential)),
            Some(_) => format!("SOMEBODY ELSE'S stake credential {}", hash(credential)),
            None => format!("the stake credential {}", hash(credential)),
        }
    }

    fn validity(&self) -> String {
        match (self.valid_from, self.valid_until) {
            (None, None) => "valid for ever: it can be sent at any time".into(),
            (Some(from), None) => format!("valid from slot {}, for ever", from.0),
            (None, Some(until)) => format!("valid before slot {}", until.0),
            (Some(from), Some(until)) => format!("valid from slot {} to before slot {}", from.0, until.0),
        }
    }
}

fn delegated(to: Delegation) -> String {
    let vote = |drep: DRep| match drep {
        DRep::Key(hash) => format!("the vote to representative {hash}"),
        DRep::Script(hash) => format!("the vote to representative {hash}, a script"),
        DRep::Abstain => "the vote to nobody (it abstains)".to_owned(),
        DRep::NoConfidence => "the vote to no confidence in the committee".to_owned(),
    };
    match to {
        Delegation::Stake(pool) => format!("the stake to pool {pool}"),
        Delegation::Vote(drep) => vote(drep),
        Delegation::StakeAndVote(pool, drep) => format!("the stake to pool {pool}, and {}", vote(drep)),
    }
}

fn payment_line(payment: &Payment, names: &Names) -> String {
    let mut line = format!("pays {} to {}", names.value(&payment.value), payment.to);
    match payment.held_by {
        Holder::Key => {}
        Holder::Script => line.push_str(", a script"),
        Holder::OwnKeyForeignStake => {
            line.push_str(
                ", which is this wallet's payment key with somebody else's stake key: the wallet will not see it",
            );
        }
    }
    for cargo in &payment.carries {
        match cargo {
            Cargo::Datum(Datum::Inline(datum)) => line.push_str(&format!(", with the datum {}", shortened(datum))),
            Cargo::Datum(Datum::Hash(hash)) => {
                line.push_str(&format!(", with the datum whose hash is {}", hex::encode(hash)));
            }
            Cargo::Script => line.push_str(", with a reference script"),
        }
    }
    line
}

/// Bytes in hex, up to a length that a terminal takes.
fn shortened(bytes: &[u8]) -> String {
    match bytes.get(..MAX_SHOWN) {
        None => hex::encode(bytes),
        Some(first) => format!("{}… ({} bytes)", hex::encode(first), bytes.len()),
    }
}

fn hash(credential: &Credential) -> String {
    match credential {
        Credential::Key(hash) => format!("{hash} (a key)"),
        Credential::Script(hash) => format!("{hash} (a script)"),
    }
}
