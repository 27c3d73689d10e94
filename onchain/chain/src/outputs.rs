//! Reading outputs: by address and by outpoint, with their datums and reference scripts.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::PoisonError,
};

use nunet_contracts::{Committee, CommitteeId, Protocol};
use nunet_ledger::{Address, AssetId, OutPoint, Script, ScriptHash, TxId, TxOut};
use pallas_codec::minicbor::{Decoder, Encoder};

use crate::{
    api,
    chain::{BlockHash, Chain, OutputState, Utxo, depth, malformed},
    error::ChainError,
    metrics::template,
};

/// Outputs in one page of an answer; the API allows no more.
const PAGE: usize = 100;

/// Most pages read for one address. An address with more outputs belongs to no agent.
const MAX_PAGES: usize = 500;

/// How often a list of several pages is read in the hope that no block comes meanwhile.
const MAX_LISTINGS: usize = 4;

/// Most scripts remembered. The protocol itself has a handful.
const MAX_SCRIPTS: usize = 64;

/// Unspent outputs, each with its block, where the server names it.
type Listed = Vec<(Utxo, Option<BlockHash>)>;

/// An output that a confirmed transaction made.
pub(crate) struct Made {
    pub(crate) output: TxOut,
    /// Of the block that made it.
    pub(crate) height: u64,
    pub(crate) spent_by: Option<TxId>,
}

impl Chain {
    /// The confirmed unspent outputs at an address, oldest first.
    ///
    /// An output whose reference script the server cannot show correctly is left out, with a warning: it could not be
    /// spent by us anyway, and anybody can send one.
    pub async fn utxos_at(&self, address: &Address) -> Result<Vec<Utxo>, ChainError> {
        Ok(without_blocks(self.utxos_in_blocks(address).await?))
    }

    /// The same, each with its block, where the server names it.
    pub(crate) async fn utxos_in_blocks(&self, address: &Address) -> Result<Listed, ChainError> {
        self.list_utxos(&format!("addresses/{address}/utxos"), |_| true).await
    }

    /// The confirmed unspent outputs at an address that hold some of an asset.
    pub async fn utxos_with(&self, address: &Address, asset: &AssetId) -> Result<Vec<Utxo>, ChainError> {
        Ok(without_blocks(self.list_utxos(&format!("addresses/{address}/utxos/{asset}"), |_| true).await?))
    }

    /// The confirmed unspent outputs at an address that carry one of these scripts by reference, oldest first. Other
    /// outputs cost nothing: anybody can send any number of scripts to an address.
    pub async fn scripts_at(&self, address: &Address, wanted: &BTreeSet<ScriptHash>) -> Result<Vec<Utxo>, ChainError> {
        let carries = |entry: &api::Output| entry.reference_script_hash.is_some_and(|hash| wanted.contains(&hash));
        Ok(without_blocks(self.list_utxos(&format!("addresses/{address}/utxos"), carries).await?))
    }

    /// The committee with this id, where it stands now. Strangers' outputs at the committees' address are none: only the
    /// policy makes the NFT.
    pub async fn committee(&self, protocol: &Protocol, id: CommitteeId) -> Result<Option<Committee>, ChainError> {
        let holders = self.utxos_with(&protocol.committee_address(), &protocol.committee_nft(id)).await?;
        let mut committees =
            holders.into_iter().filter_map(|utxo| Committee::read(protocol, utxo.outpoint, utxo.output).ok());
        Ok(committees.find(|committee| committee.id == id))
    }

    /// What the chain knows about an output.
    pub async fn output(&self, outpoint: &OutPoint) -> Result<OutputState, ChainError> {
        let Some(Made { output, height, spent_by }) = self.made(outpoint).await? else {
            return Ok(OutputState::Unknown);
        };
        match spent_by {
            Some(by) => Ok(OutputState::Spent { output, by }),
            None => {
                let tip = self.tip().await?;
                Ok(OutputState::Unspent { output, depth: depth(&tip, height) })
            }
        }
    }

