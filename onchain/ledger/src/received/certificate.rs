//! Reading certificates.

use std::collections::BTreeSet;

use crate::{
    address::{Credential, RewardAccount},
    cbor::{CborError, Reader},
    certificate::{DRep, Delegation, PoolMetadata, PoolParams, Relay},
    parameters::Rational,
    received::{ReceivedCertificate, body::set},
    units::{Epoch, KeyHash, Lovelace, PoolId, ScriptHash},
};

/// Longest web address and host name, in bytes (CDDL `url` and `dns_name`).
const MAX_NAME: usize = 128;
/// Marks fractions (CDDL `unit_interval`).
const RATIONAL_TAG: u64 = 30;

/// Certificates in order, each at most once.
pub(super) fn certificates(reader: &mut Reader<'_>) -> Result<Vec<ReceivedCertificate>, CborError> {
    let length = reader.set()?;
    let mut certificates = Vec::new();
    let mut seen = BTreeSet::new();
    while reader.more(length, certificates.len() as u64) {
        let error = reader.error("each certificate once");
        let start = reader.position();
        let certificate = certificate(reader)?;
        let repeated = match &certificate {
            // Of these only the tag is kept.
            ReceivedCertificate::Other { .. } => !seen.insert(reader.since(start)),
            known => certificates.contains(known),
        };
        if repeated {
            return Err(error);
        }
        certificates.push(certificate);
    }
    if certificates.is_empty() { Err(reader.error("certificates in their field")) } else { Ok(certificates) }
}

fn certificate(reader: &mut Reader<'_>) -> Result<ReceivedCertificate, CborError> {
    let whole = reader.clone();
    let length = reader.array()?;
    let tag = reader.uint()?;
    let (certificate, parts) = match tag {
        0 => (ReceivedCertificate::Register { credential: credential(reader)?, deposit: None }, 2),
        1 => (ReceivedCertificate::Deregister { credential: credential(reader)?, refund: None }, 2),
        2 => (delegate(reader, |reader| Ok(Delegation::Stake(pool(reader)?)))?, 3),
        3 => (ReceivedCertificate::RegisterPool(Box::new(pool_params(reader)?)), 10),
        4 => (ReceivedCertificate::RetirePool { pool: pool(reader)?, epoch: Epoch(reader.uint()?) }, 3),
        7 => {
            let credential = credential(reader)?;
            (ReceivedCertificate::Register { credential, deposit: Some(Lovelace(reader.uint()?)) }, 3)
        }
        8 => {
            let credential = credential(reader)?;
            (ReceivedCertificate::Deregister { credential, refund: Some(Lovelace(reader.uint()?)) }, 3)
        }
        9 => (delegate(reader, |reader| Ok(Delegation::Vote(drep(reader)?)))?, 3),
        10 => (delegate(reader, stake_and_vote)?, 4),
        11 => (register_and_delegate(reader, |reader| Ok(Delegation::Stake(pool(reader)?)))?, 4),
        12 => (register_and_delegate(reader, |reader| Ok(Delegation::Vote(drep(reader)?)))?, 4),
        13 => (register_and_delegate(reader, stake_and_vote)?, 5),
        14..=18 => {
            *reader = whole;
            reader.any()?;
            return Ok(ReceivedCertificate::Other { tag });
        }
        // Tags 5 and 6 (genesis delegation, moved rewards) ended with the Babbage era.
        _ => return Err(reader.error("a certificate of the Conway era")),
    };
    reader.close(length, parts, "a certificate of its length")?;
    Ok(certificate)
}

