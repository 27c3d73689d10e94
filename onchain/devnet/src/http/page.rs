//! Paging: `count`, `page` and `order` of the query, with Blockfrost's bounds.

use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use serde::Deserialize;

use super::answer::ApiError;

/// Entries on a page, at most and when the query does not say.
pub(super) const MAX_COUNT: usize = 100;

/// The last page that can be asked for.
const MAX_PAGE: usize = 21_474_836;

/// Which entries of a list to answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    count: usize,
    page: usize,
    order: Order,
}

/// From which end a list starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// Oldest first.
    Ascending,
    /// Newest first.
    Descending,
}

#[derive(Deserialize)]
struct RawPage {
    count: Option<String>,
    page: Option<String>,
    order: Option<String>,
}

impl Page {
    /// The entries of this page, from a list in ascending order.
    pub(super) fn of<I: DoubleEndedIterator>(self, all: I) -> Vec<I::Item> {
        let before = (self.page - 1) * self.count;
        match self.order {
            Order::Ascending => all.skip(before).take(self.count).collect(),
            Order::Descending => all.rev().skip(before).take(self.count).collect(),
        }
    }

    fn parse(raw: &RawPage) -> Result<Self, ApiError> {
        let order = match raw.order.as_deref() {
            None | Some("asc") => Order::Ascending,
            Some("desc") => Order::Descending,
            Some(_) => return Err(ApiError::bad_request("querystring/order must be asc or desc")),
        };
        let count = number(raw.count.as_deref(), MAX_COUNT, MAX_COUNT, "count")?;
        let page = number(raw.page.as_deref(), 1, MAX_PAGE, "page")?;
        Ok(Self { count, page, order })
    }
}

fn number(text: Option<&str>, default: usize, max: usize, name: &str) -> Result<usize, ApiError> {
    let Some(text) = text else { return Ok(default) };
    let number = text.parse().ok().filter(|number| (1..=max).contains(number));
    number.ok_or_else(|| ApiError::bad_request(format!("querystring/{name} must be an integer from 1 to {max}")))
}

impl<S: Send + Sync> FromRequestParts<S> for Page {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Query(raw) = Query::<RawPage>::from_request_parts(parts, state)
            .await
            .map_err(|error| ApiError::bad_request(error.to_string()))?;
        Self::parse(&raw)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn page(count: &str, page: &str, order: &str) -> Result<Page, ApiError> {
        Page::parse(&RawPage { count: Some(count.into()), page: Some(page.into()), order: Some(order.into()) })
    }

    #[test]
    fn pages_cut_a_list_in_either_order() {
        assert_eq!(page("2", "1", "asc").unwrap().of(0..5), [0, 1]);
        assert_eq!(page("2", "3", "asc").unwrap().of(0..5), [4]);
        assert_eq!(page("2", "1", "desc").unwrap().of(0..5), [4, 3]);
        assert_eq!(page("2", "3", "desc").unwrap().of(0..5), [0]);
        assert!(page("100", "21474836", "asc").unwrap().of(0..5).is_empty());
    }

    #[test]
    fn the_default_is_the_first_hundred() {
        let first = Page::parse(&RawPage { count: None, page: None, order: None }).unwrap();
        assert_eq!(first.of(0..250), (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn values_out_of_bounds_are_refused() {
        for (count, number, order) in
            [("0", "1", "asc"), ("101", "1", "asc"), ("1", "0", "asc"), ("1", "21474837", "asc"), ("1", "1", "up")]
        {
            assert!(page(count, number, order).is_err(), "{count} {number} {order}");
        }
        assert!(page("-1", "1", "asc").is_err());
        assert!(page("99999999999999999999", "1", "asc").is_err());
    }
}
