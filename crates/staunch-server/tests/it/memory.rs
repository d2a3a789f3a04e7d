//! What the server says of itself: what it holds, and whether that grows. A growth is real here; only time is hurried.

use std::collections::BTreeSet;
use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use staunch_engine::Limits;
use staunch_leak::fault::faults::{self, Manner};
use staunch_server::{Allocator, AllocatorFigures, Granted, ServerConfig, WatchConfig};
use tempfile::TempDir;

use crate::bed::{Bed, LONG};
use crate::client::call;
use crate::metrics::{metrics, value};

const ONE: (&str, &str) = ("one", "steps: [{ id: only, run: 'true' }]");

/// What the allocator of these tests says. A test is a process of its own.
static LIVE: AtomicU64 = AtomicU64::new(50_000_000);

pub(crate) fn told() -> Allocator {
    let read = || {
        let live_bytes = LIVE.load(Ordering::Relaxed);
        let figures = AllocatorFigures { live_bytes, active_bytes: live_bytes + 1, ..AllocatorFigures::default() };
        Some(AllocatorFigures { resident_bytes: 3, retained_bytes: 4, metadata_bytes: 5, ..figures })
    };
    Allocator { name: "told", read, ..Allocator::SYSTEM }
}

/// A millisecond is a second to the verdicts: a census is a block of ten.
pub(crate) fn hurried() -> WatchConfig {
    let ms = Duration::from_millis;
    WatchConfig {
        census: ms(10),
        rare: ms(10),
        judge: ms(50),
        hurry: 1_000,
        granted: Granted::fixed(1 << 30),
        ..WatchConfig::default()
    }
}

pub(crate) async fn bed(watch: WatchConfig, allocator: Allocator) -> Bed {
    Bed::configured(&[ONE], Limits::default(), ServerConfig { watch, allocator, ..ServerConfig::default() }).await
}

async fn memory(bed: &Bed) -> Value {
    let answer = bed.get("/api/v1/memory?fresh=1").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// Waits until what is told is enough, and does something before each look.
pub(crate) async fn until(bed: &Bed, mut before: impl FnMut(), enough: impl Fn(&Value) -> bool) -> Value {
    let wait = async {
        loop {
            before();
            let told = memory(bed).await;
            if enough(&told) {
                return told;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LONG, wait).await.expect("it comes")
}

fn state<'a>(told: &'a Value, resource: &str) -> &'a str {
    let all = told["resources"].as_array().unwrap();
    all.iter().find(|one| one["name"] == resource).map_or("", |one| one["state"].as_str().unwrap())
}

#[tokio::test]
async fn ground_g9_what_is_held_is_told() {
    let bed = bed(WatchConfig { granted: Granted::fixed(1 << 30), ..WatchConfig::default() }, told()).await;
    for _ in 0..2 {
        let run = bed.run("one").await;
        bed.ended(&run).await;
    }
    // The files of a run go a moment after its end.
    let settled = |told: &Value| told["quiescent"] == true && told["kept"]["temp_files"] == 0;
    let told = until(&bed, || {}, |told| settled(told) && told["census"]["taken"].as_u64() > Some(0)).await;
    assert_eq!(
        (&told["verdict"], &told["says"]),
        (&"insufficient".into(), &"insufficient: nothing was judged yet".into())
    );
    assert_eq!((&told["runs_ended"], &told["limit_bytes"]), (&2.into(), &(1u64 << 30).into()));
    let number = |path: &str| told.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("{path}: {told}"));
    assert_eq!(number("/live_bytes"), LIVE.load(Ordering::Relaxed));
    assert_eq!(number("/unattributed_bytes"), number("/live_bytes") - number("/stores_bytes"));
    let stores = told["stores"].as_array().unwrap();
    let sum: u64 = stores.iter().map(|store| store["bytes"].as_u64().unwrap()).sum();
    assert_eq!(number("/stores_bytes"), sum);
    // The tables of rate limits are as large as they will ever be, and count.
    assert!(stores.iter().any(|store| store["name"] == "rate_api" && store["bytes"].as_u64() > Some(1 << 20)));
    // What only fills is a store: pages of the database, and workflows that were parsed.
    for name in ["sqlite", "workflows"] {
        let store = stores.iter().find(|store| store["name"] == name).unwrap_or_else(|| panic!("{name} in {told}"));
        let held = store["bytes"].as_u64().unwrap();
        assert!(0 < held && held <= store["bytes_max"].as_u64().unwrap(), "{store}");
    }
    assert_eq!(told["allocator"]["name"], "told");
    assert_eq!([3, 4, 5], ["resident", "retained", "metadata"].map(|name| number(&format!("/allocator/{name}_bytes"))));
    for path in
        ["/resident_bytes", "/virtual_bytes", "/fds", "/fds_max", "/threads", "/bounds_bytes", "/kept/free_bytes"]
    {
        assert!(number(path) > 0, "{path}");
    }
    assert_eq!(number("/children"), number("/keepers"), "{told}");
    assert_eq!([number("/tasks/census"), number("/tasks/dispatch"), number("/kept/rows/runs_ended")], [1, 1, 2]);
    assert_eq!((number("/kept/temp_files"), number("/kept/temp_bytes")), (0, 0), "{told}");
    assert!((100_000..1_000_000).contains(&number("/census/rings_bytes")));
    bed.close().await;
}

