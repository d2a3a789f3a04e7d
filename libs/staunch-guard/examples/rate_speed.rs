//! How fast the table is, beside `governor` with keys in a `DashMap`; the last line is one JSON object.
//!
//! `cargo run --release -p staunch-guard --example rate_speed -- [--quick]`, or `cargo xtask bench rate`.
//!
//! Both sides are given the same addresses in the same random order and read their clock for each check: `governor` its
//! default (`quanta`, the processor's counter), we the coarse clock that `RateLayer` has by default, and, in turns of their
//! own, the exact one. All checks of the cases by number of keys are admitted, on either side. In the flood every key is new
//! and the quota is that of a login: the table denies what its floors forbid, `governor` admits everything and grows.
#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use governor::{DefaultKeyedRateLimiter, RateLimiter};
use serde_json::{Value, json};
use staunch_guard::{Client, Clock, Coarse, Key, Monotonic, Quota, Table};

/// So many a second and at once that no check is denied.
const PLENTY: u32 = 1_000_000;

/// The sets of the `api` policy: 8 MiB.
const FLOOD_SETS: usize = 65_536;

/// Rounds and checks of a measurement.
struct Size {
    rounds: usize,
    checks: usize,
    flood_rounds: usize,
    flood_keys: u32,
}

type Governor = DefaultKeyedRateLimiter<IpAddr>;

fn main() {
    let quick = std::env::args().any(|word| word == "--quick");
    let size = if quick {
        Size { rounds: 3, checks: 1_000_000, flood_rounds: 1, flood_keys: 1_000_000 }
    } else {
        Size { rounds: 15, checks: 2_000_000, flood_rounds: 3, flood_keys: 10_000_000 }
    };
    let mut line = json!({
        "bench": "rate",
        "unit": "ns a check, of all threads together",
        "ours": "staunch-guard Table, coarse clock",
        "peer": "governor 0.10 keyed (DashMap), its default clock",
        "rounds": size.rounds,
    });
    for (keys, word) in [(1_000, "1k"), (100_000, "100k"), (1_000_000, "1m")] {
        by_keys(&mut line, &size, keys, word);
    }
    flood(&mut line, &size);
    println!("{line}");
}

/// One number of keys, by one thread and by two.
fn by_keys(line: &mut Value, size: &Size, count: usize, word: &str) {
    let keys = addresses(count);
    let quota = Quota::new(PLENTY, Duration::from_secs(1)).unwrap();
    // At least twice as many slots as keys.
    let sets = (2 * count / 7).next_power_of_two();
    let (ours, exact) = (table(quota, sets), table(quota, sets));
    let peer = RateLimiter::keyed(governor::Quota::per_second(NonZeroU32::new(PLENTY).unwrap()));
    line[format!("slots_{word}")] = ours.slots().into();
    let (coarse_clock, exact_clock) = (Coarse::default(), Monotonic::default());
    for threads in [1, 2] {
        let mut times = [const { Vec::new() }; 3];
        // The first round fills the tables and is not counted.
        for round in 0..=size.rounds {
            let turn = [
                turn(threads, size.checks, &keys, |address| by_table(&ours, address, &coarse_clock)),
                turn(threads, size.checks, &keys, |address| peer.check_key(address).is_ok()),
                turn(threads, size.checks, &keys, |address| by_table(&exact, address, &exact_clock)),
            ];
            if round > 0 {
                times.iter_mut().zip(turn).for_each(|(times, time)| times.push(time));
            }
        }
        report(line, &format!("rate_{word}_{threads}t"), times.map(median));
    }
    let denied = ours.stats(0).denied + exact.stats(0).denied;
    assert_eq!(denied, 0, "{word}: every check is admitted");
}

