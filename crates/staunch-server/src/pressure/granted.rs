//! The memory that the process may use, asked for each time: a cgroup's limit may change while the server runs.

use std::fmt;
use std::sync::Arc;

/// In bytes; `None`: nothing bounds it.
type Ask = dyn Fn() -> Option<u64> + Send + Sync;

/// What tells how much memory the process may use. By default nothing does. Cheap to clone.
#[derive(Clone, Default)]
pub struct Granted(Option<Arc<Ask>>);

impl Granted {
    /// What `ask` says at the time, in bytes. It is asked on a thread of the runtime: it must not wait for anything but the kernel's own
    /// files.
    pub fn by(ask: impl Fn() -> Option<u64> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(ask)))
    }

    /// Always so many bytes.
    pub fn fixed(bytes: u64) -> Self {
        Self::by(move || Some(bytes))
    }

    /// How much that is now, in bytes; `None`: nothing bounds it.
    ///
    /// ```
    /// use staunch_server::Granted;
    /// assert_eq!(Granted::fixed(1 << 30).bytes(), Some(1 << 30));
    /// assert_eq!(Granted::default().bytes(), None);
    /// ```
    pub fn bytes(&self) -> Option<u64> {
        self.0.as_ref().and_then(|ask| ask())
    }
}

impl fmt::Debug for Granted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Granted").field(&self.bytes()).finish()
    }
}

/// Two are the same if they ask the same.
impl PartialEq for Granted {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        }
    }
}

impl Eq for Granted {}
