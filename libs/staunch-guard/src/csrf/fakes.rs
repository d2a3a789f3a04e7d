//! What tests put in the place of randomness, clocks and bodies.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use super::random::{NoRandom, Random};

/// Bytes that never repeat and are the same in each run.
#[derive(Debug, Default)]
pub(super) struct Numbers(AtomicU64);

impl From<u64> for Numbers {
    /// Those after `first`.
    fn from(first: u64) -> Self {
        Self(AtomicU64::new(first))
    }
}

/// No randomness.
#[derive(Debug)]
pub(super) struct Broken;

impl Random for Numbers {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandom> {
        for chunk in bytes.chunks_mut(8) {
            let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
            // An odd factor maps numbers one to one, and spreads them over all bytes.
            let spread = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes();
            chunk.copy_from_slice(&spread[..chunk.len()]);
        }
        Ok(())
    }
}

impl Random for Broken {
    fn fill(&self, _bytes: &mut [u8]) -> Result<(), NoRandom> {
        Err(NoRandom)
    }
}

/// Polls to the end what is never pending for long.
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    for _ in 0..1_000_000 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
    }
    panic!("it is pending for ever");
}

/// A body in chunks, pending once before each of them, which counts what is taken from it.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    chunks: VecDeque<Bytes>,
    trailers: Option<HeaderMap>,
    breaks: bool,
    pending: bool,
    exact: bool,
    /// Bytes taken from it.
    pub(super) taken: std::sync::Arc<AtomicU64>,
}

impl Chunks {
    /// `text` in chunks of `size` bytes.
    pub(super) fn new(text: &[u8], size: usize) -> Self {
        let chunks = text.chunks(size.max(1)).map(Bytes::copy_from_slice).collect();
        Self { chunks, exact: true, ..Self::default() }
    }

    /// With trailers at its end; its size is then not known before.
    pub(super) fn trailers(mut self, trailers: HeaderMap) -> Self {
        self.trailers = Some(trailers);
        self.exact = false;
        self
    }

    /// It ends in an error.
    pub(super) fn breaks(mut self) -> Self {
        self.breaks = true;
        self
    }
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.pending = !self.pending;
        if self.pending {
            return Poll::Pending;
        }
        if let Some(chunk) = self.chunks.pop_front() {
            self.taken.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        if self.breaks {
            return Poll::Ready(Some(Err("broken")));
        }
        Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.chunks.iter().map(|chunk| chunk.len() as u64).sum();
        if self.exact { SizeHint::with_exact(left) } else { SizeHint::default() }
    }
}
