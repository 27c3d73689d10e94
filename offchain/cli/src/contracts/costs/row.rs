//! One row of the table: what a transaction that the devnet took into a block cost.

use anyhow::Context;
use nunet_devnet::Applied;
use nunet_ledger::{ExUnits, Lovelace, ProtocolParameters, fees};
use serde_json::{Value, json};

/// A transaction and its costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Which transaction; its first word is the way or step.
    pub transaction: String,
    /// How many escrows it locks or closes.
    pub escrows: u64,
    /// Its size as the ledger counts it.
    pub bytes: u64,
    /// Execution units of all its scripts.
    pub units: ExUnits,
    /// The network fee.
    pub fee: Lovelace,
    /// The least lovelace that its outputs must hold, the payer's change left out.
    pub min_ada: Lovelace,
}

impl Row {
    /// Reads a confirmed transaction, the first `outputs` of whose outputs are the protocol's.
    pub(super) fn read(
        transaction: String,
        escrows: u64,
        applied: &Applied,
        outputs: usize,
        params: &ProtocolParameters,
    ) -> Self {
        let own = applied.produced.iter().take(outputs);
        Self {
            transaction,
            escrows,
            bytes: fees::ledger_size(&applied.cbor) as u64,
            units: applied.units.iter().fold(ExUnits::default(), |sum, (_, _, units)| sum.plus(*units)),
            fee: applied.fee,
            min_ada: Lovelace(own.map(|(_, output)| fees::min_ada(params, output).0).sum()),
        }
    }

    /// The fee's share of one escrow, rounded up.
    pub fn fee_per_escrow(&self) -> Lovelace {
        Lovelace(self.fee.0.div_ceil(self.escrows.max(1)))
    }

    /// As one line of JSON.
    pub fn to_json(&self) -> Value {
        json!({
            "transaction": self.transaction,
            "escrows": self.escrows,
            "bytes": self.bytes,
            "mem": self.units.mem,
            "steps": self.units.steps,
            "fee_lovelace": self.fee.0,
            "min_ada_lovelace": self.min_ada.0,
        })
    }

    /// Reads what [`Row::to_json`] wrote.
    pub fn from_json(line: &str) -> anyhow::Result<Self> {
        let row: Value = serde_json::from_str(line).context("a row of costs is no JSON")?;
        let number = |name: &str| {
            row.get(name).and_then(Value::as_u64).with_context(|| format!("a row of costs has no number {name}"))
        };
        let transaction = row.get("transaction").and_then(Value::as_str).context("a row of costs has no name")?;
        Ok(Self {
            transaction: transaction.to_owned(),
            escrows: number("escrows")?,
            bytes: number("bytes")?,
            units: ExUnits { mem: number("mem")?, steps: number("steps")? },
            fee: Lovelace(number("fee_lovelace")?),
            min_ada: Lovelace(number("min_ada_lovelace")?),
        })
    }

    /// The head of the table.
    pub fn head() -> String {
        format!(
            "{:<40} {:>7} {:>6} {:>10} {:>14} {:>9} {:>10} {:>11}",
            "transaction", "escrows", "bytes", "mem", "steps", "fee", "per escrow", "min-ADA"
        )
    }

    /// A line of the table; amounts in ADA.
    pub fn to_text(&self) -> String {
        let each = if self.escrows > 0 { ada(self.fee_per_escrow()) } else { String::new() };
        format!(
            "{:<40} {:>7} {:>6} {:>10} {:>14} {:>9} {each:>10} {:>11}",
            self.transaction,
            self.escrows,
            self.bytes,
            self.units.mem,
            self.units.steps,
            ada(self.fee),
            ada(self.min_ada)
        )
    }
}

/// An amount in ADA, without the unit.
pub(super) fn ada(lovelace: Lovelace) -> String {
    format!("{}.{:06}", lovelace.0 / 1_000_000, lovelace.0 % 1_000_000)
}
