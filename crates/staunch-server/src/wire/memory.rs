//! What the process holds, and whether it grows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use staunch_engine::Level;
use utoipa::ToSchema;

/// What a resource does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Growth {
    /// There is not enough to say anything: the process is young, or work never pauses. Not a pass.
    Insufficient,
    /// It does not grow, with the bound that is told.
    Stable,
    /// It grows below a bound at which it will stop by itself.
    Filling,
    /// It grew over the last window.
    Growing,
    /// It grew over two windows, and still does.
    Leak,
}

/// How pressed for memory the server believes itself to be. Each rung does what those before it do, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// Not at all.
    Calm,
    /// Caches are dropped, and none is filled.
    Trim,
    /// Half as many steps run at once.
    Slow,
    /// Nothing new begins: runs are accepted and stay queued; logins and streams are refused.
    Refuse,
    /// New runs are refused, and the run that holds the most memory is cancelled.
    Shed,
}

impl Rung {
    const ALL: [Self; 5] = [Self::Calm, Self::Trim, Self::Slow, Self::Refuse, Self::Shed];

    /// Its word, which is the level's.
    pub const fn word(self) -> &'static str {
        Level::ALL[self as usize].word()
    }
}

impl From<Level> for Rung {
    fn from(level: Level) -> Self {
        Self::ALL[level as usize]
    }
}

/// What the process holds at a moment, and what becomes of it. Sizes are in bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Memory {
    /// How long the server has been watching.
    pub uptime_seconds: u64,
    /// Runs that ended since then.
    pub runs_ended: u64,
    /// Whether nothing was in work when this was read, this request aside.
    pub quiescent: bool,
    /// The worst of all resources that count.
    pub verdict: Growth,
    /// The same in words.
    pub says: String,
    /// How long ago the resources were judged; null before the first time.
    pub judged_seconds_ago: Option<u64>,
    /// How pressed for memory the server believes itself to be.
    pub rung: Rung,
    /// Runs that were cancelled because memory was nearly gone, since the server started.
    pub runs_shed: u64,
    /// The memory that the process may use; null if nothing bounds it.
    pub limit_bytes: Option<u64>,
    /// The sum of all bounds on what clients, files and steps choose: as much the stores may take.
    pub bounds_bytes: u64,
    /// What the program asked its allocator for and did not give back; null if the allocator does not count.
    pub live_bytes: Option<u64>,
    /// What bounded stores hold of that.
    pub stores_bytes: u64,
    /// The rest of it, which nothing answers for: code, tables, buffers; or a leak.
    pub unattributed_bytes: Option<u64>,
    /// What the kernel gave the process.
    pub resident_bytes: Option<u64>,
    /// Address space.
    pub virtual_bytes: Option<u64>,
    /// What the allocator says.
    pub allocator: Allocated,
    /// Every bounded store.
    pub stores: Vec<HeldStore>,
    /// Open file descriptors.
    pub fds: Option<u64>,
    /// File descriptors that may be open.
    pub fds_max: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
    /// Tasks by kind.
    pub tasks: BTreeMap<String, u64>,
    /// Child processes, keepers included; null if the kernel does not list them.
    pub children: Option<u64>,
    /// Of these, keepers: each keeps the processes of one step together.
    pub keepers: u64,
    /// Steps that run.
    pub steps_active: u64,
    /// Open connections.
    pub connections: u64,
    /// Open event streams.
    pub streams: u64,
    /// How long processes waited for memory; null if the kernel does not account for it.
    pub pressure: Option<MemoryPressure>,
    /// The memory of the cgroup; null outside of one.
    pub cgroup: Option<CgroupMemory>,
    /// What costs more to look at; null before the first look.
    pub kept: Option<KeptOnDisk>,
    /// Each resource and what it does.
    pub resources: Vec<WatchedResource>,
    /// What all this looking costs.
    pub census: CensusCost,
    /// Heap profiles that are kept in the data directory, the newest first.
    pub profiles: Vec<KeptProfile>,
}

/// What the allocator says. Its numbers are null if it does not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Allocated {
    /// Its name.
    pub name: String,
    /// Pages of which some part is live.
    pub active_bytes: Option<u64>,
    /// Pages with memory behind them, what is kept for later included.
    pub resident_bytes: Option<u64>,
    /// Address space that is kept without memory behind it.
    pub retained_bytes: Option<u64>,
    /// Its own tables.
    pub metadata_bytes: Option<u64>,
}

