//! Escrows: locked, settled, redeemed, and forged.

use std::collections::BTreeMap;

use ed25519_dalek::{Signer, SigningKey};
use nunet_contracts::{
    Consents, Escrow, EscrowTerms, JobDatum, Leaf, Ntx, TxPlan, Verdict, Voucher, data,
    transactions::{escrow_output, redeem, settle},
    voucher_message,
};
use nunet_ledger::{Datum, Lovelace, PosixMs, TxOut, Value};

use super::{Attempt, MARGIN_MS, TIP, part};
use crate::law::{
    flaw::Flaw,
    people::Money,
    stage::{PARTIES, Stage},
    step::{Op, Pick},
};

impl Stage {
    pub(super) fn lock(&mut self, op: &Op) -> anyhow::Result<Option<Attempt>> {
        let Op::Lock { count, requester, provider, price, fee, bond, deposit, carry, minutes, committee, voucher } = op
        else {
            return Ok(None);
        };
        let requester = usize::from(*requester) % PARTIES;
        let mut plan = TxPlan { valid_until: Some(self.landing()), ..TxPlan::default() };
        let mut brought = BTreeMap::new();
        for number in 0..usize::from(*count) {
            let provider = (usize::from(*provider) + number) % PARTIES;
            let datum = JobDatum {
                requester: self.address(requester, minutes.is_multiple_of(3)),
                provider: self.address(provider, minutes.is_multiple_of(2)),
                price: Ntx(*price),
                fee: Ntx(*fee),
                bond: Ntx(*bond),
                deposit: Lovelace(*deposit),
                carry: Lovelace(*carry),
                deadline: PosixMs(self.now().0 + u64::from(*minutes) * 60_000),
                committee: self.committee_at(*committee).id,
                agreement: self.agreement(),
                voucher_key: voucher.then(|| voucher_key(requester).verifying_key().to_bytes()),
            };
            if *bond > 0 && provider != requester {
                let brings = brought.entry(provider).or_insert(Money::default());
                *brings = *brings + Money { ntx: (*bond).into(), lovelace: (*carry).into() };
            }
            plan.outputs.push(escrow_output(&self.books.protocol, &EscrowTerms { datum, tip: TIP })?);
        }
        for (who, money) in brought {
            self.bring(&mut plan, who, money)?;
        }
        Ok(Some(Attempt::unjudged("lock", requester, plan)))
    }

    pub(super) fn settlement(
        &mut self,
        pick: Pick,
        skipped: u8,
        paid: u8,
        slashed: u8,
        payer: usize,
        flaws: &[Flaw],
    ) -> anyhow::Result<Option<Attempt>> {
        let Some(first) = self.picked(pick, |_| true).first().map(|escrow| escrow.datum.committee) else {
            return Ok(None);
        };
        let batch = self.picked(pick, |datum| datum.committee == first);
        let named = self.books.committee(first)?;
        let (judges, count, spoiled) = self.judges(named, flaws);
        let verdicts = &self.books.spoken.verdicts;
        let leaf = |escrow: &Escrow| match verdicts.get(&escrow.outpoint) {
            Some((paid, slashed, _)) => Leaf { escrow: escrow.outpoint, paid: *paid, slashed: *slashed },
            None => Leaf {
                escrow: escrow.outpoint,
                paid: Ntx(part(escrow.datum.price.0, paid)),
                slashed: Ntx(part(escrow.datum.bond.0, slashed)),
            },
        };
        let protocol = self.books.protocol.clone();
        let leaves: Vec<Leaf> = batch.iter().map(leaf).collect();
        let verdict = Verdict::new(protocol.magic(), protocol.logic_hash(), [pick.first; 32], leaves.clone())?;
        let (signatures, signers) = self.sign(&judges.datum, &verdict.message(), count, pick.first);
        for leaf in leaves {
            let verdict = self.books.spoken.verdicts.entry(leaf.escrow);
            verdict.or_insert((leaf.paid, leaf.slashed, Vec::new())).2.push(signers.clone());
        }
        let settled = &batch[..batch.len().saturating_sub(usize::from(skipped)).max(1)];
        let params = self.world.chain.params();
        let plan = settle(&self.world.deployment, &params, &judges, &verdict, &signatures, settled)?;
        Ok(Some(Attempt { spoiled, ..Attempt::new("settle", payer, plan) }))
    }

    pub(super) fn redemption(&mut self, pick: Pick, share: u8, payer: usize) -> anyhow::Result<Option<Attempt>> {
        let soon = self.now().0 + MARGIN_MS;
        let escrows = self.picked(pick, |datum| datum.bond.0 == 0 && datum.deadline.0 >= soon);
        let Some(deadline) = escrows.iter().map(|escrow| escrow.datum.deadline).min() else { return Ok(None) };
        let protocol = self.books.protocol.clone();
        let mut redeemed = Vec::new();
        for escrow in escrows {
            let amount = Ntx(part(escrow.datum.price.0, share));
            let voucher = match escrow.datum.voucher_key {
                Some(_) if amount.0 > 0 => {
                    let message = voucher_message(protocol.magic(), protocol.logic_hash(), escrow.outpoint, amount);
                    let key = voucher_key(self.books.owner(&escrow.datum.requester)?);
                    self.books.spoken.vouchers.insert((escrow.outpoint, amount));
                    Voucher { amount, signature: Some(key.sign(&message).to_bytes()) }
                }
                _ => Voucher::DECLINE,
            };
            redeemed.push((escrow, voucher));
        }
        let until = self.world.chain.slots().at(deadline);
        let (params, none) = (self.world.chain.params(), Consents::none());
        let kind = if redeemed.iter().all(|(_, voucher)| voucher.amount.0 == 0) { "decline" } else { "redeem" };
        let plan = redeem(&self.world.deployment, &params, &redeemed, &none, until)?;
        Ok(Some(Attempt::new(kind, payer, plan)))
    }

    pub(super) fn forgery(&mut self, victim: usize, lacks: u64, payer: usize) -> anyhow::Result<Attempt> {
        const BOND: usize = 4;
        let datum = JobDatum {
            requester: self.address(payer, false),
            provider: self.address(victim, false),
            price: Ntx(0),
            fee: Ntx(0),
            bond: Ntx(0),
            deposit: Lovelace(0),
            carry: Lovelace(0),
            deadline: PosixMs(0),
            committee: self.committee_at(0).id,
            agreement: self.agreement(),
            voucher_key: None,
        };
        let pallas_primitives::PlutusData::Constr(constr) = datum.to_data()? else { anyhow::bail!("no job") };
        let mut fields = constr.fields.to_vec();
        let less = pallas_codec::utils::Int::from(-i64::try_from(lacks)?);
        fields[BOND] = pallas_primitives::PlutusData::BigInt(pallas_primitives::BigInt::Int(less));
        let mut output = TxOut::new(self.books.protocol.escrow_address(), Value::lovelace_only(TIP));
        output.datum = Some(Datum::Inline(data::to_cbor(&data::constr(0, fields))));
        Ok(Attempt::unjudged("forge", payer, TxPlan { outputs: vec![output], ..TxPlan::default() }))
    }
}

/// The key that signs somebody's vouchers.
fn voucher_key(who: usize) -> SigningKey {
    SigningKey::from_bytes(&[100 + who as u8; 32])
}
