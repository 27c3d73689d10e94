//! Which addresses of an account are in use, asked of the chain with a gap limit.
//!
//! [BIP-44](https://github.com/bitcoin/bips/blob/master/bip-0044.mediawiki#account-discovery): addresses are looked at in
//! order until twenty in a row were never used.

use nunet_ledger::Address;
use serde::de::IgnoredAny;
use tokio::task::JoinSet;

use super::{Account, KeyPath, Role};
use crate::{chain::Chain, error::ChainError};

/// How many unused addresses in a row end a search (BIP-44).
pub const GAP_LIMIT: u32 = 20;

/// How many addresses are asked about at once: a hosted endpoint allows ten requests a second.
const AT_ONCE: usize = 8;

/// Most addresses of one role that a search goes through: what [`Account::path_of`] finds again.
const MOST: u32 = super::LOOKAHEAD;

/// The addresses of an account that were ever used, and the next ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovered {
    /// The used ones by path, external before internal, in order.
    pub used: Vec<(KeyPath, Address)>,
    /// The first external address after the last used one: to be given to the next payer.
    pub fresh: (KeyPath, Address),
    /// The first external address, with and without the stake key: used by this program whether or not it was found.
    home: [Address; 2],
}

impl Discovered {
    /// Every address at which the account can hold something: the used ones, and the first in both forms.
    pub fn addresses(&self) -> Vec<Address> {
        let mut all = self.home.to_vec();
        for (_, address) in &self.used {
            if !all.contains(address) {
                all.push(address.clone());
            }
        }
        all
    }
}

impl Chain {
    /// Whether an address was ever used in a block, even if it holds nothing now.
    pub async fn is_used(&self, address: &Address) -> Result<bool, ChainError> {
        Ok(self.inner.transport.get::<IgnoredAny>(&format!("addresses/{address}")).await?.is_some())
    }

    /// Finds the addresses of an account that were used, by the rule of BIP-44.
    pub async fn discover(&self, account: &Account) -> Result<Discovered, ChainError> {
        let mut used = Vec::new();
        let mut next = 0;
        for role in [Role::External, Role::Internal] {
            let found = self.used_indices(account, role).await?;
            if role == Role::External {
                next = found.last().map_or(0, |last| last + 1);
            }
            let paths = found.into_iter().filter_map(|index| KeyPath::new(role, index));
            used.extend(paths.map(|path| (path, account.address(path))));
        }
        let fresh = KeyPath::new(Role::External, next).unwrap_or(KeyPath::PAYMENT);
        let home = [account.address(KeyPath::PAYMENT), account.enterprise_address()];
        Ok(Discovered { used, fresh: (fresh, account.address(fresh)), home })
    }

    /// The used indices of one role, ascending.
    async fn used_indices(&self, account: &Account, role: Role) -> Result<Vec<u32>, ChainError> {
        let mut used = Vec::new();
        let (mut asked, mut end) = (0, GAP_LIMIT);
        while asked < end {
            let mut found = self.used_among(account, role, asked..end).await?;
            asked = end;
            found.sort_unstable();
            used.append(&mut found);
            end = used.last().map_or(GAP_LIMIT, |last| last + 1 + GAP_LIMIT).min(MOST);
        }
        if used.last().is_some_and(|last| last + GAP_LIMIT >= MOST) {
            tracing::warn!(
                ?role,
                "the account has used more than {MOST} addresses: those after them are not looked at"
            );
        }
        Ok(used)
    }

    async fn used_among(
        &self,
        account: &Account,
        role: Role,
        indices: std::ops::Range<u32>,
    ) -> Result<Vec<u32>, ChainError> {
        let mut addresses =
            indices.filter_map(|index| Some((index, account.address(KeyPath::new(role, index)?)))).fuse();
        let (mut tasks, mut found) = (JoinSet::new(), Vec::new());
        loop {
            while tasks.len() < AT_ONCE
                && let Some((index, address)) = addresses.next()
            {
                let chain = self.clone();
                tasks.spawn(async move { chain.is_used(&address).await.map(|used| used.then_some(index)) });
            }
            match tasks.join_next().await {
                Some(Ok(answer)) => found.extend(answer?),
                Some(Err(error)) => return Err(ChainError::Aborted(error.to_string())),
                None => return Ok(found),
            }
        }
    }
}
