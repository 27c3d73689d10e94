//! Reading a transaction that was built by this crate, and nothing else.
//!
//! Whoever signs must know every part of what is signed. So the bytes are read into the parts that we build, written
//! again, and must come out the same: a vote, metadata or a field that we do not know cannot hide in them.

use nunet_ledger::{
    Certificate, Redeemer, Transaction, TxBody, Witnesses,
    received::{ReceivedBody, ReceivedCertificate, ReceivedTx, ReceivedWitnesses, SizedOutput},
};
use pallas_codec::minicbor::{self, Decoder, data::Type};
use pallas_primitives::PlutusData;

/// Deepest nesting of a redeemer's argument that is read: decoding it takes a stack frame per level. No argument of the
/// protocol has ten.
const MAX_NESTING: usize = 200;

/// Reads a transaction; the reason when it is none that this crate could have written.
pub(super) fn transaction(bytes: &[u8]) -> Result<Transaction, String> {
    let received = ReceivedTx::decode(bytes).map_err(|error| error.to_string())?;
    let tx = Transaction { body: body(received.body)?, witnesses: witnesses(received.witnesses)? };
    if tx.to_cbor() == bytes {
        Ok(tx)
    } else {
        Err("it has parts that this program does not write, or writes in another way".into())
    }
}

fn body(body: ReceivedBody) -> Result<TxBody, String> {
    let output = |sized: SizedOutput| sized.output;
    Ok(TxBody {
        inputs: body.inputs,
        outputs: body.outputs.into_iter().map(output).collect(),
        fee: body.fee,
        valid_from: body.valid_from,
        valid_until: body.valid_until,
        certificates: body.certificates.iter().map(certificate).collect::<Result<_, _>>()?,
        withdrawals: body.withdrawals,
        mint: body.mint,
        script_data_hash: body.script_data_hash,
        collateral: body.collateral,
        collateral_return: body.collateral_return.map(output),
        total_collateral: body.total_collateral,
        required_signers: body.required_signers,
        reference_inputs: body.reference_inputs,
    })
}

fn certificate(certificate: &ReceivedCertificate) -> Result<Certificate, String> {
    match certificate {
        ReceivedCertificate::Register { credential, deposit: None } => Ok(Certificate::RegisterStake(*credential)),
        ReceivedCertificate::Deregister { credential, refund: None } => Ok(Certificate::DeregisterStake(*credential)),
        ReceivedCertificate::Delegate { credential, to } => {
            Ok(Certificate::Delegate { credential: *credential, to: *to })
        }
        ReceivedCertificate::RegisterAndDelegate { credential, to, deposit } => {
            Ok(Certificate::RegisterAndDelegate { credential: *credential, to: *to, deposit: *deposit })
        }
        _ => Err("it holds a certificate that this program does not write".into()),
    }
}

fn witnesses(witnesses: ReceivedWitnesses<'_>) -> Result<Witnesses, String> {
    let redeemers = witnesses.redeemers.into_iter().map(|((purpose, index), received)| {
        Ok(Redeemer { purpose, index, data: argument(received.data)?, units: received.units })
    });
    Ok(Witnesses {
        redeemers: redeemers.collect::<Result<_, String>>()?,
        vkeys: witnesses.vkeys,
        scripts: witnesses.scripts.into_values().collect(),
    })
}

fn argument(bytes: &[u8]) -> Result<PlutusData, String> {
    if nesting(bytes).is_none_or(|depth| depth > MAX_NESTING) {
        return Err(format!("a redeemer's argument nests deeper than {MAX_NESTING} levels"));
    }
    minicbor::decode(bytes).map_err(|error| format!("a redeemer's argument: {error}"))
}

/// How deep the containers and tags of one CBOR item nest; `None` when it cannot be told.
fn nesting(bytes: &[u8]) -> Option<usize> {
    let mut decoder = Decoder::new(bytes);
    // Items that are still to come at each open level; `None` up to a break.
    let mut open: Vec<Option<u64>> = vec![Some(1)];
    let mut deepest = 0;
    while let Some(left) = open.last_mut() {
        match left {
            Some(0) => {
                open.pop();
                continue;
            }
            Some(count) => *count -= 1,
            None => {}
        }
        match decoder.datatype().ok()? {
            Type::Break => {
                decoder.set_position(decoder.position() + 1);
                open.pop();
            }
            Type::Array | Type::ArrayIndef => open.push(decoder.array().ok()?),
            Type::Map | Type::MapIndef => open.push(match decoder.map().ok()? {
                Some(pairs) => Some(pairs.checked_mul(2)?),
                None => None,
            }),
            Type::Tag => {
                decoder.tag().ok()?;
                open.push(Some(1));
            }
            _ => decoder.skip().ok()?,
        }
        deepest = deepest.max(open.len());
        if deepest > MAX_NESTING + 1 {
            return Some(deepest);
        }
    }
    Some(deepest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_is_counted_without_following_it() {
        for (text, depth) in [("00", 1), ("80", 2), ("9fff", 2), ("d8799f0102ff", 3), ("a1008100", 3), ("5f4101ff", 1)]
        {
            assert_eq!(nesting(&hex::decode(text).unwrap_or_default()), Some(depth), "{text}");
        }
        assert_eq!(nesting(&[0x81]), None, "cut off");
        let deep = [vec![0x81; 100_000], vec![0x00]].concat();
        assert!(argument(&deep).is_err());
    }
}
