//! Reading a form as far as its token needs.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Request};
use http_body::Body;
use staunch_bounded::Charge;

use super::gate::Gate;
use crate::csrf::caller::Tokens;
use crate::csrf::form::{FIRST_PART_BYTES_MAX, FirstPart, Form, first_part, urlencoded};
use crate::csrf::reason::Reason;
use crate::csrf::replay::{Begun, Rebody, Replay};

/// A request whose token is looked for in its form, and the server that waits for it.
pub(super) struct Reading<S, T: Tokens, C, B, W> {
    inner: S,
    pub(super) gate: Arc<Gate<T, C, W>>,
    session: T::Session,
    form: Form,
    parts: Parts,
    body: B,
    begun: Begun,
    trailers: Option<HeaderMap>,
    ended: bool,
    charge: Charge,
}

impl<S, T, C, B, W> Reading<S, T, C, B, W>
where
    T: Tokens,
    C: Fn() -> u32,
    B: Body<Data = Bytes> + Unpin,
    W: Rebody<B>,
{
    pub(super) fn new(
        inner: S,
        gate: Arc<Gate<T, C, W>>,
        request: Request<B>,
        session: T::Session,
        form: Form,
    ) -> Self {
        let (parts, body) = request.into_parts();
        let charge = Charge::nothing(&gate.forms);
        let (begun, trailers, ended) = (Begun::Nothing, None, false);
        Self { inner, gate, session, form, parts, body, begun, trailers, ended, charge }
    }

    /// Reads until it is known what to think of the token.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Reason>> {
        loop {
            let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)) else {
                self.ended = true;
                return Poll::Ready(self.at_end());
            };
            let Ok(frame) = frame else { return Poll::Ready(Err(Reason::BodyUnreadable)) };
            let found = match frame.into_data() {
                Ok(chunk) => self.take(chunk),
                Err(frame) => {
                    self.trailers = frame.into_trailers().ok();
                    None
                }
            };
            if let Some(found) = found {
                return Poll::Ready(found);
            }
        }
    }

    /// The server, and the request with its body made whole again.
    pub(super) fn resume(self) -> (S, Request<W::Body>) {
        let body = Replay::resumed(self.begun, self.trailers, self.ended, self.body, self.charge);
        (self.inner, Request::from_parts(self.parts, self.gate.rebody.begun(body)))
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    pub(super) fn parts_mut(&mut self) -> &mut Parts {
        &mut self.parts
    }

    /// Keeps a chunk, and says what is known by now. Whatever is said, the chunk is kept: if the guard only reports, the body
    /// is passed on.
    fn take(&mut self, chunk: Bytes) -> Option<Result<(), Reason>> {
        let paid = self.charge.grow(chunk.len() as u64);
        self.begun.push(chunk);
        if paid.is_err() {
            return Some(Err(Reason::FormsFull));
        }
        let seen = self.begun.seen();
        match &self.form {
            Form::Urlencoded => (seen.len() > self.gate.rules.form_bytes_max).then_some(Err(Reason::FormTooLarge)),
            Form::Multipart(border) => match first_part(seen, border, self.gate.rules.field) {
                FirstPart::Token(token) => Some(self.gate.token(&self.session, token)),
                FirstPart::Other => Some(Err(Reason::TokenMissing)),
                FirstPart::More => (seen.len() > FIRST_PART_BYTES_MAX).then_some(Err(Reason::FormTooLarge)),
            },
        }
    }

    fn at_end(&self) -> Result<(), Reason> {
        match &self.form {
            Form::Urlencoded => {
                let token = urlencoded(self.begun.seen(), self.gate.rules.field)?;
                self.gate.token(&self.session, &token)
            }
            Form::Multipart(_) => Err(Reason::TokenMissing),
        }
    }
}
