//! What a Plutus V3 script is shown of a transaction, as [`PlutusLedgerApi.V3`] defines it.
//!
//! [`PlutusLedgerApi.V3`]: https://plutus.cardano.intersectmbo.org/haddock/latest/plutus-ledger-api/PlutusLedgerApi-V3.html

use std::collections::BTreeMap;

use anyhow::Context;
use nunet_ledger::{
    Credential, DRep, Datum, Delegation, OutPoint, PoolId, Purpose, ScriptHash, Slot, SlotConfig, TxOut,
    received::{ReceivedCertificate, ReceivedTx},
};

use super::data::Data;

/// A transaction and what it refers to, with the part of the context that all of its scripts share.
pub(super) struct ScriptContext<'a> {
    tx: &'a ReceivedTx<'a>,
    resolved: &'a BTreeMap<OutPoint, TxOut>,
    /// `TxInfo`, encoded.
    info: Vec<u8>,
}

impl<'a> ScriptContext<'a> {
    pub(super) fn new(
        tx: &'a ReceivedTx<'a>,
        resolved: &'a BTreeMap<OutPoint, TxOut>,
        slots: &SlotConfig,
    ) -> anyhow::Result<Self> {
        let mut context = Self { tx, resolved, info: Vec::new() };
        context.info = context.tx_info(slots)?.to_cbor()?;
        Ok(context)
    }

    /// The script that a redeemer is for.
    pub(super) fn script_for(&self, purpose: Purpose, index: u32) -> anyhow::Result<ScriptHash> {
        let body = &self.tx.body;
        let credential = match purpose {
            Purpose::Spend => self.resolve(&self.input(index)?)?.address.payment(),
            Purpose::Mint => Some(Credential::Script(self.policy(index)?)),
            Purpose::Certify => match body.certificates.get(index as usize) {
                Some(
                    ReceivedCertificate::Register { credential, .. }
                    | ReceivedCertificate::Deregister { credential, .. },
                ) => Some(*credential),
                _ => None,
            },
            Purpose::Withdraw => body.withdrawals.keys().nth(index as usize).map(|account| account.credential),
        };
        match credential {
            Some(Credential::Script(hash)) => Ok(hash),
            _ => anyhow::bail!("redeemer {purpose:?} {index} is for no script"),
        }
    }

    /// `ScriptContext` for the script of a redeemer.
    pub(super) fn for_script(&self, purpose: Purpose, index: u32) -> anyhow::Result<Data> {
        let redeemer = self.tx.witnesses.redeemers.get(&(purpose, index)).context("there is no such redeemer")?;
        let info = match purpose {
            Purpose::Spend => {
                let input = self.input(index)?;
                Data::Constr(1, vec![Data::outpoint(input), Data::maybe(self.datum_of(&input)?)])
            }
            // As for the list of redeemers, which has no datums.
            _ => self.purpose(purpose, index)?,
        };
        Ok(Data::Constr(0, vec![Data::Encoded(self.info.clone()), Data::Encoded(redeemer.data.to_vec()), info]))
    }

    fn tx_info(&self, slots: &SlotConfig) -> anyhow::Result<Data> {
        let (body, witnesses) = (&self.tx.body, &self.tx.witnesses);
        let mint = body.mint.iter().map(|(asset, quantity)| (asset.policy, asset.name.clone(), (*quantity).into()));
        let withdrawals = body.withdrawals.iter();
        let redeemers = witnesses.redeemers.iter().map(|((purpose, index), redeemer)| {
            Ok((self.purpose(*purpose, *index)?, Data::Encoded(redeemer.data.to_vec())))
        });
        let datums =
            witnesses.datums.iter().map(|(hash, datum)| (Data::Bytes(hash.to_vec()), Data::Encoded(datum.to_vec())));
        Ok(Data::Constr(
            0,
            vec![
                self.inputs(body.inputs.iter())?,
                self.inputs(body.reference_inputs.iter())?,
                Data::List(body.outputs.iter().map(|sized| output(&sized.output)).collect::<anyhow::Result<_>>()?),
                Data::Int(body.fee.0.into()),
                Data::Map(Data::policies(mint)),
                Data::List(body.certificates.iter().map(certificate).collect::<anyhow::Result<_>>()?),
                Data::Map(
                    withdrawals
                        .map(|(account, amount)| (Data::credential(account.credential), Data::Int(amount.0.into())))
                        .collect(),
                ),
                valid_range(body.valid_from, body.valid_until, slots),
                Data::List(body.required_signers.iter().map(|key| Data::Bytes(key.0.to_vec())).collect()),
                Data::Map(redeemers.collect::<anyhow::Result<_>>()?),
                Data::Map(datums.collect()),
                Data::Bytes(self.tx.id.0.to_vec()),
                // No votes, proposals, treasury or donation: `nunet-ledger` refuses transactions that have any.
                Data::Map(Vec::new()),
                Data::List(Vec::new()),
                Data::maybe(None),
                Data::maybe(None),
            ],
        ))
    }

    /// `ScriptPurpose`.
    fn purpose(&self, purpose: Purpose, index: u32) -> anyhow::Result<Data> {
        let body = &self.tx.body;
        Ok(match purpose {
            Purpose::Mint => Data::Constr(0, vec![Data::script(self.policy(index)?)]),
            Purpose::Spend => Data::Constr(1, vec![Data::outpoint(self.input(index)?)]),
            Purpose::Withdraw => {
                let account = body.withdrawals.keys().nth(index as usize).context("there is no such withdrawal")?;
                Data::Constr(2, vec![Data::credential(account.credential)])
            }
            Purpose::Certify => {
                let found = body.certificates.get(index as usize).context("there is no such certificate")?;
                Data::Constr(3, vec![Data::Int(index.into()), certificate(found)?])
            }
        })
    }