/// Unique keys, each seen once.
fn flood(line: &mut Value, size: &Size) {
    let quota = Quota::new(5, Duration::from_secs(60)).unwrap();
    let (coarse_clock, exact_clock) = (Coarse::default(), Monotonic::default());
    let mut times = [const { Vec::new() }; 3];
    let (mut ours_bytes, mut peer_bytes) = (0, 0);
    for round in 0..size.flood_rounds as u32 {
        let before = resident();
        let ours = table(quota, FLOOD_SETS);
        times[0].push(flood_turn(size, round, |address| by_table(&ours, address, &coarse_clock)));
        ours_bytes = ours_bytes.max(resident().saturating_sub(before));
        let stats = ours.stats(coarse_clock.now());
        eprintln!("flood: admitted {}, denied {}, live {}", stats.admitted, stats.denied, stats.live);
        drop(ours);

        let before = resident();
        let five = NonZeroU32::new(5).unwrap();
        let peer: Governor = RateLimiter::keyed(governor::Quota::per_minute(five));
        times[1].push(flood_turn(size, round, |address| peer.check_key(address).is_ok()));
        peer_bytes = peer_bytes.max(resident().saturating_sub(before));
        drop(peer);

        let exact = table(quota, FLOOD_SETS);
        times[2].push(flood_turn(size, round, |address| by_table(&exact, address, &exact_clock)));
    }
    line["flood_keys"] = size.flood_keys.into();
    line["flood_ours_mb"] = rounded(ours_bytes as f64 / 1e6).into();
    line["flood_peer_mb"] = rounded(peer_bytes as f64 / 1e6).into();
    report(line, "rate_flood", times.map(median));
}

fn table(quota: Quota, sets: usize) -> Table {
    Table::new("bench", quota, sets).unwrap()
}

#[inline]
fn by_table(table: &Table, address: &IpAddr, clock: &impl Clock) -> bool {
    let key = Key::Network(Client::new(*address).network());
    table.check(&key, 1, clock.now()).unwrap().is_allowed()
}

fn report(line: &mut Value, name: &str, [ours, peer, exact]: [f64; 3]) {
    eprintln!("{name}: ours {ours:.1} ns, governor {peer:.1} ns, ours by the exact clock {exact:.1} ns");
    line[format!("ours_{name}")] = rounded(ours).into();
    line[format!("peer_{name}")] = rounded(peer).into();
    line[format!("ours_exact_clock_{name}")] = rounded(exact).into();
    line[format!("ratio_{name}")] = rounded(peer / ours).into();
    line[format!("exact_clock_{name}")] = rounded(peer / exact).into();
}

/// Nanoseconds a check when `threads` share `checks`; each walks over all keys from a place of its own.
fn turn(threads: usize, checks: usize, keys: &[IpAddr], check: impl Fn(&IpAddr) -> bool + Sync) -> f64 {
    let gate = Barrier::new(threads);
    let each = checks / threads;
    let walk = |thread: usize| {
        let start = thread * keys.len() / threads;
        gate.wait();
        let begun = Instant::now();
        let mut admitted = 0_usize;
        let mut at = start;
        for _ in 0..each {
            admitted += usize::from(check(&keys[at]));
            at = if at + 1 == keys.len() { 0 } else { at + 1 };
        }
        black_box(admitted);
        begun.elapsed()
    };
    let longest = std::thread::scope(|scope| {
        let walkers: Vec<_> = (0..threads).map(|thread| scope.spawn(move || walk(thread))).collect();
        walkers.into_iter().map(|walker| walker.join().unwrap()).max().unwrap()
    });
    longest.as_nanos() as f64 / (each * threads) as f64
}

fn flood_turn(size: &Size, round: u32, check: impl Fn(&IpAddr) -> bool) -> f64 {
    let first = round * size.flood_keys;
    let begun = Instant::now();
    let admitted = (0..size.flood_keys).filter(|at| check(&address(first + at))).count();
    black_box(admitted);
    begun.elapsed().as_nanos() as f64 / f64::from(size.flood_keys)
}

/// A different address for each number.
fn address(number: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(number.wrapping_mul(0x9E37_79B1)))
}

/// That many addresses, in an order that looks random.
fn addresses(count: usize) -> Vec<IpAddr> {
    let mut keys: Vec<IpAddr> = (0..count as u32).map(address).collect();
    // xorshift64 (Marsaglia 2003).
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    for at in (1..count).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        keys.swap(at, (state % (at as u64 + 1)) as usize);
    }
    keys
}

/// Bytes of the process that are in memory, from `/proc`; 0 where there is none.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or_default() * 4_096
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// To three figures: a bench has no more.
fn rounded(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}
