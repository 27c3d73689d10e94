//! A block's body on disk, in CBOR: `[[*[kind, hash, amount]], [*transaction bytes]]`; kind 0 is a key, 1 a script.

use minicbor::{Decoder, Encoder, decode, encode};
use nunet_ledger::{Credential, KeyHash, Lovelace, ScriptHash};

use crate::chain::BlockRecord;

/// What a body holds: rewards, and transactions.
type Body = (Vec<(Credential, Lovelace)>, Vec<Vec<u8>>);

pub(super) fn encode_body(record: &BlockRecord) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing into memory cannot fail; were it to, the checksum and the block's hash would tell.
    let _: Result<(), encode::Error<_>> = write(&mut Encoder::new(&mut bytes), record);
    bytes
}

fn write(
    encoder: &mut Encoder<&mut Vec<u8>>,
    record: &BlockRecord,
) -> Result<(), encode::Error<std::convert::Infallible>> {
    encoder.array(2)?.array(record.rewards.len() as u64)?;
    for (credential, Lovelace(amount)) in &record.rewards {
        let (kind, hash) = match credential {
            Credential::Key(hash) => (0, hash.0),
            Credential::Script(hash) => (1, hash.0),
        };
        encoder.array(3)?.u8(kind)?.bytes(&hash)?.u64(*amount)?;
    }
    encoder.array(record.transactions.len() as u64)?;
    for transaction in &record.transactions {
        encoder.bytes(transaction)?;
    }
    Ok(())
}

pub(super) fn decode_body(bytes: &[u8]) -> Result<Body, decode::Error> {
    let mut decoder = Decoder::new(bytes);
    expect(&mut decoder, 2)?;
    let mut rewards = Vec::new();
    for _ in 0..length(&mut decoder)? {
        expect(&mut decoder, 3)?;
        let (kind, hash) = (decoder.u8()?, decoder.bytes()?);
        let hash = hash.try_into().map_err(|_| decode::Error::message("a hash that has not 28 bytes"))?;
        let credential = match kind {
            0 => Credential::Key(KeyHash(hash)),
            1 => Credential::Script(ScriptHash(hash)),
            _ => return Err(decode::Error::message("no kind of credential")),
        };
        rewards.push((credential, Lovelace(decoder.u64()?)));
    }
    let mut transactions = Vec::new();
    for _ in 0..length(&mut decoder)? {
        transactions.push(decoder.bytes()?.to_vec());
    }
    match decoder.position() == bytes.len() {
        true => Ok((rewards, transactions)),
        false => Err(decode::Error::message("bytes after the body")),
    }
}

fn length(decoder: &mut Decoder<'_>) -> Result<u64, decode::Error> {
    decoder.array()?.ok_or_else(|| decode::Error::message("a list of indefinite length"))
}

fn expect(decoder: &mut Decoder<'_>, expected: u64) -> Result<(), decode::Error> {
    match length(decoder)? == expected {
        true => Ok(()),
        false => Err(decode::Error::message("a list of another length")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use nunet_ledger::Slot;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bodies_read_back(
            rewards in prop::collection::vec((any::<bool>(), any::<[u8; 28]>(), any::<u64>()), 0..4),
            transactions in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8),
        ) {
            let credential = |key, hash| match key {
                true => Credential::Key(KeyHash(hash)),
                false => Credential::Script(ScriptHash(hash)),
            };
            let rewards: Vec<_> =
                rewards.into_iter().map(|(key, hash, amount)| (credential(key, hash), Lovelace(amount))).collect();
            let record = BlockRecord { slot: Slot(0), fork: 0, rewards, transactions, hash: [0; 32] };
            let bytes = encode_body(&record);
            prop_assert_eq!(decode_body(&bytes).unwrap(), (record.rewards, record.transactions));
            prop_assert!(decode_body(&bytes[..bytes.len() - 1]).is_err());
        }

        #[test]
        fn strangers_bytes_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = decode_body(&bytes);
        }
    }
}