    /// An output as a confirmed transaction made it; `None` when none did.
    pub(crate) async fn made(&self, outpoint: &OutPoint) -> Result<Option<Made>, ChainError> {
        let transport = &self.inner.transport;
        let Some(tx) = transport.get::<api::Tx>(&format!("txs/{}", outpoint.tx)).await? else { return Ok(None) };
        let path = format!("txs/{}/utxos", outpoint.tx);
        // A rollback between two requests makes the transaction unknown again.
        let Some(utxos) = transport.get::<api::TxUtxos>(&path).await? else { return Ok(None) };
        // Of a transaction whose script failed, only the collateral return came to be.
        let made = !tx.valid_contract;
        let found = utxos.outputs.iter().find(|o| o.output_index == outpoint.index && o.collateral == made);
        let Some(entry) = found else { return Ok(None) };
        let output = self.tx_out(&path, entry).await?;
        let spent_by = match entry.consumed_by_tx {
            Some(spent_by) => spent_by,
            None => self.spender_of(outpoint, &output.address).await?,
        };
        Ok(Some(Made { output, height: tx.block_height, spent_by }))
    }

    /// What spent an output, from a server that does not say so with the output: it is unspent when its address has it, and
    /// otherwise one of the address's latest transactions spent it.
    async fn spender_of(&self, outpoint: &OutPoint, address: &Address) -> Result<Option<TxId>, ChainError> {
        let unspent = self.list_utxos(&format!("addresses/{address}/utxos"), |_| true).await?;
        if unspent.iter().any(|(utxo, _)| utxo.outpoint == *outpoint) {
            return Ok(None);
        }
        let path = format!("addresses/{address}/transactions?order=desc&count={PAGE}");
        let latest: Vec<api::AddressTx> = self.inner.transport.get(&path).await?.unwrap_or_default();
        for api::AddressTx { tx_hash } in latest {
            if self.consumed_by(&tx_hash).await?.is_some_and(|consumed| consumed.contains_key(outpoint)) {
                return Ok(Some(tx_hash));
            }
        }
        let reason = "it says neither with the output (consumed_by_tx) nor with its address what spent it";
        Err(malformed(&format!("txs/{}/utxos", outpoint.tx))(reason.into()))
    }

    /// The outputs that a confirmed transaction consumed (not those that it only read or put up as collateral); `None` when
    /// it is not on chain.
    pub async fn consumed_by(&self, id: &TxId) -> Result<Option<BTreeMap<OutPoint, TxOut>>, ChainError> {
        let path = format!("txs/{id}/utxos");
        let Some(utxos) = self.inner.transport.get::<api::TxUtxos>(&path).await? else { return Ok(None) };
        let mut consumed = BTreeMap::new();
        let inputs =
            utxos.inputs.ok_or_else(|| malformed(&path)("it does not say what the transaction consumed".into()))?;
        for input in inputs.iter().filter(|input| !input.collateral && input.reference != Some(true)) {
            let tx = input.tx_hash.ok_or_else(|| malformed(&path)("an input without tx_hash".into()))?;
            consumed.insert(OutPoint { tx, index: input.output_index }, self.tx_out(&path, input).await?);
        }
        Ok(Some(consumed))
    }

    /// Outputs that can be spent now: confirmed ones that no transaction of ours consumes, and those that our own
    /// unconfirmed transactions made.
    pub async fn spendable_at(&self, addresses: &[Address]) -> Result<Vec<Utxo>, ChainError> {
        // Asked before the outputs: what is in a block then is certainly shown or spent when they are asked for.
        self.settle().await?;
        let mut spendable = Vec::new();
        for address in addresses {
            let confirmed = self.utxos_at(address).await?;
            spendable.extend(self.pending().overlay(confirmed, address));
        }
        Ok(spendable)
    }

    /// Whether a block is on the chain.
    pub(crate) async fn is_on_chain(&self, hash: BlockHash) -> Result<bool, ChainError> {
        Ok(self.inner.transport.get::<api::Block>(&format!("blocks/{hash}")).await?.is_some())
    }

