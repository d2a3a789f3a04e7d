//! From what was held after each cycle to a verdict.

use serde::Serialize;
use staunch_leak::watch::{Estimate, trend};

use super::count::{ALL, How, Reading};

/// Cycles that must agree, and points of which a growth is told. Of five points that rise, chance makes one series in 120.
const CYCLES_MIN: usize = 5;
/// Points below which no bound is told of bytes: six that rise by chance are one in 720.
const POINTS_MIN: usize = 6;

/// What is to be said of a resource, or of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// It does not grow.
    Clean,
    /// Nobody knows. Never a pass.
    Inconclusive,
    /// It grows.
    Leak,
}

/// A resource and its verdict.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Judged {
    /// The resource.
    pub(super) name: &'static str,
    /// What it does.
    pub(super) verdict: Verdict,
    /// Whether the verdict counts.
    pub(super) counts: bool,
    /// The same in words.
    pub(super) says: String,
    /// Growth a run, and its bounds at 99 %; null if it was not to be had.
    pub(super) per_run: Option<Rate>,
    /// Cycles that were left out as warm-up.
    pub(super) warm_up_cycles: usize,
    /// Cycles that were judged.
    pub(super) cycles: usize,
}

/// A growth a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Rate {
    /// The estimate.
    pub(super) slope: f64,
    /// It is above this.
    pub(super) lower: f64,
    /// And below this.
    pub(super) upper: f64,
}

impl From<Estimate> for Rate {
    fn from(Estimate { slope, lower, upper }: Estimate) -> Self {
        Self { slope, lower, upper }
    }
}

/// One series: runs that have ended, and the value then.
type Points = Vec<(f64, f64)>;

/// Judges each resource over the lives of a server, each for itself, since counts begin anew with each. A leak in any is a leak; else
/// the longest says.
pub(super) fn judge(lives: &[Vec<Reading>], bound: f64) -> Vec<Judged> {
    let longest = lives.iter().max_by_key(|life| life.len()).map_or(&[][..], Vec::as_slice);
    let judged = ALL.iter().enumerate().map(|(place, resource)| {
        let of = |life: &[Reading]| one(resource.name, place, resource.how, life, bound);
        let leak = lives.iter().map(|life| of(life)).find(|judged| judged.verdict == Verdict::Leak);
        leak.unwrap_or_else(|| of(longest))
    });
    judged.collect()
}

/// The worst of those that count.
pub(super) fn overall(judged: &[Judged]) -> Verdict {
    let counted = judged.iter().filter(|judged| judged.counts).map(|judged| judged.verdict);
    counted.max().unwrap_or(Verdict::Inconclusive)
}

/// The last line: which resource does what, and how much a run.
pub(super) fn last_line(judged: &[Judged]) -> String {
    let of = |verdict| {
        let says =
            judged.iter().filter(|judged| judged.counts && judged.verdict == verdict).map(|judged| &*judged.says);
        says.collect::<Vec<_>>().join("; ")
    };
    match overall(judged) {
        Verdict::Leak => format!("leak: {}", of(Verdict::Leak)),
        Verdict::Inconclusive => format!("inconclusive: {}", of(Verdict::Inconclusive)),
        Verdict::Clean => format!("clean: {}", of(Verdict::Clean)),
    }
}

fn one(name: &'static str, place: usize, how: How, life: &[Reading], bound: f64) -> Judged {
    let values: Option<Points> =
        life.iter().map(|reading| Some((reading.runs as f64, reading.values[place]? as f64))).collect();
    let nothing = |says: String| Judged {
        name,
        verdict: Verdict::Inconclusive,
        counts: how != How::Told,
        says,
        per_run: None,
        warm_up_cycles: 0,
        cycles: life.len(),
    };
    let Some(points) = values else {
        let allocator = life.last().map_or("", |reading| reading.allocator.as_str());
        return nothing(match how {
            How::ByTrend => format!("{name}: the allocator ({allocator}) does not count"),
            _ => format!("{name}: the server cannot tell"),
        });
    };
    let mut judged = match how {
        How::Exactly => exactly(name, &points),
        How::ByTrend => by_trend(name, &points, bound),
        How::Told => told(name, &points),
    };
    judged.counts = how != How::Told;
    if judged.verdict == Verdict::Leak
        && let [first, .., last] = life
    {
        let kinds = last.more_of(name, first);
        if !kinds.is_empty() {
            judged.says.push_str(&format!(" ({kinds})"));
        }
    }
    judged
}

