//! A socket that gives up on a client that does not read.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use staunch_bounded::fault_point;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// A stream whose writes fail once nothing could be written for `patience`. Reads are not timed: a live stream's client has
/// nothing to say.
///
/// Its shutdown lingers (RFC 9112 §9.6): it says that we are done, and then throws away what the client still sends, until the
/// client is done too or [`LINGER`] is over. Closing a socket that holds unread bytes would reset the connection, and the reset
/// may overtake the answer: a client that sends too large a body would never hear that it is too large.
#[derive(Debug)]
pub(crate) struct Impatient<S> {
    inner: S,
    patience: Duration,
    timer: Pin<Box<Sleep>>,
    waiting: bool,
    shut: bool,
}

/// How long a shutdown waits for the client's end.
const LINGER: Duration = Duration::from_secs(1);

impl<S> Impatient<S> {
    /// Watches over `inner`.
    pub(crate) fn new(inner: S, patience: Duration) -> Self {
        Self { inner, patience, timer: Box::pin(tokio::time::sleep(patience)), waiting: false, shut: false }
    }

    /// Passes on what a write came to, and starts or stops the clock.
    fn judge<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waiting = false;
            return written;
        }
        if !self.waiting {
            self.waiting = true;
            self.timer.as_mut().reset(Instant::now() + self.patience);
        }
        ready!(self.timer.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")))
    }
}

impl<S: AsyncRead + Unpin> Impatient<S> {
    /// Throws away what still comes, for a while.
    fn linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut bytes = [0; 4096];
        // Looked at each time round: a client that sends without a pause never makes the read wait.
        while Instant::now() < self.timer.deadline() {
            let mut buf = ReadBuf::new(&mut bytes);
            match Pin::new(&mut self.inner).poll_read(context, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return self.timer.as_mut().poll(context),
            }
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(context, buf);
        if read.is_ready() && buf.filled().len() > before {
            // Behind the read: a point for each that brings something, however often it is polled.
            fault_point!("server.read")?;
        }
        read
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if !self.waiting {
            // A write that waits is the same one when it is polled again.
            fault_point!("server.write")?;
        }
        let written = Pin::new(&mut self.inner).poll_write(context, buf);
        self.judge(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(context);
        self.judge(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.shut {
            let shut = Pin::new(&mut self.inner).poll_shutdown(context);
            ready!(self.judge(context, shut))?;
            self.shut = true;
            self.timer.as_mut().reset(Instant::now() + LINGER);
        }
        ready!(self.linger(context));
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if !self.waiting {
            fault_point!("server.write")?;
        }
        let written = Pin::new(&mut self.inner).poll_write_vectored(context, bufs);
        self.judge(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_write_that_nobody_reads_fails_and_one_that_is_read_in_time_does_not() {
        let (ours, mut theirs) = tokio::io::duplex(4);
        let mut ours = Impatient::new(ours, Duration::from_secs(30));
        ours.write_all(b"1234").await.unwrap();
        let (written, read) = tokio::join!(ours.write_all(b"5678"), async {
            tokio::time::sleep(Duration::from_secs(29)).await;
            let mut buf = [0; 4];
            theirs.read_exact(&mut buf).await.map(|_| buf)
        });
        assert!(written.is_ok());
        assert_eq!(&read.unwrap(), b"1234");
        let before = Instant::now();
        let error = ours.write_all(b"9").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(before.elapsed(), Duration::from_secs(30));
    }

    #[tokio::test(start_paused = true)]
    async fn a_shutdown_waits_for_the_end_of_the_other_side_but_not_for_long() {
        let (ours, mut theirs) = tokio::io::duplex(4);
        let mut ours = Impatient::new(ours, Duration::from_secs(30));
        let (shut, sent) = tokio::join!(ours.shutdown(), async {
            theirs.write_all(&[0; 1000]).await?;
            theirs.shutdown().await
        });
        assert!(shut.is_ok() && sent.is_ok(), "what still came was taken");

        let (ours, _silent) = tokio::io::duplex(4);
        let before = Instant::now();
        Impatient::new(ours, Duration::from_secs(30)).shutdown().await.unwrap();
        assert_eq!(before.elapsed(), LINGER);
    }
}
