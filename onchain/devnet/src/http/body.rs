//! Reads a request's body with a bound on its size and on the time that it may take.

use std::time::Duration;

use axum::{
    body::Body,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
};
use futures::StreamExt;
use tokio::time;

use super::answer::ApiError;

/// The largest body that is taken unless a path says otherwise: four times a transaction's limit.
const MAX_BODY: usize = 64 * 1_024;

/// How much of a body that is too large is read and thrown away, so that its sender gets to see the refusal.
const MAX_DISCARDED: usize = 4 * 1_024 * 1_024;

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);

/// A request's body, of at most `MAX` bytes, and its media type without parameters.
#[derive(Debug)]
pub(super) struct BoundedBody<const MAX: usize = MAX_BODY> {
    pub(super) bytes: Vec<u8>,
    media_type: String,
}

impl<const MAX: usize> BoundedBody<MAX> {
    /// Refuses a body of another media type.
    pub(super) fn require(&self, media_type: &str) -> Result<(), ApiError> {
        if self.media_type.eq_ignore_ascii_case(media_type) {
            return Ok(());
        }
        let found: String = self.media_type.chars().take(80).collect();
        let message = format!("the body's content-type is {found:?}; send {media_type}");
        Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message))
    }
}

impl<S: Send + Sync, const MAX: usize> FromRequest<S> for BoundedBody<MAX> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        let media_type = media_type(request.headers());
        let reading = read(request.into_body(), MAX);
        let bytes = time::timeout(BODY_TIMEOUT, reading).await.map_err(|_| {
            let message = format!("the body did not arrive within {} s; send it again", BODY_TIMEOUT.as_secs());
            ApiError::new(StatusCode::REQUEST_TIMEOUT, message)
        })??;
        Ok(Self { bytes, media_type })
    }
}

async fn read(body: Body, max: usize) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::new();
    let mut received = 0_usize;
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk =
            chunk.map_err(|error| ApiError::bad_request(format!("the body broke off: {error}; send it again")))?;
        received = received.saturating_add(chunk.len());
        if received > MAX_DISCARDED {
            break;
        }
        if received <= max {
            bytes.extend_from_slice(&chunk);
        }
    }
    if received > max {
        let message = format!("the body is larger than {max} bytes; a transaction has at most 16384");
        return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message));
    }
    Ok(bytes)
}

fn media_type(headers: &HeaderMap) -> String {
    let text = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use axum::response::IntoResponse;
    use futures::stream;

    use super::*;

    async fn outcome(body: Body) -> Result<usize, StatusCode> {
        let request = Request::new(body);
        let read = BoundedBody::<100>::from_request(request, &()).await;
        read.map(|body| body.bytes.len()).map_err(|error| error.into_response().status())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_given_up() {
        let silent = stream::pending::<Result<Vec<u8>, std::io::Error>>();
        assert_eq!(outcome(Body::from_stream(silent)).await, Err(StatusCode::REQUEST_TIMEOUT));
        let drip = stream::unfold((), |()| async {
            time::sleep(Duration::from_secs(1)).await;
            Some((Ok::<_, std::io::Error>(vec![0]), ()))
        });
        assert_eq!(outcome(Body::from_stream(drip)).await, Err(StatusCode::REQUEST_TIMEOUT));
    }

    #[tokio::test]
    async fn a_body_may_be_as_large_as_its_bound() {
        assert_eq!(outcome(Body::from(vec![0; 100])).await, Ok(100));
        assert_eq!(outcome(Body::from(vec![0; 101])).await, Err(StatusCode::PAYLOAD_TOO_LARGE));
        let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(vec![0; 1_024]));
        assert_eq!(outcome(Body::from_stream(endless)).await, Err(StatusCode::PAYLOAD_TOO_LARGE));
        let broken = stream::iter([Ok(vec![0]), Err(std::io::Error::other("broken off"))]);
        assert_eq!(outcome(Body::from_stream(broken)).await, Err(StatusCode::BAD_REQUEST));
    }
}
