//! A body of which the beginning was read, made whole again.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use staunch_bounded::Charge;

pin_project! {
    /// The body of a request as the server behind the guard gets it: the same bytes and trailers, whether or not a token was
    /// looked for in it. Only the borders between chunks may be others.
    #[derive(Debug)]
    pub struct Replay<B> {
        // Boxed, since of most bodies nothing was read, and each layer further in moves them about.
        read: Option<Box<Read>>,
        #[pin]
        rest: B,
    }
}

/// As what the server behind the guard gets the body of a request.
pub trait Rebody<B>: Clone {
    /// The body's type there.
    type Body;

    /// A request with a body that nobody has read from.
    fn whole(&self, request: Request<B>) -> Request<Self::Body>;

    /// A body that a token was looked for in.
    fn begun(&self, body: Replay<B>) -> Self::Body;
}

/// Every body is a [`Replay`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Replayed;

/// Bodies keep their type, and a [`Replay`] is made one of it.
#[derive(Clone, Copy, Debug)]
pub struct Kept<F>(pub(super) F);

impl<B> Rebody<B> for Replayed {
    type Body = Replay<B>;

    fn whole(&self, request: Request<B>) -> Request<Replay<B>> {
        request.map(Replay::whole)
    }

    fn begun(&self, body: Replay<B>) -> Replay<B> {
        body
    }
}

impl<B, F: Fn(Replay<B>) -> B + Clone> Rebody<B> for Kept<F> {
    type Body = B;

    fn whole(&self, request: Request<B>) -> Request<B> {
        request
    }

    fn begun(&self, body: Replay<B>) -> B {
        (self.0)(body)
    }
}

/// What was read before.
#[derive(Debug)]
struct Read {
    begun: Option<Bytes>,
    trailers: Option<HeaderMap>,
    /// Nothing comes after it.
    ended: bool,
    /// Pays for `begun` until the body is done with.
    _charge: Charge,
}

/// The beginning of a body, copied only if it came in pieces.
#[derive(Debug, Default)]
pub(super) enum Begun {
    #[default]
    Nothing,
    One(Bytes),
    Many(BytesMut),
}

impl Begun {
    pub(super) fn push(&mut self, chunk: Bytes) {
        if chunk.is_empty() {
            return;
        }
        match self {
            Self::Nothing => *self = Self::One(chunk),
            Self::One(first) => {
                let mut all = BytesMut::with_capacity(first.len() + chunk.len());
                all.extend_from_slice(first);
                all.extend_from_slice(&chunk);
                *self = Self::Many(all);
            }
            Self::Many(all) => all.extend_from_slice(&chunk),
        }
    }

    pub(super) fn seen(&self) -> &[u8] {
        match self {
            Self::Nothing => &[],
            Self::One(chunk) => chunk,
            Self::Many(all) => all,
        }
    }

    fn freeze(self) -> Option<Bytes> {
        match self {
            Self::Nothing => None,
            Self::One(chunk) => Some(chunk),
            Self::Many(all) => Some(all.freeze()),
        }
    }
}

impl<B> Replay<B> {
    /// A body that nobody has read from.
    pub(super) fn whole(rest: B) -> Self {
        Self { read: None, rest }
    }

    /// A body of which `begun` was read, and its end too if `ended`.
    pub(super) fn resumed(begun: Begun, trailers: Option<HeaderMap>, ended: bool, rest: B, charge: Charge) -> Self {
        let read = Read { begun: begun.freeze(), trailers, ended, _charge: charge };
        Self { read: Some(Box::new(read)), rest }
    }
}

impl<B: Body<Data = Bytes>> Body for Replay<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        let Some(read) = this.read else { return this.rest.poll_frame(cx) };
        if let Some(begun) = read.begun.take() {
            return Poll::Ready(Some(Ok(Frame::data(begun))));
        }
        if let Some(trailers) = read.trailers.take() {
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        if read.ended { Poll::Ready(None) } else { this.rest.poll_frame(cx) }
    }

    fn is_end_stream(&self) -> bool {
        let Some(read) = &self.read else { return self.rest.is_end_stream() };
        read.begun.is_none() && read.trailers.is_none() && (read.ended || self.rest.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let Some(read) = &self.read else { return self.rest.size_hint() };
        let begun = read.begun.as_ref().map_or(0, |begun| begun.len() as u64);
        let rest = if read.ended { SizeHint::with_exact(0) } else { self.rest.size_hint() };
        let mut hint = SizeHint::new();
        // A body may claim any size.
        hint.set_lower(rest.lower().saturating_add(begun));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(begun));
        }
        hint
    }
}

#[cfg(test)]
mod tests;
