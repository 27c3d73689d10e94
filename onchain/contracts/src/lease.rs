//! The lease: its datum, the redeemers of its ways, and a lease as it stands on chain.
//!
//! A lease is one output that pays for a machine by the period. The lessor claims rent as it falls due; the lessee tops
//! it up. [`rent`] has the arithmetic, [`event`] reads from the chain what happened to one.

pub mod event;
pub mod rent;

use nunet_ledger::{Address, Datum, Lovelace, OutPoint, PosixMs, TxOut};
use pallas_primitives::PlutusData;

use crate::{
    committee::CommitteeId,
    data::{self, DataError},
    job::AgreementHash,
    ntx::Ntx,
    protocol::Protocol,
};
use rent::{LeaseState, Rate};

/// The terms that a lease carries on chain, and how far it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseDatum {
    /// Who pays the rent, and gets back what is left of it.
    pub lessee: Address,
    /// Who is paid.
    pub lessor: Address,
    /// What a period costs.
    pub rate: Rate,
    /// Until when rent is paid; at first, when the lease begins.
    pub paid_until: PosixMs,
    /// When the lease ends. It only ever moves earlier.
    pub end: PosixMs,
    /// How long before the new end the lessee must say so, in milliseconds.
    pub notice_ms: u64,
    /// How long after the end faults can still be charged, in milliseconds.
    pub window_ms: u64,
    /// Until when faults are charged already.
    pub faults_until: PosixMs,
    /// What is left of what the lessor put up for faults.
    pub bond: Ntx,
    /// Charges for faults that the bond could not cover: the next rent is less by it.
    pub withheld: Ntx,
    /// Lovelace that the lessee gets back.
    pub deposit: Lovelace,
    /// Lovelace that goes to the lessor with the last payout.
    pub carry: Lovelace,
    /// What the committee's treasury gets for a fault, from the lessor.
    pub fee: Ntx,
    /// Which committee judges.
    pub committee: CommitteeId,
    /// What both sides signed.
    pub agreement: AgreementHash,
}

impl LeaseDatum {
    /// As Plutus data, fields in the order of the validator.
    pub fn to_data(&self) -> Result<PlutusData, DataError> {
        Ok(data::constr(
            0,
            vec![
                data::address("lessee", &self.lessee)?,
                data::address("lessor", &self.lessor)?,
                data::int(self.rate.per_period().0),
                data::int(self.rate.period_ms()),
                data::int(self.paid_until.0),
                data::int(self.end.0),
                data::int(self.notice_ms),
                data::int(self.window_ms),
                data::int(self.faults_until.0),
                data::int(self.bond.0),
                data::int(self.withheld.0),
                data::int(self.deposit.0),
                data::int(self.carry.0),
                data::int(self.fee.0),
                data::bytes(&self.committee.0),
                data::bytes(&self.agreement.0),
            ],
        ))
    }

    /// The bytes that stand in the lease's output.
    pub fn to_cbor(&self) -> Result<Vec<u8>, DataError> {
        Ok(data::to_cbor(&self.to_data()?))
    }

    /// From the CBOR of a lease's datum on the network with this id. Nothing runs when a lease is made, so any bytes may
    /// stand there: negative or oversized amounts, rates and periods of nothing, wrong widths and extra fields are
    /// refused.
    pub fn from_cbor(cbor: &[u8], network_id: u8) -> Result<Self, DataError> {
        const WHAT: &str = "lease datum";
        let datum = data::from_cbor(WHAT, cbor)?;
        let [
            lessee,
            lessor,
            rate,
            period,
            paid_until,
            end,
            notice,
            window,
            faults_until,
            bond,
            withheld,
            deposit,
            carry,
            fee,
            committee,
            agreement,
        ] = data::fields::<16>(WHAT, &datum, 0)?;
        Ok(Self {
            lessee: data::as_address("lessee", lessee, network_id)?,
            lessor: data::as_address("lessor", lessor, network_id)?,
            rate: Rate::new(Ntx(data::as_u64("rate", rate)?), data::as_u64("period", period)?)?,
            paid_until: PosixMs(data::as_u64("paid until", paid_until)?),
            end: PosixMs(data::as_u64("end", end)?),
            notice_ms: data::as_u64("notice", notice)?,
            window_ms: data::as_u64("window", window)?,
            faults_until: PosixMs(data::as_u64("faults until", faults_until)?),
            bond: Ntx(data::as_u64("bond", bond)?),
            withheld: Ntx(data::as_u64("withheld", withheld)?),
            deposit: Lovelace(data::as_u64("deposit", deposit)?),
            carry: Lovelace(data::as_u64("carry", carry)?),
            fee: Ntx(data::as_u64("fee", fee)?),
            committee: CommitteeId(data::as_array("committee", committee)?),
            agreement: AgreementHash(data::as_array("agreement", agreement)?),
        })
    }
}

