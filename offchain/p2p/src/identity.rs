//! Turns Ed25519 public keys into libp2p peer ids and back: a peer id carries the whole key.

use libp2p::{
    PeerId,
    identity::{PublicKey, ed25519},
};

/// The multihash code of the identity function: the digest is the encoded key itself.
const IDENTITY_HASH: u64 = 0;

/// Why a public key or a peer id is not one that NuNet uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The bytes are not a point of the curve.
    #[error("these 32 bytes are not an Ed25519 public key; check where the key was copied from")]
    NotAKey,
    /// The peer id is a hash of some other kind of key.
    #[error("peer id {0} does not carry an Ed25519 public key; NuNet peers use Ed25519 identities only")]
    NotEd25519(PeerId),
}

/// The peer id of the node whose identity is this Ed25519 public key.
///
/// Peer ids of keys up to 42 bytes inline the key ([libp2p specification, peer ids]), so this loses nothing.
///
/// # Errors
/// [`KeyError::NotAKey`] when the bytes are not a valid curve point.
///
/// [libp2p specification, peer ids]: https://github.com/libp2p/specs/blob/master/peer-ids/peer-ids.md
pub fn peer_id_of(public_key: &[u8; 32]) -> Result<PeerId, KeyError> {
    let key = ed25519::PublicKey::try_from_bytes(public_key).map_err(|_| KeyError::NotAKey)?;
    Ok(PublicKey::from(key).to_peer_id())
}

/// The Ed25519 public key inside a peer id.
///
/// # Errors
/// [`KeyError::NotEd25519`] when the peer id is a hash, or carries another kind of key.
pub fn public_key_of(peer: &PeerId) -> Result<[u8; 32], KeyError> {
    let multihash = peer.as_ref();
    if multihash.code() != IDENTITY_HASH {
        return Err(KeyError::NotEd25519(*peer));
    }
    PublicKey::try_decode_protobuf(multihash.digest())
        .ok()
        .and_then(|key| key.try_into_ed25519().ok())
        .map(|key| key.to_bytes())
        .ok_or(KeyError::NotEd25519(*peer))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use libp2p::identity::Keypair;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hashed_peer_ids_and_bytes_that_are_no_key_are_refused() {
        // A peer id that is a SHA-256, as RSA identities have.
        let hashed: PeerId = "QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSupNKC".parse().unwrap();
        assert_eq!(public_key_of(&hashed), Err(KeyError::NotEd25519(hashed)));
        // y = 2 is not on the curve.
        let mut bytes = [0u8; 32];
        bytes[0] = 2;
        assert_eq!(peer_id_of(&bytes), Err(KeyError::NotAKey));
    }

    proptest! {
        #[test]
        fn a_key_survives_the_way_through_its_peer_id(seed: [u8; 32]) {
            let keypair = Keypair::ed25519_from_bytes(seed).unwrap();
            let public = keypair.public().try_into_ed25519().unwrap().to_bytes();
            let peer = peer_id_of(&public).unwrap();
            prop_assert_eq!(peer, keypair.public().to_peer_id());
            prop_assert_eq!(public_key_of(&peer).unwrap(), public);
        }
    }
}
