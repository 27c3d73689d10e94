//! The bytes on a stream: length-prefixed frames, read with a limit and without trusting the length.
//!
//! One stream carries one exchange:
//!
//! ```text
//! requester → responder   u32 length (big endian) │ request │ end of stream
//! responder → requester   u8 kind │ u32 length │ answer (kind 0) or refusal (kind 1) │ end of stream
//! ```

use std::{io, sync::Arc};

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{message, refusal::Refusal};

/// The kind byte before an answer.
const ANSWER: u8 = 0;
/// The kind byte before a refusal.
const REFUSAL: u8 = 1;
/// How much memory is set aside at a time, in bytes: a peer that announces much and sends little holds little.
const STEP: usize = 64 * 1024;
/// The unit of a [`Budget`], in bytes; keeps the count far inside 32 bits.
const BUDGET_UNIT: usize = 1024;

/// What is wrong with the bytes of a stream.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// The stream ended early.
    #[error("truncated message: the stream ended early")]
    Truncated,
    /// More is announced than the protocol allows.
    #[error("message of {announced} bytes: at most {limit} are allowed")]
    TooLong { announced: usize, limit: usize },
    /// The stream goes on after the message.
    #[error("malformed stream: bytes follow the message")]
    Trailing,
    /// Not a kind of response.
    #[error("malformed stream: kind {0} is neither an answer (0) nor a refusal (1)")]
    UnknownKind(u8),
    /// A refusal that cannot be read.
    #[error("malformed refusal: {0}")]
    BadRefusal(String),
    /// This node's memory for messages is in use.
    #[error("the memory for messages is in use")]
    OutOfBudget,
    /// The transport failed.
    #[error("the stream failed: {0}")]
    Io(io::Error),
}

impl From<io::Error> for FrameError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof { Self::Truncated } else { Self::Io(error) }
    }
}

/// The bytes that messages under way may hold together.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Arc<Semaphore>);

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new((bytes / BUDGET_UNIT).min(Semaphore::MAX_PERMITS))))
    }

    /// Takes room for `bytes` more, or nothing: waiting here could make all wait for each other.
    fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, FrameError> {
        let units = u32::try_from(bytes.div_ceil(BUDGET_UNIT)).map_err(|_| FrameError::OutOfBudget)?;
        Arc::clone(&self.0).try_acquire_many_owned(units).map_err(|_| FrameError::OutOfBudget)
    }
}

/// A message's bytes, and the room they hold in the [`Budget`] as long as they live.
#[derive(Debug)]
pub(crate) struct Payload {
    pub(crate) bytes: Vec<u8>,
    _room: Option<OwnedSemaphorePermit>,
}

/// Writes the request, and says that nothing follows.
pub(crate) async fn write_request(io: &mut (impl AsyncWrite + Unpin), request: &[u8]) -> io::Result<()> {
    io.write_all(&length_prefix(request)?).await?;
    io.write_all(request).await?;
    io.close().await
}

/// Reads a request of at most `limit` bytes, up to the end of the stream.
pub(crate) async fn read_request(
    io: &mut (impl AsyncRead + Unpin),
    limit: usize,
    budget: &Budget,
) -> Result<Payload, FrameError> {
    let payload = read_frame(io, limit, Some(budget)).await?;
    expect_end(io).await?;
    Ok(payload)
}

/// Writes the answer or the refusal, and says that nothing follows.
pub(crate) async fn write_response(
    io: &mut (impl AsyncWrite + Unpin),
    response: &Result<Vec<u8>, Refusal>,
) -> io::Result<()> {
    let encoded;
    let (kind, body) = match response {
        Ok(answer) => (ANSWER, answer),
        Err(refusal) => {
            encoded = message::encode(refusal).map_err(|error| io::Error::other(error.to_string()))?;
            (REFUSAL, &encoded)
        }
    };
    io.write_all(&[kind]).await?;
    io.write_all(&length_prefix(body)?).await?;
    io.write_all(body).await?;
    io.close().await
}

