//! Putting a tracker's questions to an endpoint.

use std::{collections::BTreeMap, sync::PoisonError};

use nunet_ledger::{Address, OutPoint, TxId};

use super::{
    core::{Answer, Ask, Presence},
    state::{Found, Reading, Target},
};
use crate::{
    api,
    chain::{BlockHash, Chain, Utxo},
    error::ChainError,
};

/// Most heights of blocks remembered: a block's height never changes, and many outputs share a block.
const MAX_HEIGHTS: usize = 4_096;

impl Chain {
    /// Answers a tracker's question; the error when there is no answer.
    pub(super) async fn answer(&self, ask: &Ask) -> Result<Answer, ChainError> {
        Ok(match ask {
            Ask::Tip => Answer::Tip(self.tip().await?),
            Ask::IsOnChain(hash) => {
                Answer::OnChain(if self.is_on_chain(*hash).await? { Presence::Present } else { Presence::Gone })
            }
            Ask::Read(target) => {
                let reading = match target {
                    Target::Outpoint(outpoint) => Reading::Outpoint(self.read_outpoint(outpoint).await?),
                    Target::Address(address) => Reading::Address(self.read_address(address).await?),
                };
                Answer::Reading(target.clone(), reading)
            }
        })
    }

    async fn read_outpoint(&self, outpoint: &OutPoint) -> Result<Option<Found>, ChainError> {
        let Some(made) = self.made(outpoint).await? else { return Ok(None) };
        let spent = match made.spent_by {
            Some(by) => Some((by, self.height_of(&by).await?)),
            None => None,
        };
        Ok(Some(Found { output: made.output, height: made.height, spent }))
    }

    async fn read_address(&self, address: &Address) -> Result<Vec<(Utxo, u64)>, ChainError> {
        let mut read = Vec::new();
        for (utxo, block) in self.utxos_in_blocks(address).await? {
            let height = match block {
                Some(block) => self.block_height(block).await?,
                None => self.height_of(&utxo.outpoint.tx).await?,
            };
            read.push((utxo, height));
        }
        Ok(read)
    }

    /// The height of the block of a transaction that was just seen on chain.
    async fn height_of(&self, id: &TxId) -> Result<u64, ChainError> {
        let path = format!("txs/{id}");
        let tx = self.inner.transport.get::<api::Tx>(&path).await?;
        tx.map(|tx| tx.block_height).ok_or(ChainError::Moved { path })
    }

    async fn block_height(&self, hash: BlockHash) -> Result<u64, ChainError> {
        let heights = &self.inner.heights;
        if let Some(height) = heights.lock().unwrap_or_else(PoisonError::into_inner).get(&hash) {
            return Ok(*height);
        }
        let path = format!("blocks/{hash}");
        let block = self.inner.transport.get::<api::Block>(&path).await?;
        let height = block.and_then(|block| block.height).ok_or(ChainError::Moved { path })?;
        let mut heights = heights.lock().unwrap_or_else(PoisonError::into_inner);
        if heights.len() >= MAX_HEIGHTS {
            heights.clear();
        }
        heights.insert(hash, height);
        Ok(height)
    }
}

/// The heights of blocks, by hash.
pub(crate) type Heights = BTreeMap<BlockHash, u64>;
