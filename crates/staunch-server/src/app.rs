//! What handlers share: the engine, and the bounds of the HTTP face.

use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;
use staunch_bounded::{Census, fault_point};
use staunch_engine::Engine;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::auth::{Auth, Caller};
use crate::body::Bodies;
use crate::bounds::{READS_MAX, Times};
use crate::lookout::{Lookout, Rare};
use crate::pressure::Rejected;
use crate::problem::{Code, Refusal};
use crate::sse::{Seat, Seats};
use crate::tally::Tally;
use crate::wire::Memory;

/// A hold of the one HTTP face of an engine. Each layer and route that a request passes takes one, so it is one count.
#[derive(Clone)]
pub(crate) struct App(Arc<Face>);

/// One HTTP face of one engine.
pub(crate) struct Face {
    /// The engine.
    pub(crate) engine: Engine,
    /// Who calls, and what they may do.
    pub(crate) auth: Arc<Auth>,
    /// How long things may take.
    pub(crate) times: Times,
    /// Request bodies.
    pub(crate) bodies: Bodies,
    /// Counts for the metrics.
    pub(crate) tally: Arc<Tally>,
    /// The OpenAPI document.
    pub(crate) openapi: Bytes,
    /// All bounded containers there are.
    pub(crate) census: Arc<Census>,
    /// Runs that were not accepted.
    pub(crate) rejected: Rejected,
    /// Watches what the process holds.
    pub(crate) lookout: Lookout,
    streams: Arc<Seats>,
    reads: Arc<Semaphore>,
}

impl Deref for App {
    type Target = Face;

    fn deref(&self) -> &Face {
        &self.0
    }
}

impl App {
    /// The face of `engine`.
    pub(crate) fn new(engine: Engine, auth: Auth, lookout: Lookout, times: Times, openapi: Bytes) -> Self {
        let limits = engine.limits();
        let bodies = Bodies::new(limits.bodies_bytes_max, times.body);
        let census = Arc::new(Census::default());
        engine.register(&census);
        census.register(bodies.budget());
        auth.register(&census);
        Self(Arc::new(Face {
            auth: Arc::new(auth),
            times,
            bodies,
            census,
            lookout,
            tally: Arc::new(Tally::default()),
            rejected: Rejected::default(),
            openapi,
            streams: Seats::new(limits.streams_max as usize),
            reads: Arc::new(Semaphore::new(READS_MAX)),
            engine,
        }))
    }

    /// A seat among the event streams; it is free again when dropped.
    pub(crate) fn stream(&self, caller: &Caller) -> Result<Seat, Refusal> {
        let full = |none| Refusal::new(Code::StreamsFull).detail(none).retry_after(std::time::Duration::from_secs(5));
        let seat = self.streams.take(caller.user_id()).map_err(full)?;
        self.tally.stream_opened();
        Ok(seat)
    }

    /// Event streams open now.
    pub(crate) fn streams_open(&self) -> usize {
        self.streams.taken()
    }

    /// What the process holds. `fresh`: also look at once at what costs more than a census; in its turn, as it reads files.
    pub(crate) async fn memory(&self, fresh: bool) -> Memory {
        let mut seen = self.lookout.seen();
        if fresh || seen.rare.is_none() {
            let turn = self.turn().await;
            seen.rare = Some(Rare::look(&self.lookout, self, Some(turn)).await);
        }
        let reading = self.lookout.reading(self);
        self.lookout.tell(&reading, &seen, self.engine.limits().memory_bytes_max())
    }

    /// A turn for work that reads much at once: what such work holds is bounded by the number of turns.
    pub(crate) async fn turn(&self) -> OwnedSemaphorePermit {
        let turns = Arc::clone(&self.reads);
        turns.acquire_owned().await.expect("never fails, because nobody closes this semaphore")
    }

    /// Runs `work` on a thread that may block, in its turn. The turn goes with the work, so that a caller that is dropped
    /// does not let more work begin than there are turns.
    pub(crate) async fn blocking<T, F>(&self, work: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let turn = self.turn().await;
        fault_point!("server.blocking").map_err(Refusal::internal)?;
        let work = move || {
            if let Err(fault) = fault_point!("server.thread") {
                panic!("{fault}");
            }
            let value = work();
            drop(turn);
            value
        };
        let done = self.engine.tasks().blocking(work).await;
        done.ok_or_else(|| Refusal::internal("a thread panicked, or the runtime is going down"))
    }
}
