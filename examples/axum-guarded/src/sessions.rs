//! Sessions: which ids this server has given out. A stand-in for what an application has anyway.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};

use axum::body::Bytes;
use axum::http::{HeaderMap, header};
use staunch_guard::csrf::{Random, SystemRandom};

/// Sessions at once. The oldest gives way, which is good enough for a demonstration: an application refuses a log-in instead.
const SESSIONS_MAX: usize = 1_000;

/// The ids that were given out.
#[derive(Default)]
pub(crate) struct Sessions {
    ids: Mutex<VecDeque<Bytes>>,
}

impl Sessions {
    /// The session that a request's cookie names, if it is one of ours. A guard must never be told an id that a client made up.
    pub(crate) fn of(&self, headers: &HeaderMap) -> Option<Bytes> {
        // Bytes: cookies of other servers on this host come in the same line, and need not be text.
        let mut pairs = headers.get_all(header::COOKIE).iter().flat_map(|line| line.as_bytes().split(|b| *b == b';'));
        let named = pairs.find_map(|pair| pair.trim_ascii().strip_prefix(b"session="))?;
        // Poison is ignored: the queue is whole after each single step.
        let ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.iter().find(|id| id.as_ref() == named).cloned()
    }

    /// A new one: 256 random bits. `None` if the system has no randomness.
    pub(crate) fn open(&self) -> Option<Bytes> {
        let mut bytes = [0; 32];
        SystemRandom.fill(&mut bytes).ok()?;
        let id = bytes.iter().fold(String::new(), |mut id, byte| {
            // Writing to a string does not fail.
            let _ = write!(id, "{byte:02x}");
            id
        });
        let id = Bytes::from(id);
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        if ids.len() == SESSIONS_MAX {
            ids.pop_front();
        }
        ids.push_back(id.clone());
        Some(id)
    }
}