/// A store in memory that cannot outgrow its bounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeldStore {
    /// Its name.
    pub name: String,
    /// Bytes held.
    pub bytes: u64,
    /// Bytes held at most.
    pub bytes_max: u64,
    /// Entries held; null where only bytes are counted.
    pub entries: Option<u64>,
    /// Entries held at most.
    pub entries_max: Option<u64>,
    /// Entries that were too old.
    pub expired: u64,
    /// Entries that made room.
    pub evicted: u64,
    /// Entries or bytes that found no room.
    pub refused: u64,
}

/// How long processes waited for memory.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MemoryPressure {
    /// Percent of the last ten seconds in which something waited.
    pub some_avg10: f64,
    /// Percent of the last minute in which something waited.
    pub some_avg60: f64,
    /// Percent of the last ten seconds in which everything waited.
    pub full_avg10: f64,
    /// Percent of the last minute in which everything waited.
    pub full_avg60: f64,
}

/// The memory of the cgroup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CgroupMemory {
    /// Used, the page cache included.
    pub current_bytes: u64,
    /// Where the kernel kills.
    pub max_bytes: Option<u64>,
    /// Where it slows down.
    pub high_bytes: Option<u64>,
    /// What happened since the cgroup was made, counted: `low`, `high`, `max`, `oom`, `oom_kill`.
    pub events: BTreeMap<String, u64>,
    /// The same since the server started.
    pub events_since_start: BTreeMap<String, u64>,
}

/// What is on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeptOnDisk {
    /// How long ago it was looked at.
    pub age_seconds: u64,
    /// Files and directories of runs that go on or have just ended.
    pub temp_files: u64,
    /// Bytes of these files.
    pub temp_bytes: u64,
    /// Whether there are more files than were counted.
    pub temp_more: bool,
    /// Rows by kind.
    pub rows: BTreeMap<String, u64>,
    /// The database's file; null if it could not be asked.
    pub database_bytes: Option<u64>,
    /// Its write-ahead log.
    pub wal_bytes: Option<u64>,
    /// Log files.
    pub log_bytes: Option<u64>,
    /// Room that the disk has left.
    pub free_bytes: Option<u64>,
}

/// A resource and what it does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WatchedResource {
    /// Its name: `live`, `unattributed`, `resident`, `stores`, `fds`, `threads`, `tasks`, `children`, `temp_files`, `rows` or `disk`.
    /// Connections are left out of `fds` and `tasks`, keepers out of `children`.
    pub name: String,
    /// What it counts: `bytes` or `pieces`.
    pub unit: String,
    /// Whether its growth counts against the process.
    pub counts: bool,
    /// What it does.
    pub state: Growth,
    /// The same in words.
    pub says: String,
    /// The value last judged.
    pub value: u64,
    /// Growth a run that ended; null if too few did.
    pub per_run: Option<GrowthRate>,
    /// Growth a day; null before there is enough to say.
    pub per_day: Option<GrowthRate>,
    /// How long the judged window was.
    pub window_seconds: u64,
    /// Whether only moments without work were judged, which have no noise.
    pub quiescent: bool,
    /// When it will reach its limit if it goes on like this; only while it grows.
    pub until_limit_seconds: Option<u64>,
}

/// A growth and its bounds at 99 %.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GrowthRate {
    /// The estimate.
    pub slope: f64,
    /// It is above this.
    pub lower: f64,
    /// And below this.
    pub upper: f64,
}

/// What looking costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CensusCost {
    /// Censuses taken.
    pub taken: u64,
    /// How long the last one took, in microseconds.
    pub last_micros: u64,
    /// How long one took on the average.
    pub mean_micros: u64,
    /// How long judging took in all.
    pub judging_micros: u64,
    /// Bytes of all that is remembered: the same for ever.
    pub rings_bytes: u64,
}

/// A heap profile that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeptProfile {
    /// Its file in the data directory's `profiles`.
    pub file: String,
    /// Its bytes.
    pub bytes: u64,
    /// Why it was taken: `base`, `growing`, `high_water`.
    pub reason: String,
}
