//! How often the server looks at itself, and what it may do with what it sees.

use std::path::PathBuf;
use std::time::Duration;

use crate::pressure::Granted;

/// How the server watches what its process holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchConfig {
    /// Between two censuses: what costs microseconds.
    pub census: Duration,
    /// Between two looks at what costs more: rows and files. If a look took long, the next comes later than that, so that looking takes
    /// half a thousandth of a processor, but five minutes later at most.
    pub rare: Duration,
    /// Between two verdicts.
    pub judge: Duration,
    /// Seconds that the verdicts believe have passed in one: 1, but for tests that cannot wait for an hour.
    pub hurry: u32,
    /// The memory that the process may use: what the configuration, the cgroup or the machine grants at the time.
    pub granted: Granted,
    /// Where heap profiles are kept when memory grows; `None`: none are.
    pub profiles: Option<PathBuf>,
    /// Where `/proc` and `/sys` are looked for to find the cgroup: `/`, but for tests.
    pub root: PathBuf,
}

impl Default for WatchConfig {
    fn default() -> Self {
        Self {
            census: Duration::from_secs(1),
            rare: Duration::from_secs(15),
            judge: Duration::from_secs(60),
            hurry: 1,
            granted: Granted::default(),
            profiles: None,
            root: PathBuf::from("/"),
        }
    }
}