/// Reads an answer of at most `limit` bytes, or a refusal, up to the end of the stream.
pub(crate) async fn read_response(
    io: &mut (impl AsyncRead + Unpin),
    limit: usize,
) -> Result<Result<Vec<u8>, Refusal>, FrameError> {
    let mut kind = [0];
    io.read_exact(&mut kind).await?;
    let response = match kind[0] {
        ANSWER => Ok(read_frame(io, limit, None).await?.bytes),
        REFUSAL => {
            let encoded = read_frame(io, Refusal::MAX_ENCODED, None).await?;
            Err(message::decode(&encoded.bytes).map_err(FrameError::BadRefusal)?)
        }
        other => return Err(FrameError::UnknownKind(other)),
    };
    expect_end(io).await?;
    Ok(response)
}

/// Reads and forgets up to `limit` bytes, so that a peer that is still writing gets to read our refusal.
pub(crate) async fn drain(io: &mut (impl AsyncRead + Unpin), limit: usize) {
    let mut scratch = [0; 4096];
    let mut left = limit;
    while left > 0 {
        match io.read(&mut scratch).await {
            Ok(0) | Err(_) => return,
            Ok(count) => left = left.saturating_sub(count),
        }
    }
}

fn length_prefix(body: &[u8]) -> io::Result<[u8; 4]> {
    let length = u32::try_from(body.len())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a message's length travels in 32 bits"))?;
    Ok(length.to_be_bytes())
}

async fn read_frame(
    io: &mut (impl AsyncRead + Unpin),
    limit: usize,
    budget: Option<&Budget>,
) -> Result<Payload, FrameError> {
    let mut prefix = [0; 4];
    io.read_exact(&mut prefix).await?;
    // A length that does not fit `usize` is over any limit.
    let announced = usize::try_from(u32::from_be_bytes(prefix)).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(FrameError::TooLong { announced, limit });
    }
    let mut bytes = Vec::new();
    let mut room: Option<OwnedSemaphorePermit> = None;
    while bytes.len() < announced {
        let start = bytes.len();
        let step = STEP.min(announced - start);
        if let Some(budget) = budget {
            let more = budget.take(step)?;
            match room.as_mut() {
                Some(held) => held.merge(more),
                None => room = Some(more),
            }
        }
        bytes.resize(start + step, 0);
        io.read_exact(&mut bytes[start..]).await?;
    }
    Ok(Payload { bytes, _room: room })
}