    fn policy(&self, index: u32) -> anyhow::Result<ScriptHash> {
        let mut policies: Vec<ScriptHash> = self.tx.body.mint.keys().map(|asset| asset.policy).collect();
        policies.dedup();
        policies.get(index as usize).copied().context("there is no such policy")
    }

    fn input(&self, index: u32) -> anyhow::Result<OutPoint> {
        self.tx.body.inputs.iter().nth(index as usize).copied().context("there is no such input")
    }

    fn resolve(&self, outpoint: &OutPoint) -> anyhow::Result<&'a TxOut> {
        self.resolved.get(outpoint).with_context(|| format!("{outpoint} is unknown"))
    }

    fn datum_of(&self, outpoint: &OutPoint) -> anyhow::Result<Option<Data>> {
        Ok(match &self.resolve(outpoint)?.datum {
            None => None,
            Some(Datum::Inline(datum)) => Some(Data::Encoded(datum.clone())),
            Some(Datum::Hash(hash)) => {
                let datum = self.tx.witnesses.datums.get(hash).context("a datum is missing")?;
                Some(Data::Encoded(datum.to_vec()))
            }
        })
    }

    fn inputs<'b>(&self, outpoints: impl Iterator<Item = &'b OutPoint>) -> anyhow::Result<Data> {
        let inputs = outpoints
            .map(|outpoint| Ok(Data::Constr(0, vec![Data::outpoint(*outpoint), output(self.resolve(outpoint)?)?])));
        Ok(Data::List(inputs.collect::<anyhow::Result<_>>()?))
    }
}

/// `TxOut`.
fn output(output: &TxOut) -> anyhow::Result<Data> {
    let address = Data::address(&output.address).context("an address of the Byron era has no form in Plutus V3")?;
    let datum = match &output.datum {
        None => Data::Constr(0, Vec::new()),
        Some(Datum::Hash(hash)) => Data::Constr(1, vec![Data::Bytes(hash.to_vec())]),
        Some(Datum::Inline(datum)) => Data::Constr(2, vec![Data::Encoded(datum.clone())]),
    };
    let script = output.reference_script.as_ref().map(|script| Data::script(script.hash()));
    Ok(Data::Constr(0, vec![address, Data::value(&output.value), datum, Data::maybe(script)]))
}

/// `TxCert`, with the deposit where the certificate states it.
fn certificate(certificate: &ReceivedCertificate) -> anyhow::Result<Data> {
    let (number, credential, deposit) = match certificate {
        ReceivedCertificate::Register { credential, deposit } => (0, credential, deposit),
        ReceivedCertificate::Deregister { credential, refund } => (1, credential, refund),
        ReceivedCertificate::Delegate { credential, to } => {
            return Ok(Data::Constr(2, vec![Data::credential(*credential), delegatee(*to)]));
        }
        ReceivedCertificate::RegisterAndDelegate { credential, to, deposit } => {
            let fields = vec![Data::credential(*credential), delegatee(*to), Data::Int(deposit.0.into())];
            return Ok(Data::Constr(3, fields));
        }
        ReceivedCertificate::RegisterPool(_) | ReceivedCertificate::RetirePool { .. } => {
            anyhow::bail!("certificates of pools are not shown here")
        }
        ReceivedCertificate::Other { tag } => anyhow::bail!("a certificate of kind {tag} is not shown here"),
    };
    let deposit = deposit.map(|amount| Data::Int(amount.0.into()));
    Ok(Data::Constr(number, vec![Data::credential(*credential), Data::maybe(deposit)]))
}

/// `Delegatee`
fn delegatee(to: Delegation) -> Data {
    let pool = |pool: PoolId| Data::Bytes(pool.0.to_vec());
    let representative = |drep: DRep| match (drep, drep.credential()) {
        (_, Some(credential)) => Data::Constr(0, vec![Data::credential(credential)]),
        (DRep::NoConfidence, None) => Data::Constr(2, Vec::new()),
        (_, None) => Data::Constr(1, Vec::new()),
    };
    match to {
        Delegation::Stake(stake) => Data::Constr(0, vec![pool(stake)]),
        Delegation::Vote(drep) => Data::Constr(1, vec![representative(drep)]),
        Delegation::StakeAndVote(stake, drep) => Data::Constr(2, vec![pool(stake), representative(drep)]),
    }
}

/// `POSIXTimeRange`: the first slot's begin is in it, that of the first slot after it is not.
fn valid_range(from: Option<Slot>, until: Option<Slot>, slots: &SlotConfig) -> Data {
    let time = |slot| Data::Constr(1, vec![Data::Int(slots.begin(slot).0.into())]);
    let lower = from.map_or_else(|| Data::Constr(0, Vec::new()), time);
    let closed = until.is_none();
    let upper = until.map_or_else(|| Data::Constr(2, Vec::new()), time);
    Data::Constr(
        0,
        vec![Data::Constr(0, vec![lower, Data::bool(true)]), Data::Constr(0, vec![upper, Data::bool(closed)])],
    )
}
