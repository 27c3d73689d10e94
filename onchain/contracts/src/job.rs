//! The job escrow: its datum, and the redeemers of its ways out.

use nunet_ledger::{Address, Lovelace, PosixMs};
use pallas_primitives::PlutusData;

use crate::{
    committee::CommitteeId,
    data::{self, DataError},
    ntx::Ntx,
    verdict::Leaf,
    voucher::Voucher,
};

/// Hash of what requester and provider both signed; it names the job.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgreementHash(pub [u8; 32]);

impl std::fmt::Display for AgreementHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl std::fmt::Debug for AgreementHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AgreementHash({self})")
    }
}

/// The terms that an escrow carries on chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobDatum {
    /// Who locked the money, and where the rest goes.
    pub requester: Address,
    /// Where the payout goes.
    pub provider: Address,
    /// What right work costs.
    pub price: Ntx,
    /// What the committee's treasury gets when a verdict settles.
    pub fee: Ntx,
    /// What the provider loses for proven wrong work.
    pub bond: Ntx,
    /// Lovelace that the requester gets back.
    pub deposit: Lovelace,
    /// Lovelace that goes to the provider with the payout.
    pub carry: Lovelace,
    /// From when on anyone may refund.
    pub deadline: PosixMs,
    /// Which committee judges.
    pub committee: CommitteeId,
    /// What both sides signed.
    pub agreement: AgreementHash,
    /// The key that signs vouchers, when the job is paid as it goes.
    pub voucher_key: Option<[u8; 32]>,
}

impl JobDatum {
    /// As Plutus data, fields in the order of the validator.
    pub fn to_data(&self) -> Result<PlutusData, DataError> {
        Ok(data::constr(
            0,
            vec![
                data::address("requester", &self.requester)?,
                data::address("provider", &self.provider)?,
                data::int(self.price.0),
                data::int(self.fee.0),
                data::int(self.bond.0),
                data::int(self.deposit.0),
                data::int(self.carry.0),
                data::int(self.deadline.0),
                data::bytes(&self.committee.0),
                data::bytes(&self.agreement.0),
                data::bytes(self.voucher_key.as_ref().map_or(&[], |key| key.as_slice())),
            ],
        ))
    }

    /// The bytes that stand in the escrow output.
    pub fn to_cbor(&self) -> Result<Vec<u8>, DataError> {
        Ok(data::to_cbor(&self.to_data()?))
    }

    /// From the CBOR of an escrow's datum on the network with this id. Nothing runs at lock, so any bytes may stand
    /// there: negative or oversized amounts, wrong widths and extra fields are refused.
    pub fn from_cbor(cbor: &[u8], network_id: u8) -> Result<Self, DataError> {
        const WHAT: &str = "job datum";
        let datum = data::from_cbor(WHAT, cbor)?;
        let [requester, provider, price, fee, bond, deposit, carry, deadline, committee, agreement, voucher_key] =
            data::fields::<11>(WHAT, &datum, 0)?;
        let voucher_key = match data::as_bytes("voucher key", voucher_key)? {
            [] => None,
            _ => Some(data::as_array("voucher key", voucher_key)?),
        };
        Ok(Self {
            requester: data::as_address("requester", requester, network_id)?,
            provider: data::as_address("provider", provider, network_id)?,
            price: Ntx(data::as_u64("price", price)?),
            fee: Ntx(data::as_u64("fee", fee)?),
            bond: Ntx(data::as_u64("bond", bond)?),
            deposit: Lovelace(data::as_u64("deposit", deposit)?),
            carry: Lovelace(data::as_u64("carry", carry)?),
            deadline: PosixMs(data::as_u64("deadline", deadline)?),
            committee: CommitteeId(data::as_array("committee", committee)?),
            agreement: AgreementHash(data::as_array("agreement", agreement)?),
            voucher_key,
        })
    }

    /// The NTX that the escrow must hold: price, fee and bond. `None` when the sum does not fit 64 bits.
    pub fn locked(&self) -> Option<Ntx> {
        self.price.0.checked_add(self.fee.0)?.checked_add(self.bond.0).map(Ntx)
    }
}

/// One entry of a settlement, in outpoint order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettleItem {
    /// Nothing slashed, and the requester's output tells what is paid; the provider is the merged payee at this index.
    FromOutput {
        /// Index among the merged payees.
        provider: u64,
    },
    /// Both amounts are given.
    Explicit {
        /// Index among the merged payees; `None` when the provider gets nothing.
        provider: Option<u64>,
        /// Index among the merged payees; `None` when the requester has an output of its own, or gets nothing.
        requester: Option<u64>,
        /// NTX paid of the price.
        paid: Ntx,
        /// NTX slashed of the bond.
        slashed: Ntx,
    },
    /// A leaf of the verdict whose escrow is not settled here.
    Skipped(Leaf),
}

impl SettleItem {
    fn to_data(self) -> PlutusData {
        match self {
            Self::FromOutput { provider } => data::int(provider),
            Self::Explicit { provider, requester, paid, slashed } => {
                data::constr(0, vec![place(provider), place(requester), data::int(paid.0), data::int(slashed.0)])
            }
            Self::Skipped(leaf) => data::bytes(&leaf.to_bytes()),
        }
    }