async fn expect_end(io: &mut (impl AsyncRead + Unpin)) -> Result<(), FrameError> {
    match io.read(&mut [0]).await? {
        0 => Ok(()),
        _ => Err(FrameError::Trailing),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use std::{
        pin::Pin,
        task::{Context, Poll},
    };

    use futures::io::Cursor;
    use proptest::prelude::*;

    use super::*;
    use crate::refusal::RefusalCode;

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    /// Gives out its bytes in pieces of the given sizes, as a network does.
    struct Pieces<'a> {
        bytes: &'a [u8],
        sizes: std::iter::Cycle<std::vec::IntoIter<usize>>,
    }

    impl<'a> Pieces<'a> {
        fn new(bytes: &'a [u8], sizes: Vec<usize>) -> Self {
            Self { bytes, sizes: sizes.into_iter().cycle() }
        }
    }

    impl AsyncRead for Pieces<'_> {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>> {
            let this = self.get_mut();
            let count = this.sizes.next().unwrap_or(1).min(out.len()).min(this.bytes.len());
            let (now, later) = this.bytes.split_at(count);
            out[..count].copy_from_slice(now);
            this.bytes = later;
            Poll::Ready(Ok(count))
        }
    }

    fn sizes() -> impl Strategy<Value = Vec<usize>> {
        proptest::collection::vec(1usize..3000, 1..8)
    }

    fn plenty() -> Budget {
        Budget::new(16 << 20)
    }

    #[test]
    fn a_length_over_the_limit_is_refused_before_memory_is_set_aside() {
        let mut io = Cursor::new(u32::MAX.to_be_bytes().to_vec());
        let error = block_on(read_request(&mut io, 1000, &plenty())).unwrap_err();
        assert!(matches!(error, FrameError::TooLong { announced: 0xffff_ffff, limit: 1000 }), "{error}");
    }

    #[test]
    fn a_message_that_ends_early_is_truncated() {
        let mut io = Cursor::new([&100u32.to_be_bytes()[..], &[7; 99]].concat());
        let error = block_on(read_request(&mut io, 1000, &plenty())).unwrap_err();
        assert!(matches!(error, FrameError::Truncated), "{error}");
    }

    #[test]
    fn the_budget_is_held_by_messages_and_given_back() {
        let budget = Budget::new(128 * 1024);
        let big = [&(100 * 1024u32).to_be_bytes()[..], &[7; 100 * 1024]].concat();
        let first = block_on(read_request(&mut Cursor::new(&big), 1 << 20, &budget)).unwrap();
        let error = block_on(read_request(&mut Cursor::new(&big), 1 << 20, &budget)).unwrap_err();
        assert!(matches!(error, FrameError::OutOfBudget), "{error}");
        drop(first);
        block_on(read_request(&mut Cursor::new(&big), 1 << 20, &budget)).unwrap();
    }

    proptest! {
        #[test]
        fn any_request_survives_however_it_is_cut(body in proptest::collection::vec(any::<u8>(), 0..5000), sizes in sizes()) {
            let mut wire = Cursor::new(Vec::new());
            block_on(write_request(&mut wire, &body)).unwrap();
            let wire = wire.into_inner();
            let read = block_on(read_request(&mut Pieces::new(&wire, sizes), 5000, &plenty())).unwrap();
            prop_assert_eq!(read.bytes, body);
        }

        #[test]
        fn any_response_survives_however_it_is_cut(
            body in proptest::collection::vec(any::<u8>(), 0..5000),
            refused: bool,
            text in ".{0,200}",
            sizes in sizes(),
        ) {
            let response = if refused { Err(Refusal::new(RefusalCode::Rejected, text)) } else { Ok(body) };
            let mut wire = Cursor::new(Vec::new());
            block_on(write_response(&mut wire, &response)).unwrap();
            let wire = wire.into_inner();
            let read = block_on(read_response(&mut Pieces::new(&wire, sizes), 5000)).unwrap();
            prop_assert_eq!(read, response);
        }

        #[test]
        fn random_bytes_are_a_request_only_if_they_are_exactly_one(
            length in 0u32..300,
            body in proptest::collection::vec(any::<u8>(), 0..300),
            sizes in sizes(),
        ) {
            let wire = [&length.to_be_bytes()[..], &body].concat();
            let read = block_on(read_request(&mut Pieces::new(&wire, sizes), 200, &plenty()));
            let announced = length as usize;
            match read {
                Ok(payload) => {
                    prop_assert!(announced <= 200 && announced == body.len());
                    prop_assert_eq!(payload.bytes, body);
                }
                Err(FrameError::TooLong { .. }) => prop_assert!(announced > 200),
                Err(FrameError::Truncated) => prop_assert!(body.len() < announced),
                Err(FrameError::Trailing) => prop_assert!(body.len() > announced),
                Err(other) => prop_assert!(false, "{}", other),
            }
        }

        #[test]
        fn random_bytes_never_break_the_response_reader(
            wire in proptest::collection::vec(any::<u8>(), 0..600),
            small_head in any::<bool>(),
        ) {
            let mut wire = wire;
            if small_head {
                // Make it likely that the reader gets past kind and length.
                for (byte, head) in wire.iter_mut().zip([1u8, 0, 0, 0]) {
                    *byte = head.min(*byte);
                }
            }
            if let Ok(Ok(answer)) = block_on(read_response(&mut Cursor::new(&wire), 500)) {
                prop_assert_eq!(&wire[5..], &answer[..]);
            }
        }
    }
}
