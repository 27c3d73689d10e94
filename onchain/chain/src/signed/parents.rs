//! What a transaction consumes, and whether that is known or only said: an output is proven by the bytes of the
//! transaction that made it, because its id is their hash.

use nunet_ledger::{OutPoint, TxId, TxOut, hash::blake2b_256};
use pallas_codec::minicbor::{Decoder, data::Type, decode::Error};

use crate::chain::transaction_body;

/// An output that a transaction spends, reads, or puts up as collateral.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolved<'a> {
    /// Where it is.
    pub outpoint: OutPoint,
    /// What it is.
    pub output: &'a TxOut,
    /// Why it is believed.
    pub proof: Proof,
}

/// Why the contents of an output are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The transaction that made it is there, and has the id that the outpoint names.
    Parent,
    /// Whoever built the transaction says so. Wrong amounts that still add up can hide whose money is spent.
    Claimed,
}

/// A transaction cut to what matters about a parent.
pub(super) struct Parent<'a> {
    pub(super) id: TxId,
    body: &'a [u8],
}

/// The bytes of what a body makes: its outputs (key 1), and the collateral return (key 16).
#[derive(Default)]
struct Made<'a> {
    outputs: Vec<&'a [u8]>,
    collateral_return: Option<&'a [u8]>,
}

impl<'a> Parent<'a> {
    /// Finds a transaction's body; works for every era since Shelley.
    pub(super) fn read(tx: &'a [u8]) -> Option<Self> {
        let body = transaction_body(tx)?;
        Some(Self { id: TxId(blake2b_256(body)), body })
    }

    /// The output at an index: of the outputs, or the collateral return, which comes after them should a script fail.
    /// `None` when there is no such output or it cannot be read.
    pub(super) fn output(&self, index: u16) -> Option<TxOut> {
        let Made { outputs, collateral_return } = self.made().ok()?;
        let index = usize::from(index);
        let bytes = outputs.get(index).copied().or_else(|| collateral_return.filter(|_| index == outputs.len()))?;
        TxOut::from_cbor(bytes).ok()
    }

    fn made(&self) -> Result<Made<'a>, Error> {
        let mut decoder = Decoder::new(self.body);
        let mut made = Made::default();
        let mut left = decoder.map()?;
        while more(&mut decoder, &mut left)? {
            match decoder.u64()? {
                1 => {
                    let mut left = decoder.array()?;
                    while more(&mut decoder, &mut left)? {
                        made.outputs.push(self.item(&mut decoder)?);
                    }
                }
                16 => made.collateral_return = Some(self.item(&mut decoder)?),
                _ => decoder.skip()?,
            }
        }
        Ok(made)
    }

    fn item(&self, decoder: &mut Decoder<'a>) -> Result<&'a [u8], Error> {
        let start = decoder.position();
        decoder.skip()?;
        self.body.get(start..decoder.position()).ok_or_else(Error::end_of_input)
    }
}

/// Whether a container has another member; takes its break when it has one.
fn more(decoder: &mut Decoder<'_>, left: &mut Option<u64>) -> Result<bool, Error> {
    match left {
        Some(0) => Ok(false),
        Some(count) => {
            *count -= 1;
            Ok(true)
        }
        None if decoder.datatype()? == Type::Break => {
            decoder.set_position(decoder.position() + 1);
            Ok(false)
        }
        None => Ok(true),
    }
}
