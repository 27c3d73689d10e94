//! The chain as an agent sees it: its tip, parameters, outputs and accounts, over the Blockfrost API.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use nunet_ledger::{
    Lovelace, NetworkMagic, OutPoint, PosixMs, RewardAccount, Script, ScriptHash, Slot, SlotConfig, TxId, TxOut,
    hash::blake2b_256, parameters::ProtocolParameters,
};
use pallas_codec::minicbor::Decoder;

use crate::{api, error::ChainError, pending::Pending, tracker::Heights, transport::Transport};

/// Where the chain is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// The number of the latest block.
    pub height: u64,
    /// Its slot.
    pub slot: Slot,
    /// When its slot began: the chain's time.
    pub time: PosixMs,
    /// Its hash.
    pub hash: BlockHash,
}

/// The hash of a block's header.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockHash(pub [u8; 32]);

impl fmt::Display for BlockHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for BlockHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlockHash({self})")
    }
}

/// An unspent output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Utxo {
    /// Where it is.
    pub outpoint: OutPoint,
    /// What it is.
    pub output: TxOut,
}

/// What the chain knows about an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputState {
    /// No confirmed transaction made it.
    Unknown,
    /// It can be spent.
    Unspent {
        /// What it is.
        output: TxOut,
        /// Blocks from the one that made it to the tip, both counted: 1 in the latest block.
        depth: u64,
    },
    /// It was spent.
    Spent {
        /// What it was.
        output: TxOut,
        /// By which transaction.
        by: TxId,
    },
}

/// Where a transaction stands on chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// The block that holds it.
    pub height: u64,
    /// The slot of that block.
    pub slot: Slot,
    /// Blocks from that one to the tip, both counted: 1 in the latest block.
    pub depth: u64,
    /// `Failed` when a script failed and the collateral was taken.
    pub outcome: Outcome,
}

/// What a confirmed transaction did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What its body says.
    Applied,
    /// Nothing but lose its collateral: a script failed.
    CollateralTaken,
}

/// A stake account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountState {
    /// Withdrawals from it are refused.
    Unregistered,
    /// Withdrawals must take all of its rewards, which may be none.
    Registered {
        /// The rewards.
        rewards: Lovelace,
    },
}

/// Access to one network. Cheap to clone; clones share everything, and what one submits the others see as spent.
#[derive(Clone, Debug)]
pub struct Chain {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) transport: Transport,
    magic: NetworkMagic,
    slots: SlotConfig,
    poll_interval: Duration,
    params: RwLock<EpochParameters>,
    pub(crate) scripts: Mutex<BTreeMap<ScriptHash, Script>>,
    pub(crate) heights: Mutex<Heights>,
    pending: Mutex<Pending>,
    /// Held while the endpoint is asked what became of what is pending.
    pub(crate) settling: tokio::sync::Mutex<()>,
    /// Held from the choice of inputs to the submission, so that two plans never choose the same ones.
    paying: tokio::sync::Mutex<()>,
}

/// Parameters with the epoch in which they hold.
#[derive(Clone, Debug)]
struct EpochParameters {
    epoch: u64,
    params: Arc<ProtocolParameters>,
}

impl Chain {
    /// Connects to a Blockfrost-compatible endpoint, such as `http://127.0.0.1:8090/api/v0`, and reads the network's
    /// magic, clock and parameters. Hosted endpoints ask for a project id.
    pub async fn connect(base_url: &str, project_id: Option<&str>) -> Result<Self, ChainError> {
        let transport = Transport::new(base_url, project_id)?;
        let genesis: api::Genesis = transport.expect("genesis").await?;
        let block: api::Block = transport.expect("blocks/latest").await?;
        let slots = slot_config(&genesis, &block).map_err(malformed("genesis"))?;
        let params = load_parameters(&transport).await?;
        Ok(Self {
            inner: Arc::new(Inner {
                transport,
                magic: NetworkMagic(genesis.network_magic),
                slots,
                poll_interval: poll_interval(&genesis),
                params: RwLock::new(params),
                scripts: Mutex::default(),
                heights: Mutex::default(),
                pending: Mutex::default(),
                settling: tokio::sync::Mutex::new(()),
                paying: tokio::sync::Mutex::new(()),
            }),
        })
    }

    /// Which network this is.
    pub fn magic(&self) -> NetworkMagic {
        self.inner.magic
    }

