//! A future is dropped at each await in turn.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use super::broken::{Blame, Broken, Swept};
use super::measured::{caught, twice};
use crate::gate::Options;

/// Polls after which a sweep gives up on a future that never ends.
const POLLS_MAX: u64 = 10_000;

/// How a future that was to be cut short ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// It completed before it was cut.
    Completed,
    /// It was dropped, after as many polls as it was given.
    Dropped,
}

/// A future that drops another after so many polls, and then is complete itself.
#[derive(Debug)]
pub struct CutShort<F> {
    /// `None` once it has completed or been dropped.
    inner: Option<Pin<Box<F>>>,
    polls_left: u64,
}

impl<F: Future> CutShort<F> {
    /// Polls `inner` at most `polls` times. With 0 it is dropped without having been polled.
    pub fn new(inner: F, polls: u64) -> Self {
        Self { inner: Some(Box::pin(inner)), polls_left: polls }
    }
}

impl<F: Future> Future for CutShort<F> {
    type Output = Cut;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Cut> {
        if self.polls_left > 0
            && let Some(inner) = &mut self.inner
        {
            if inner.as_mut().poll(cx).is_ready() {
                self.inner = None;
                return Poll::Ready(Cut::Completed);
            }
            self.polls_left -= 1;
        }
        if self.polls_left > 0 {
            return Poll::Pending;
        }
        // Dropped here, on the runtime, as a server drops a handler whose client has gone.
        self.inner = None;
        Poll::Ready(Cut::Dropped)
    }
}

/// Makes a future, polls it k times, drops it, and looks whether the process is as it was; for every k until it completes.
///
/// `run` drives a future to its end: a runtime's `block_on`, which then also gets the chance to run what the future has
/// spawned, or [`block_on`]. `check` is called after each, for invariants: its panic is reported. Each k is run twice and
/// compared over the second time, so that what is set up once is no leak.
///
/// # Errors
/// [`Broken`] names k and what is left; also if it completes at once, since then there is no point to cut it at.
///
/// ```
/// #[global_allocator]
/// static COUNTING: staunch_leak::Counting = staunch_leak::Counting::new();
///
/// use std::cell::Cell;
/// use staunch_leak::{Options, fault::{all_cancellations, block_on}};
/// # async fn yield_now() {
/// #     let mut done = false;
/// #     std::future::poll_fn(|cx| {
/// #         cx.waker().wake_by_ref();
/// #         if std::mem::replace(&mut done, true) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
/// #     }).await
/// # }
/// thread_local!(static SLOTS: Cell<u64> = const { Cell::new(0) });
/// let options = || Options::default().brief().counter("slots", || SLOTS.get());
/// let careless = || async {
///     SLOTS.set(SLOTS.get() + 1);
///     yield_now().await;
///     SLOTS.set(SLOTS.get() - 1);
/// };
/// let broken = all_cancellations(&options(), |future| block_on(future), careless, || {}).unwrap_err();
/// assert_eq!(broken.at, 1);
/// assert!(broken.to_string().contains("slots"));
/// ```
pub fn all_cancellations<F: Future>(
    options: &Options,
    mut run: impl FnMut(CutShort<F>) -> Cut,
    mut make: impl FnMut() -> F,
    mut check: impl FnMut(),
) -> Result<Swept, Broken> {
    for polls in 0..POLLS_MAX {
        let broken = |blame| Broken { at: polls, point: None, manner: "dropped after so many polls", blame };
        let measured = twice(options, || {
            let cut = caught(|| run(CutShort::new(make(), polls))).map_err(Blame::Panicked)?;
            caught(&mut check).map_err(Blame::Check)?;
            Ok(cut)
        });
        match measured.map_err(broken)?.map_err(Blame::Leaked).map_err(broken)? {
            Cut::Dropped => {}
            Cut::Completed if polls <= 1 => return Err(broken(Blame::NoPoints)),
            Cut::Completed => return Ok(Swept { points: polls, runs: 2 * polls }),
        }
    }
    Err(Broken { at: POLLS_MAX, point: None, manner: "dropped after so many polls", blame: Blame::Hung })
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Drives a future to its end in this thread, without a runtime.
///
/// ```
/// assert_eq!(staunch_leak::fault::block_on(async { 1 + 1 }), 2);
/// ```
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut cx) {
            return done;
        }
        // A wake that came meanwhile makes it return at once.
        std::thread::park();
    }
}
