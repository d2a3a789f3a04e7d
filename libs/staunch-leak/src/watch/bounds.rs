//! What is watched, and from where on growth matters.

/// What a value counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Whole things: descriptors, tasks, rows.
    Pieces,
}

/// A resource and its bounds.
///
/// ```
/// use staunch_leak::watch::Resource;
/// let fds = Resource::pieces("fds").limit(1_024);
/// let cache = Resource::bytes("csrf store").cap(8 << 20);
/// assert_eq!((fds.limit, cache.cap), (Some(1_024), Some(8 << 20)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resource {
    /// Its name, as shown in verdicts and metrics.
    pub name: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// Where the process gets into trouble: the descriptors it may open, the memory it was granted.
    pub limit: Option<u64>,
    /// Where it stops by itself, as a bounded container does. Growth below the cap is filling, not leaking.
    pub cap: Option<u64>,
    /// Growth a run that matters, in quiescent samples: 16 bytes, or a piece in 2,000 runs, unless it is set.
    pub per_run_min: f64,
    /// Growth over a window that matters in samples with work in them, as a part of the value: 0.01 unless it is set. Noise
    /// that is correlated over longer than a window looks like this much.
    pub share_min: f64,
}

impl Resource {
    const fn new(name: &'static str, unit: Unit, per_run_min: f64) -> Self {
        Self { name, unit, limit: None, cap: None, per_run_min, share_min: 0.01 }
    }

    /// A resource in bytes.
    pub const fn bytes(name: &'static str) -> Self {
        Self::new(name, Unit::Bytes, 16.0)
    }

    /// A resource in whole things.
    pub const fn pieces(name: &'static str) -> Self {
        Self::new(name, Unit::Pieces, 1.0 / 2_000.0)
    }

    /// Where the process gets into trouble.
    pub const fn limit(mut self, limit: u64) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Where it stops by itself.
    pub const fn cap(mut self, cap: u64) -> Self {
        self.cap = Some(cap);
        self
    }
}