#[tokio::test]
async fn ground_g9_people_have_a_page_of_it() {
    let bed = bed(hurried(), told()).await;
    let page = || call(bed.address(), "GET", "/memory", &[("accept", "text/html")], "");
    let young = String::from_utf8(page().await.body.to_vec()).unwrap();
    for part in ["<h1>Memory</h1>", "Unattributed", "Bounded stores", "<td data-title=\"Store\">rate_api</td>"] {
        assert!(young.contains(part), "{part} in {young}");
    }
    until(&bed, || {}, |told| state(told, "live") == "stable").await;
    let page = String::from_utf8(page().await.body.to_vec()).unwrap();
    assert!(page.contains("live: stable, at most") && page.contains("class=\"state good\">stable<"), "{page}");
    bed.close().await;
}

#[tokio::test]
async fn an_allocator_that_does_not_count_leaves_its_numbers_out() {
    let bed = bed(WatchConfig::default(), Allocator::SYSTEM).await;
    let told = memory(&bed).await;
    assert_eq!(told["allocator"]["name"], "system");
    for path in ["/live_bytes", "/unattributed_bytes", "/allocator/active_bytes", "/limit_bytes"] {
        assert!(told.pointer(path).unwrap().is_null(), "{path}: {told}");
    }
    let text = metrics(&bed).await;
    assert!(!text.contains("staunch_memory_live_bytes") && !text.contains("staunch_memory_limit_bytes"));
    bed.get("/api/v1/memory?fresh=yes").await.problem(400, "invalid_query");
    bed.close().await;
}

#[tokio::test]
async fn ground_g9_descriptors_that_grow_are_called_a_leak_and_the_rest_is_not() {
    let bed = bed(hurried(), told()).await;
    let mut files = Vec::new();
    let open = || files.push(File::open("/dev/null").unwrap());
    let told = until(&bed, open, |told| {
        state(told, "fds") == "leak" && ["live", "temp_files"].iter().all(|name| state(told, name) == "stable")
    })
    .await;
    assert!(files.len() > 5, "{}", files.len());
    assert_eq!(told["verdict"], "leak");
    assert!(told["says"].as_str().unwrap().contains("fds"), "{}", told["says"]);
    let fds = told["resources"].as_array().unwrap().iter().find(|one| one["name"] == "fds").unwrap();
    assert!(fds["until_limit_seconds"].as_u64() > Some(0) && fds["quiescent"] == true, "{fds}");
    assert!(fds["per_day"]["lower"].as_f64() > Some(0.0), "{fds}");
    let text = metrics(&bed).await;
    assert_eq!(value(&text, "staunch_leak_verdict{resource=\"fds\",state=\"leak\"}"), 1.0);
    assert_eq!(value(&text, "staunch_leak_verdict{resource=\"fds\",state=\"stable\"}"), 0.0);
    assert!(value(&text, "staunch_leak_limit_seconds{resource=\"fds\"}") > 0.0);
    bed.close().await;
}

#[tokio::test]
async fn ground_g9_memory_and_files_that_grow_are_seen() {
    let bed = bed(hurried(), told()).await;
    let (work, mut n) = (bed.work(), 0);
    let grow = || {
        n += 1;
        LIVE.fetch_add(100_000, Ordering::Relaxed);
        std::fs::write(work.join(format!("left-{n}")), "left").unwrap();
    };
    let grows = |told: &Value| {
        ["live", "unattributed", "temp_files"].iter().all(|name| state(told, name) == "leak")
            && ["stores", "tasks", "children"].iter().all(|name| state(told, name) == "stable")
    };
    let told = until(&bed, grow, grows).await;
    assert_eq!(told["kept"]["temp_bytes"].as_u64(), Some(n * 4));
    bed.close().await;
}