/// What the lease's script is told: what happens to the lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseAction {
    /// The lessor takes the rent of all whole periods up to the transaction's lower bound.
    Claim,
    /// The lessee adds rent.
    TopUp,
    /// Lessee or lessor moves the end earlier.
    Shorten {
        /// The new end.
        end: PosixMs,
    },
    /// The committee charges the lessor for a time that was not served.
    Fault {
        /// Index of the committee's output among the reference inputs.
        committee: u64,
        /// One entry per member in the datum's order: the signature, or `None`.
        signatures: Vec<Option<[u8; 64]>>,
        /// From when on.
        from: PosixMs,
        /// Until when.
        to: PosixMs,
        /// What the lessee is credited.
        credit: Ntx,
    },
    /// Everybody gets what is theirs.
    Close,
    /// Both do as they like.
    Agree,
}

impl LeaseAction {
    /// As the redeemer of the lease's input.
    pub fn to_data(&self) -> PlutusData {
        match self {
            Self::Claim => data::constr(0, vec![]),
            Self::TopUp => data::constr(1, vec![]),
            Self::Shorten { end } => data::constr(2, vec![data::int(end.0)]),
            Self::Fault { committee, signatures, from, to, credit } => data::constr(
                3,
                vec![
                    data::int(*committee),
                    data::signatures(signatures),
                    data::int(from.0),
                    data::int(to.0),
                    data::int(credit.0),
                ],
            ),
            Self::Close => data::constr(4, vec![]),
            Self::Agree => data::constr(5, vec![]),
        }
    }

    /// From the redeemer of the lease's input.
    pub fn from_data(redeemer: &PlutusData) -> Result<Self, DataError> {
        const WHAT: &str = "lease redeemer";
        for (index, action) in [(0, Self::Claim), (1, Self::TopUp), (4, Self::Close), (5, Self::Agree)] {
            if data::fields::<0>(WHAT, redeemer, index).is_ok() {
                return Ok(action);
            }
        }
        if let Ok([end]) = data::fields::<1>(WHAT, redeemer, 2) {
            return Ok(Self::Shorten { end: PosixMs(data::as_u64("end", end)?) });
        }
        let [committee, signatures, from, to, credit] = data::fields::<5>(WHAT, redeemer, 3)?;
        Ok(Self::Fault {
            committee: data::as_u64("committee", committee)?,
            signatures: data::as_signatures(signatures)?,
            from: PosixMs(data::as_u64("from", from)?),
            to: PosixMs(data::as_u64("to", to)?),
            credit: Ntx(data::as_u64("credit", credit)?),
        })
    }
}

/// A lease on chain with its parsed datum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Where it is.
    pub outpoint: OutPoint,
    /// The whole output.
    pub output: TxOut,
    /// The terms in its datum, and the money in its value.
    pub state: LeaseState,
}

impl Lease {
    /// Reads a lease from an output at the protocol's lease address.
    pub fn read(protocol: &Protocol, outpoint: OutPoint, output: TxOut) -> Result<Self, DataError> {
        let wrong = |problem: String| DataError::new("lease", problem);
        if output.address != protocol.lease_address() {
            return Err(wrong(format!("{outpoint} is not at the lease address")));
        }
        let Some(Datum::Inline(cbor)) = &output.datum else {
            return Err(wrong(format!("{outpoint} has no inline datum")));
        };
        let datum = LeaseDatum::from_cbor(cbor, protocol.network_id())?;
        let held = Ntx(output.value.quantity(protocol.ntx()));
        let state = LeaseState::new(datum, held)?;
        Ok(Self { outpoint, output, state })
    }

    /// Whether the output holds the lovelace that its datum owes. Nothing ran when it was opened: where it does not, whoever
    /// closes it would pay the difference, to addresses that a stranger chose.
    pub fn is_funded(&self) -> bool {
        let LeaseDatum { deposit, carry, .. } = self.datum();
        let owed = deposit.0.checked_add(carry.0);
        owed.is_some_and(|owed| self.output.value.lovelace().0 >= owed) && self.output.reference_script.is_none()
    }

    /// The terms.
    pub fn datum(&self) -> &LeaseDatum {
        self.state.datum()
    }
}