    fn from_data(item: &PlutusData) -> Result<Self, DataError> {
        if let Ok(provider) = data::as_u64("item", item) {
            return Ok(Self::FromOutput { provider });
        }
        if let Ok(leaf) = data::as_array::<{ Leaf::WIDTH }>("item", item) {
            return Ok(Self::Skipped(Leaf::from_bytes(leaf)));
        }
        let [provider, requester, paid, slashed] = data::fields::<4>("item", item, 0)?;
        Ok(Self::Explicit {
            provider: as_place(provider)?,
            requester: as_place(requester)?,
            paid: Ntx(data::as_u64("paid", paid)?),
            slashed: Ntx(data::as_u64("slashed", slashed)?),
        })
    }
}

/// The place of a merged payout; -1 for none.
fn place(place: Option<u64>) -> PlutusData {
    place.map_or_else(data::minus_one, data::int)
}

fn as_place(item: &PlutusData) -> Result<Option<u64>, DataError> {
    if *item == data::minus_one() { Ok(None) } else { data::as_u64("place of a payout", item).map(Some) }
}

fn places(places: &[Option<u64>]) -> PlutusData {
    data::list(places.iter().copied().map(place).collect())
}

fn as_places(items: &PlutusData) -> Result<Vec<Option<u64>>, DataError> {
    data::as_list("providers", items)?.iter().map(as_place).collect()
}

/// What the logic script is told: the way out of every escrow in the transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobAction {
    /// By a verdict of the committee.
    Settle {
        /// Index of the committee's output among the reference inputs.
        committee: u64,
        /// One entry per member in the datum's order: the signature, or `None`.
        signatures: Vec<Option<[u8; 64]>>,
        /// The evidence root that the members signed.
        evidence: [u8; 32],
        /// How many merged payee outputs there are.
        payees: u64,
        /// One item per leaf.
        items: Vec<SettleItem>,
    },
    /// By the requesters, who sign a full release.
    Accept {
        /// How many merged payee outputs there are.
        payees: u64,
        /// The payee's index for each escrow, in input order; `None` where nothing goes to the provider.
        providers: Vec<Option<u64>>,
    },
    /// By the deadline.
    Refund {
        /// How many merged payee outputs there are.
        payees: u64,
        /// The payee's index for each escrow, in input order; `None` where nothing goes to the provider.
        providers: Vec<Option<u64>>,
    },
    /// By requester and provider together, in any way.
    Agree,
    /// By the provider, with what the requester's vouchers allow.
    Redeem {
        /// One for each escrow, in input order.
        vouchers: Vec<Voucher>,
    },
}

impl JobAction {
    /// As the redeemer of the logic script's withdrawal.
    pub fn to_data(&self) -> PlutusData {
        match self {
            Self::Settle { committee, signatures, evidence, payees, items } => data::constr(
                0,
                vec![
                    data::int(*committee),
                    data::signatures(signatures),
                    data::bytes(evidence),
                    data::int(*payees),
                    data::list(items.iter().map(|item| item.to_data()).collect()),
                ],
            ),
            Self::Accept { payees, providers } => data::constr(1, vec![data::int(*payees), places(providers)]),
            Self::Refund { payees, providers } => data::constr(2, vec![data::int(*payees), places(providers)]),
            Self::Agree => data::constr(3, vec![]),
            Self::Redeem { vouchers } => {
                let vouchers = vouchers.iter().map(|voucher| voucher.to_data()).collect();
                data::constr(4, vec![data::list(vouchers)])
            }
        }
    }

    /// From the redeemer of the logic script's withdrawal.
    pub fn from_data(redeemer: &PlutusData) -> Result<Self, DataError> {
        const WHAT: &str = "job redeemer";
        if let Ok([payees, providers]) = data::fields::<2>(WHAT, redeemer, 1) {
            return Ok(Self::Accept { payees: data::as_u64("payees", payees)?, providers: as_places(providers)? });
        }
        if let Ok([payees, providers]) = data::fields::<2>(WHAT, redeemer, 2) {
            return Ok(Self::Refund { payees: data::as_u64("payees", payees)?, providers: as_places(providers)? });
        }
        if let Ok([]) = data::fields::<0>(WHAT, redeemer, 3) {
            return Ok(Self::Agree);
        }
        if let Ok([vouchers]) = data::fields::<1>(WHAT, redeemer, 4) {
            let vouchers =
                data::as_list("vouchers", vouchers)?.iter().map(Voucher::from_data).collect::<Result<_, _>>()?;
            return Ok(Self::Redeem { vouchers });
        }
        let [committee, signatures, evidence, payees, items] = data::fields::<5>(WHAT, redeemer, 0)?;
        let items =
            data::as_list("items", items)?.iter().map(SettleItem::from_data).collect::<Result<_, DataError>>()?;
        Ok(Self::Settle {
            committee: data::as_u64("committee", committee)?,
            signatures: data::as_signatures(signatures)?,
            evidence: data::as_array("evidence", evidence)?,
            payees: data::as_u64("payees", payees)?,
            items,
        })
    }
}