#[tokio::test]
async fn growth_of_memory_leaves_heap_profiles_behind_five_at_most() {
    static TAKEN: AtomicU64 = AtomicU64::new(0);
    let profiles = TempDir::new().unwrap();
    let allocator = Allocator {
        profile: Some(|| Ok(format!("profile {}", TAKEN.fetch_add(1, Ordering::Relaxed)).into_bytes())),
        grown: Some(|_, _, _| Ok(vec!["1.0 MiB more in a_site".to_owned()])),
        ..told()
    };
    let watch = WatchConfig { profiles: Some(profiles.path().join("profiles")), ..hurried() };
    let bed = bed(watch, allocator).await;
    let base = until(&bed, || {}, |told| !told["profiles"].as_array().unwrap().is_empty()).await;
    assert_eq!(base["profiles"][0]["reason"], "base");
    let grow = || {
        LIVE.fetch_add(20_000_000, Ordering::Relaxed);
    };
    let on_disk = || -> BTreeSet<String> {
        let entries = std::fs::read_dir(profiles.path().join("profiles")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    // While one is being kept it is a file of another name, then one more than five, and only then is the oldest removed.
    let settled = |told: &Value| {
        let kept = told["profiles"].as_array().unwrap();
        assert!(kept.len() <= 6, "{kept:?}");
        let names: BTreeSet<String> = kept.iter().map(|one| one["file"].as_str().unwrap().to_owned()).collect();
        TAKEN.load(Ordering::Relaxed) >= 7 && names.len() == 5 && names == on_disk()
    };
    let told = until(&bed, grow, settled).await;
    let kept = told["profiles"].as_array().unwrap();
    assert_eq!((kept.len(), &kept[4]), (5, &base["profiles"][0]), "{kept:?}");
    bed.close().await;
}

#[tokio::test]
async fn who_hangs_up_leaves_no_more_walks_behind_than_there_are_turns() {
    /// Walks of callers that may be under way at once, as `bounds.rs` says.
    const WALKS_MAX: u64 = 8;
    static BEGUN: AtomicU64 = AtomicU64::new(0);
    static HELD: AtomicBool = AtomicBool::new(true);
    let walk = || {
        BEGUN.fetch_add(1, Ordering::SeqCst);
        while HELD.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    let bed = bed(WatchConfig { rare: LONG, ..WatchConfig::default() }, told()).await;
    // The server's own look comes first, and then no other.
    until(&bed, || {}, |told| told["census"]["taken"].as_u64() > Some(1)).await;
    faults::arm_at("lookout.walk", 0, true, Manner::Call(walk));
    for asked in 1..=WALKS_MAX {
        let begins = crate::bed::until("a walk begins", || BEGUN.load(Ordering::SeqCst) >= asked);
        tokio::select! {
            _ = memory(&bed) => panic!("nothing can answer this"),
            () = begins => {}
        }
    }
    // All have hung up, but their walks go on: no other begins.
    let over = tokio::time::timeout(Duration::from_millis(300), memory(&bed)).await;
    assert!(over.is_err());
    assert_eq!(BEGUN.load(Ordering::SeqCst), WALKS_MAX);
    HELD.store(false, Ordering::SeqCst);
    faults::disarm();
    memory(&bed).await;
    bed.close().await;
}

/// Where a process is in a cgroup of this kind.
pub(crate) fn group_root() -> TempDir {
    let root = TempDir::new().unwrap();
    let group = root.path().join("sys/fs/cgroup/system.slice/staunch.service");
    std::fs::create_dir_all(&group).unwrap();
    std::fs::create_dir_all(root.path().join("proc/self")).unwrap();
    std::fs::write(root.path().join("proc/self/cgroup"), "0::/system.slice/staunch.service\n").unwrap();
    for (name, text) in [
        ("memory.current", "1000"),
        ("memory.max", "4000"),
        ("memory.high", "3000"),
        ("memory.events", "low 0\nhigh 2\nmax 1\noom 0\noom_kill 0\n"),
        (
            "memory.pressure",
            "some avg10=1.50 avg60=2.50 avg300=0.00 total=3000000\nfull avg10=0.50 avg60=0.00 avg300=0.00 total=0\n",
        ),
    ] {
        std::fs::write(group.join(name), text).unwrap();
    }
    root
}

#[tokio::test]
async fn a_cgroup_is_told_of_with_its_events() {
    let root = group_root();
    let bed = bed(WatchConfig { root: root.path().to_owned(), ..WatchConfig::default() }, told()).await;
    let told = memory(&bed).await;
    let cgroup = &told["cgroup"];
    assert_eq!([&cgroup["current_bytes"], &cgroup["max_bytes"], &cgroup["events"]["high"]], [1_000, 4_000, 2]);
    assert_eq!((&told["pressure"]["some_avg10"], &told["pressure"]["full_avg10"]), (&1.5.into(), &0.5.into()));
    let text = metrics(&bed).await;
    for (series, expected) in [
        ("staunch_cgroup_memory_current_bytes", 1_000.0),
        ("staunch_cgroup_memory_max_bytes", 4_000.0),
        ("staunch_cgroup_memory_high_bytes", 3_000.0),
        ("staunch_cgroup_memory_events_total{event=\"max\"}", 1.0),
        ("staunch_memory_stalled_seconds_total{kind=\"some\"}", 3.0),
    ] {
        assert_eq!(value(&text, series), expected, "{series}");
    }
    bed.close().await;
}