/// The same count from some cycle on, at the latest from the middle. A warm-up ends where the rest is equal; what is never equal and
/// rises is a leak.
fn exactly(name: &'static str, points: &[(f64, f64)]) -> Judged {
    let n = points.len();
    let wanted = CYCLES_MIN.max(n.div_ceil(2));
    let last = points.last().map_or(0.0, |(_, value)| *value);
    let equal = points.iter().rev().take_while(|(_, value)| *value == last).count();
    let (whole, late) = (trend(points), trend(&points[n - wanted.min(n)..]));
    let rate = growth(whole, late);
    let judged = |verdict, warm_up_cycles, says| Judged {
        name,
        verdict,
        counts: true,
        says,
        per_run: rate.or(late).map(Rate::from),
        warm_up_cycles,
        cycles: n - warm_up_cycles,
    };
    if equal >= wanted {
        let runs = last_of(points) - points[n - equal].0;
        return judged(Verdict::Clean, n - equal, format!("{name}: {last} in {equal} cycles, over {runs} runs"));
    }
    match rate {
        Some(rate) if n >= CYCLES_MIN => {
            let says = format!("{name} grow by {} a run", between(rate));
            judged(Verdict::Leak, 0, says)
        }
        _ => {
            let says = format!("{name}: only the last {equal} of {n} cycles agree, of which {wanted} must");
            judged(Verdict::Inconclusive, 0, says)
        }
    }
}

/// The growth that is proved: that of the second half, or that of the whole if the second half goes on with it. A warm-up slows down.
fn growth(whole: Option<Estimate>, late: Option<Estimate>) -> Option<Estimate> {
    late.filter(|late| late.lower > 0.0).or_else(|| {
        let goes_on = |whole: &Estimate| late.is_some_and(|late| late.slope >= whole.slope / 2.0);
        whole.filter(|whole| whole.lower > 0.0 && goes_on(whole))
    })
}

/// Growth a run with an upper bound. A warm-up is dropped only until the growth of the rest is bounded, and never more than half.
fn by_trend(name: &'static str, points: &[(f64, f64)], bound: f64) -> Judged {
    let n = points.len();
    let judged = |verdict, warm_up_cycles: usize, rate: Option<Estimate>, says| Judged {
        name,
        verdict,
        counts: true,
        says,
        per_run: rate.map(Rate::from),
        warm_up_cycles,
        cycles: n - warm_up_cycles,
    };
    if n < POINTS_MIN {
        let says = format!("{name}: {n} cycles are too few, it takes {POINTS_MIN}");
        return judged(Verdict::Inconclusive, 0, None, says);
    }
    let mut found = None;
    for start in (0..=4).map(|eighths| n * eighths / 8).filter(|start| n - start >= POINTS_MIN) {
        let Some(rate) = trend(&points[start..]) else { break };
        if rate.upper <= bound {
            let runs = last_of(points) - points[start].0;
            let says = format!(
                "{name}: at most {} a run at 99 %, over {runs} runs (bound {bound} B)",
                bytes(rate.upper.max(0.0))
            );
            return judged(Verdict::Clean, start, Some(rate), says);
        }
        found = Some((start, rate));
    }
    match found {
        Some((start, rate)) if rate.lower > bound => {
            judged(Verdict::Leak, start, Some(rate), format!("{name} grows by {} a run", between_bytes(rate)))
        }
        Some((start, rate)) => {
            let says = format!("{name}: {} a run at 99 %, and the bound is {bound} B: more runs say more", range(rate));
            judged(Verdict::Inconclusive, start, Some(rate), says)
        }
        None => judged(Verdict::Inconclusive, 0, None, format!("{name}: no runs ended")),
    }
}

fn told(name: &'static str, points: &[(f64, f64)]) -> Judged {
    let (first, last) = (points.first().map_or(0.0, |point| point.1), points.last().map_or(0.0, |point| point.1));
    let says = format!("{name}: {:.1} MiB at first, {:.1} MiB at last", first / MIB, last / MIB);
    let per_run = trend(points).map(Rate::from);
    Judged { name, verdict: Verdict::Clean, counts: false, says, per_run, warm_up_cycles: 0, cycles: points.len() }
}

const MIB: f64 = 1_048_576.0;

fn last_of(points: &[(f64, f64)]) -> f64 {
    points.last().map_or(0.0, |(runs, _)| *runs)
}

fn between(rate: Estimate) -> String {
    format!("{} ({} to {} at 99 %)", digits(rate.slope), digits(rate.lower), digits(rate.upper))
}

fn between_bytes(rate: Estimate) -> String {
    format!("{} ({} at 99 %)", bytes(rate.slope), range(rate))
}

fn range(rate: Estimate) -> String {
    format!("{} to {} B", digits(rate.lower), digits(rate.upper))
}

fn bytes(value: f64) -> String {
    format!("{} B", digits(value))
}

/// Three digits that say something.
fn digits(value: f64) -> String {
    let places = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        0.1.. => 3,
        _ => 4,
    };
    format!("{value:.places$}")
}

#[cfg(test)]
mod tests;