    /// Reads all pages of a list. One of several pages that changes meanwhile is read again: an output that moves to a page
    /// that was read already would be missing.
    async fn list_utxos(&self, path: &str, wanted: impl Fn(&api::Output) -> bool) -> Result<Listed, ChainError> {
        if let Some(listed) = self.list_once(path, &wanted, 1).await? {
            return Ok(listed);
        }
        let mut before = self.tip().await?.hash;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let listed = self.list_once(path, &wanted, MAX_PAGES).await?;
            let listed =
                listed.ok_or_else(|| malformed(path)(format!("there are more than {} outputs", PAGE * MAX_PAGES)))?;
            let after = self.tip().await?.hash;
            if before == after {
                return Ok(listed);
            }
            if attempt == MAX_LISTINGS {
                // Better without an output than without any.
                let path = template(path);
                tracing::warn!(path, "a list changed whenever it was read, an output may be missing");
                return Ok(listed);
            }
            before = after;
        }
    }

    /// Reads a list once; `None` when it has more than these pages.
    async fn list_once(
        &self,
        path: &str,
        wanted: &impl Fn(&api::Output) -> bool,
        pages: usize,
    ) -> Result<Option<Listed>, ChainError> {
        let (mut utxos, mut seen) = (Vec::new(), BTreeSet::new());
        for page in 1..=pages {
            let page_path = format!("{path}?page={page}&count={PAGE}&order=asc");
            // 404 is how the API says that the address was never used.
            let entries: Vec<api::Output> = self.inner.transport.get(&page_path).await?.unwrap_or_default();
            if entries.len() > PAGE {
                return Err(malformed(path)(format!("a page has {} outputs, {PAGE} were asked for", entries.len())));
            }
            for entry in &entries {
                let tx = entry.tx_hash.ok_or_else(|| malformed(path)("an output has no tx_hash".into()))?;
                let outpoint = OutPoint { tx, index: entry.output_index };
                // Pages shift when an output is spent between two requests.
                if !seen.insert(outpoint) || !wanted(entry) {
                    continue;
                }
                match self.tx_out(path, entry).await {
                    Ok(output) => utxos.push((Utxo { outpoint, output }, entry.block.map(|hash| BlockHash(hash.0)))),
                    Err(ChainError::Malformed { reason, .. }) if entry.reference_script_hash.is_some() => {
                        tracing::warn!(%outpoint, reason, "leaving out an output with an unreadable reference script");
                    }
                    Err(error) => return Err(error),
                }
            }
            if entries.len() < PAGE {
                return Ok(Some(utxos));
            }
        }
        Ok(None)
    }

    async fn tx_out(&self, path: &str, entry: &api::Output) -> Result<TxOut, ChainError> {
        let reference_script = match &entry.reference_script_hash {
            Some(hash) => Some(self.script(hash).await?),
            None => None,
        };
        Ok(TxOut {
            address: entry.address.0.clone(),
            value: entry.value().map_err(malformed(path))?,
            datum: entry.datum().map_err(malformed(path))?,
            reference_script,
        })
    }

    /// A script by its hash, which is checked.
    pub async fn script(&self, hash: &ScriptHash) -> Result<Script, ChainError> {
        if let Some(script) = self.inner.scripts.lock().unwrap_or_else(PoisonError::into_inner).get(hash) {
            return Ok(script.clone());
        }
        let path = format!("scripts/{hash}/cbor");
        let cbor = self.inner.transport.get::<api::Cbor>(&path).await?.and_then(|answer| answer.cbor);
        let script = match cbor {
            Some(text) => {
                let bytes = hex::decode(text).map_err(|e| malformed(&path)(e.to_string()))?;
                script_with_hash(hash, bytes)
            }
            // Native scripts come as JSON.
            None => {
                let json = format!("scripts/{hash}/json");
                let answer = self.inner.transport.get::<api::ScriptJson>(&json).await?.and_then(|answer| answer.json);
                answer.map(|script| Script::Native(script.to_cbor())).filter(|script| script.hash() == *hash)
            }
        };
        let script = script.ok_or_else(|| malformed(&path)("no script with this hash was shown".into()))?;
        let mut scripts = self.inner.scripts.lock().unwrap_or_else(PoisonError::into_inner);
        if scripts.len() >= MAX_SCRIPTS {
            scripts.clear();
        }
        scripts.insert(*hash, script.clone());
        Ok(script)
    }
}

fn without_blocks(utxos: Listed) -> Vec<Utxo> {
    utxos.into_iter().map(|(utxo, _)| utxo).collect()
}

/// The script that has a hash, from bytes that servers show with one CBOR byte string around the flat code, with two,
/// or with none, and without its language.
fn script_with_hash(hash: &ScriptHash, bytes: Vec<u8>) -> Option<Script> {
    let mut forms = Vec::new();
    if let Ok(inner) = Decoder::new(&bytes).bytes() {
        forms.push(inner.to_vec());
    }
    let mut wrapped = Encoder::new(Vec::new());
    if wrapped.bytes(&bytes).is_ok() {
        forms.push(wrapped.into_writer());
    }
    forms.insert(0, bytes);
    forms.into_iter().find_map(|form| {
        [Script::PlutusV3, Script::PlutusV2, Script::PlutusV1, Script::Native]
            .into_iter()
            .map(|language| language(form.clone()))
            .find(|script| script.hash() == *hash)
    })
}