type ReadDelegation = fn(&mut Reader<'_>) -> Result<Delegation, CborError>;

fn delegate(reader: &mut Reader<'_>, to: ReadDelegation) -> Result<ReceivedCertificate, CborError> {
    Ok(ReceivedCertificate::Delegate { credential: credential(reader)?, to: to(reader)? })
}

fn register_and_delegate(reader: &mut Reader<'_>, to: ReadDelegation) -> Result<ReceivedCertificate, CborError> {
    let (credential, to) = (credential(reader)?, to(reader)?);
    Ok(ReceivedCertificate::RegisterAndDelegate { credential, to, deposit: Lovelace(reader.uint()?) })
}

fn stake_and_vote(reader: &mut Reader<'_>) -> Result<Delegation, CborError> {
    Ok(Delegation::StakeAndVote(pool(reader)?, drep(reader)?))
}

fn credential(reader: &mut Reader<'_>) -> Result<Credential, CborError> {
    let length = reader.array()?;
    let error = reader.error("a credential, of a key (0) or a script (1)");
    let credential = match reader.uint()? {
        0 => Credential::Key(key(reader)?),
        1 => Credential::Script(ScriptHash(reader.fixed("a script hash")?)),
        _ => return Err(error),
    };
    reader.close(length, 2, "a credential of two parts")?;
    Ok(credential)
}

fn drep(reader: &mut Reader<'_>) -> Result<DRep, CborError> {
    let length = reader.array()?;
    let error = reader.error("a representative (0 to 3)");
    let (drep, parts) = match reader.uint()? {
        0 => (DRep::Key(key(reader)?), 2),
        1 => (DRep::Script(ScriptHash(reader.fixed("a script hash")?)), 2),
        2 => (DRep::Abstain, 1),
        3 => (DRep::NoConfidence, 1),
        _ => return Err(error),
    };
    reader.close(length, parts, "a representative of its length")?;
    Ok(drep)
}

fn key(reader: &mut Reader<'_>) -> Result<KeyHash, CborError> {
    Ok(KeyHash(reader.fixed("a key hash")?))
}

fn pool(reader: &mut Reader<'_>) -> Result<PoolId, CborError> {
    Ok(PoolId(reader.fixed("a pool id")?))
}

/// The nine parts of `pool_params`, which stand in the certificate's own array.
fn pool_params(reader: &mut Reader<'_>) -> Result<PoolParams, CborError> {
    let id = pool(reader)?;
    let vrf = reader.fixed("a VRF key hash")?;
    let (pledge, cost) = (Lovelace(reader.uint()?), Lovelace(reader.uint()?));
    let margin = unit_interval(reader)?;
    let reward_account = reward_account(reader)?;
    let owners = set(reader, key)?;
    let length = reader.array()?;
    let relays = reader.items(length, relay)?;
    let metadata = if reader.null() { None } else { Some(metadata(reader)?) };
    Ok(PoolParams { id, vrf, pledge, cost, margin, reward_account, owners, relays, metadata })
}

pub(super) fn reward_account(reader: &mut Reader<'_>) -> Result<RewardAccount, CborError> {
    let error = reader.error("a stake account");
    let account = RewardAccount::from_bytes(reader.bytes()?).map_err(|_| error.clone())?;
    if account.network_id > 1 { Err(error) } else { Ok(account) }
}

/// A fraction between 0 and 1.
fn unit_interval(reader: &mut Reader<'_>) -> Result<Rational, CborError> {
    let error = reader.error("a fraction between 0 and 1 (tag 30)");
    if reader.tag()? != RATIONAL_TAG {
        return Err(error);
    }
    let length = reader.array()?;
    let (numerator, denominator) = (reader.uint()?, reader.uint()?);
    reader.close(length, 2, "a fraction of two parts")?;
    if denominator == 0 || numerator > denominator { Err(error) } else { Ok(Rational::new(numerator, denominator)) }
}

fn relay(reader: &mut Reader<'_>) -> Result<Relay, CborError> {
    let length = reader.array()?;
    let error = reader.error("a relay (0 to 2)");
    let (relay, parts) = match reader.uint()? {
        0 => {
            let port = port(reader)?;
            let ipv4 = optional(reader, |reader| Ok(reader.fixed::<4>("an IPv4 address")?.into()))?;
            let ipv6 = optional(reader, |reader| Ok(ipv6(reader.fixed("an IPv6 address")?).into()))?;
            (Relay::Address { port, ipv4, ipv6 }, 4)
        }
        1 => (Relay::Name { port: port(reader)?, name: name(reader)? }, 3),
        2 => (Relay::Service { name: name(reader)? }, 2),
        _ => return Err(error),
    };
    reader.close(length, parts, "a relay of its length")?;
    Ok(relay)
}

/// The ledger holds an IPv6 address as four words of 32 bits, each with its lowest byte first.
fn ipv6(mut bytes: [u8; 16]) -> [u8; 16] {
    bytes.chunks_exact_mut(4).for_each(<[u8]>::reverse);
    bytes
}

fn port(reader: &mut Reader<'_>) -> Result<Option<u16>, CborError> {
    optional(reader, |reader| {
        let error = reader.error("a port below 65,536");
        u16::try_from(reader.uint()?).map_err(|_| error)
    })
}

fn name(reader: &mut Reader<'_>) -> Result<String, CborError> {
    let error = reader.error("text of at most 128 bytes");
    let text = reader.text_in_one_piece()?;
    if text.len() > MAX_NAME { Err(error) } else { Ok(text.to_owned()) }
}

fn metadata(reader: &mut Reader<'_>) -> Result<PoolMetadata, CborError> {
    let length = reader.array()?;
    let metadata = PoolMetadata { url: name(reader)?, hash: reader.bytes()?.to_vec() };
    reader.close(length, 2, "pool metadata of two parts")?;
    Ok(metadata)
}

fn optional<T>(
    reader: &mut Reader<'_>,
    item: impl FnOnce(&mut Reader<'_>) -> Result<T, CborError>,
) -> Result<Option<T>, CborError> {
    if reader.null() { Ok(None) } else { item(reader).map(Some) }
}