    /// The network's clock.
    pub fn slots(&self) -> SlotConfig {
        self.inner.slots
    }

    /// The protocol parameters of the epoch that [`Chain::tip`] last saw.
    pub fn params(&self) -> Arc<ProtocolParameters> {
        self.inner.params.read().unwrap_or_else(PoisonError::into_inner).params.clone()
    }

    /// How long to wait between two looks at the chain: a quarter of the mean time between blocks, within 0.1 s to 5 s.
    pub fn poll_interval(&self) -> Duration {
        self.inner.poll_interval
    }

    /// The latest block. In a new epoch this also reads the parameters again.
    pub async fn tip(&self) -> Result<Tip, ChainError> {
        let path = "blocks/latest";
        let block: api::Block = self.inner.transport.expect(path).await?;
        let known = self.inner.params.read().unwrap_or_else(PoisonError::into_inner).epoch;
        if block.epoch.is_some_and(|epoch| epoch > known) {
            let fresh = load_parameters(&self.inner.transport).await?;
            *self.inner.params.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
        let time =
            block.time.checked_mul(1_000).ok_or_else(|| malformed(path)("the block's time is out of range".into()))?;
        Ok(Tip {
            height: block.height.unwrap_or(0),
            slot: Slot(block.slot.unwrap_or(0)),
            time: PosixMs(time),
            hash: BlockHash(block.hash.0),
        })
    }

    /// Where a transaction stands; `None` when it is not (or no longer) on chain.
    pub async fn transaction(&self, id: &TxId) -> Result<Option<Confirmation>, ChainError> {
        let Some(tx) = self.inner.transport.get::<api::Tx>(&format!("txs/{id}")).await? else { return Ok(None) };
        let tip = self.tip().await?;
        Ok(Some(Confirmation {
            height: tx.block_height,
            slot: Slot(tx.slot),
            depth: depth(&tip, tx.block_height),
            outcome: if tx.valid_contract { Outcome::Applied } else { Outcome::CollateralTaken },
        }))
    }

    /// A confirmed transaction's bytes, checked against its id; `None` when it is not on chain.
    pub async fn transaction_cbor(&self, id: &TxId) -> Result<Option<Vec<u8>>, ChainError> {
        let path = format!("txs/{id}/cbor");
        let Some(answer) = self.inner.transport.get::<api::Cbor>(&path).await? else { return Ok(None) };
        let bytes = hex::decode(answer.cbor.unwrap_or_default()).map_err(|e| malformed(&path)(e.to_string()))?;
        match transaction_id(&bytes) {
            Some(found) if found == *id => Ok(Some(bytes)),
            _ => Err(malformed(&path)("the bytes do not have this transaction's id".into())),
        }
    }

    /// Whether a stake account is registered, and what it holds.
    pub async fn account(&self, account: &RewardAccount) -> Result<AccountState, ChainError> {
        let answer: Option<api::Account> = self.inner.transport.get(&format!("accounts/{account}")).await?;
        Ok(match answer {
            Some(known) if known.is_registered() => AccountState::Registered { rewards: known.rewards() },
            _ => AccountState::Unregistered,
        })
    }

    /// Sends a signed transaction; the error holds the ledger's words. Sending one again that the chain or the server's
    /// mempool already has succeeds, so that a caller who does not know whether it was sent may simply send it.
    pub async fn submit(&self, tx: &[u8]) -> Result<TxId, ChainError> {
        let id = transaction_id(tx).ok_or(ChainError::NotATransaction { length: tx.len() })?;
        match self.deliver(id, tx).await? {
            Delivery::Taken => Ok(id),
            Delivery::Refused { message, .. } => Err(ChainError::Rejected { id, message }),
        }
    }

    /// Sends a signed transaction and finds out what became of it; an error leaves that open.
    pub(crate) async fn deliver(&self, id: TxId, tx: &[u8]) -> Result<Delivery, ChainError> {
        match self.inner.transport.post_cbor::<TxId>("tx/submit", tx).await {
            Ok(answer) if answer == id => Ok(Delivery::Taken),
            Ok(answer) => Err(malformed("tx/submit")(format!("it names transaction {answer}, not {id}"))),
            Err(ChainError::Status { message, status: 400, .. }) => Ok(match self.whereabouts(&id).await {
                Whereabouts::Known => Delivery::Taken,
                Whereabouts::Nowhere => Delivery::Refused { message, certainty: Certainty::Certain },
                Whereabouts::Unclear => Delivery::Refused { message, certainty: Certainty::Unclear },
            }),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn pending(&self) -> std::sync::MutexGuard<'_, Pending> {
        self.inner.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Held while a transaction is balanced, signed and sent, so that two never choose the same funds.
    pub async fn pay(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.inner.paying.lock().await
    }

    /// Whether a transaction that was refused is already in a block or on its way there.
    async fn whereabouts(&self, id: &TxId) -> Whereabouts {
        let mut answer = Whereabouts::Nowhere;
        for path in [format!("mempool/{id}"), format!("txs/{id}")] {
            match self.inner.transport.get::<serde::de::IgnoredAny>(&path).await {
                Ok(Some(_)) => return Whereabouts::Known,
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(%error, %id, "cannot tell whether the transaction is known");
                    answer = Whereabouts::Unclear;
                }
            }
        }
        // Not every server shows its mempool: there a 404 says nothing.
        match self.inner.transport.get::<serde::de::IgnoredAny>("mempool?count=1").await {
            Ok(Some(_)) => answer,
            _ => Whereabouts::Unclear,
        }
    }
}

/// What became of a transaction that was sent.
pub(crate) enum Delivery {
    /// It is in the mempool or in a block.
    Taken,
    /// The ledger refuses it.
    Refused {
        /// The ledger's words.
        message: String,
        /// Whether that is because it is already on its way.
        certainty: Certainty,
    },
}

/// Whether a refused transaction is certainly not on its way to a block.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Certainty {
    /// It is in no block and in no mempool.
    Certain,
    /// The endpoint does not show its mempool, so an earlier attempt may have been taken.
    Unclear,
}

/// Where a transaction is.
enum Whereabouts {
    /// In a block or in the mempool.
    Known,
    /// In neither.
    Nowhere,
    /// The endpoint does not tell.
    Unclear,
}

/// The depth of a block that was seen before the tip. A block that arrived between the two can only make the tip higher, a
/// rollback lower.
pub(crate) fn depth(tip: &Tip, height: u64) -> u64 {
    tip.height.saturating_add(1).saturating_sub(height).max(1)
}

pub(crate) fn malformed(path: &str) -> impl Fn(String) -> ChainError {
    move |reason| ChainError::Malformed { path: path.into(), reason }
}

async fn load_parameters(transport: &Transport) -> Result<EpochParameters, ChainError> {
    let path = "epochs/latest/parameters";
    let answer: api::Parameters = transport.expect(path).await?;
    let epoch = answer.epoch;
    Ok(EpochParameters { epoch, params: Arc::new(answer.into_ledger().map_err(malformed(path))?) })
}

/// The clock of the present era, extended back to slot 0: one block fixes it, whatever eras the network had before.
fn slot_config(genesis: &api::Genesis, block: &api::Block) -> Result<SlotConfig, String> {
    let slot_length_ms =
        genesis.slot_length.checked_mul(1_000).filter(|ms| *ms > 0).ok_or("slot_length is out of range")?;
    let slot = block.slot.unwrap_or(0);
    let time = block.time.checked_mul(1_000).ok_or("the latest block's time is out of range")?;
    let since = slot.checked_mul(u64::from(slot_length_ms)).ok_or("the latest block's slot is out of range")?;
    let zero_time = time.checked_sub(since).ok_or("the latest block is earlier than its slot allows")?;
    Ok(SlotConfig { zero_time: PosixMs(zero_time), zero_slot: Slot(0), slot_length_ms })
}

fn poll_interval(genesis: &api::Genesis) -> Duration {
    let density = genesis.active_slots_coefficient.clamp(0.001, 1.0);
    Duration::from_secs_f64((f64::from(genesis.slot_length) / density / 4.0).clamp(0.1, 5.0))
}

/// The id of a transaction: the hash of its body's bytes as they stand.
pub(crate) fn transaction_id(tx: &[u8]) -> Option<TxId> {
    transaction_body(tx).map(|body| TxId(blake2b_256(body)))
}

/// The bytes of a transaction's body.
pub(crate) fn transaction_body(tx: &[u8]) -> Option<&[u8]> {
    let mut decoder = Decoder::new(tx);
    decoder.array().ok()?;
    let start = decoder.position();
    decoder.skip().ok()?;
    tx.get(start..decoder.position())
}
