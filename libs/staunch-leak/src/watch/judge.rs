//! From a history to a verdict.

use std::time::Duration;

use super::block::Block;
use super::bounds::{Resource, Unit};
use super::history::{History, Ring};
use super::trend::{Estimate, trend};
use super::verdict::{State, Verdict};

/// Points below which nothing is said. Three quarters of them may be dropped as warm-up.
const POINTS_MIN: usize = 20;
/// Blocks of a ring below which nothing is said of samples with work in them: work has its own ups and downs, and over a few
/// minutes they look like trends.
const NOISY_MIN: usize = 120;
/// Points that are judged at most; more are folded in pairs, so that a point is the bottom of a longer cycle.
const POINTS_JUDGED_MAX: usize = 40;
/// Quiescent points are judged alone only if the newest of them lies in the last one of so many parts of what is seen: a quiet weekend
/// says nothing of the week after it.
const QUIET_PART: u64 = 4;
/// Warm-up that may be dropped, in eighths of the window: if the rest of any of these is flat, the resource is stable.
const WARM_UPS: [usize; 5] = [0, 1, 2, 3, 4];
/// Runs that must have been completed in a window before growth is told by the run.
const RUNS_MIN: u64 = 100;
/// Pieces more over a quiescent window that matter however many runs there were: a leak that goes by time is none by the run.
const PIECES_MIN: f64 = 3.0;
/// The last third must rise at this part of the whole slope or more, or it was a step and is over.
const STILL: f64 = 0.25;
const MILLIS_A_DAY: f64 = 86_400_000.0;
/// Part of the limit a day that matters in quiescent samples.
const LIMIT_SHARE_A_DAY: f64 = 0.005;

/// What earlier verdicts found.
#[derive(Debug, Default)]
pub(super) struct Judge {
    /// What each ring was growing by, if it was.
    growing: [Option<Suspicion>; 3],
}

/// A ring was seen to grow.
#[derive(Clone, Copy, Debug)]
struct Suspicion {
    /// Its newest point then, in milliseconds.
    since: u64,
    /// How long its window was then, in milliseconds.
    window: u64,
    /// Its newest point when it was last seen to grow.
    seen: u64,
}

/// What a window of one ring says.
struct Finding {
    grows: bool,
    per_run: Option<Estimate>,
    per_day: Estimate,
    quiescent: bool,
    newest: u64,
    /// Milliseconds.
    window: u64,
}

impl Judge {
    /// Judges each ring and tells of the worst: a new leak shows in the finest, a slow one only in the coarsest.
    pub(super) fn verdict(&mut self, resource: &Resource, history: &History) -> Verdict {
        let mut best: Option<(State, Finding)> = None;
        for (ring, growing) in history.rings().iter().zip(&mut self.growing) {
            let Some(finding) = judge(resource, ring, None) else { continue };
            let state =
                confirm(growing, &finding, |since| judge(resource, ring, Some(since)).is_some_and(|new| new.grows));
            // Not `>`: of two that say the same the longer, which is more precise.
            if best.as_ref().is_none_or(|(worst, _)| state >= *worst) {
                best = Some((state, finding));
            }
        }
        say(resource, history.last(), best)
    }
}

/// Hysteresis: it is a leak if it grew before too, and what came since then, as long as the window then, grows when judged alone: the
/// two have nothing to do with each other. `grows_since` judges what came after a moment.
fn confirm(growing: &mut Option<Suspicion>, finding: &Finding, grows_since: impl FnOnce(u64) -> bool) -> State {
    if !finding.grows {
        // Noise hides a slow leak now and then, so a suspicion is not dropped at once.
        *growing = growing.filter(|suspicion| finding.newest < suspicion.seen + suspicion.window / 4);
        return State::Stable;
    }
    let first = Suspicion { since: finding.newest, window: finding.window, seen: 0 };
    let suspicion = growing.get_or_insert(first);
    suspicion.seen = finding.newest;
    let is_long = finding.newest >= suspicion.since + suspicion.window;
    if is_long && grows_since(suspicion.since) { State::Leak } else { State::Growing }
}

fn say(resource: &Resource, last: Option<&Block>, best: Option<(State, Finding)>) -> Verdict {
    let value = last.map_or(0, |block| block.value);
    let Some((mut state, finding)) = best else {
        return Verdict {
            name: resource.name,
            unit: resource.unit,
            state: State::Insufficient,
            value,
            per_run: None,
            per_day: None,
            window: Duration::ZERO,
            quiescent: false,
            until_limit: None,
        };
    };
    if state > State::Filling && resource.cap.is_some_and(|cap| value <= cap) {
        state = State::Filling;
    }
    let left = resource.limit.map(|limit| limit.saturating_sub(value) as f64 / finding.per_day.slope * 86_400.0);
    let until_limit = left.filter(|_| state >= State::Growing).and_then(|left| Duration::try_from_secs_f64(left).ok());
    Verdict {
        name: resource.name,
        unit: resource.unit,
        state,
        value,
        per_run: finding.per_run,
        per_day: Some(finding.per_day),
        window: Duration::from_millis(finding.window),
        quiescent: finding.quiescent,
        until_limit,
    }
}

/// The points that are judged: quiescent ones alone if there are enough and they are of late, and few enough.
fn points(all: Vec<Block>) -> Vec<Block> {
    let quiet: Vec<Block> = all.iter().filter(|block| block.quiescent).copied().collect();
    let since = |block: Option<&Block>| all.last().zip(block).map_or(0, |(last, block)| last.at - block.at);
    let is_late = since(quiet.last()) <= since(all.first()) / QUIET_PART;
    let mut blocks = if quiet.len() >= POINTS_MIN && is_late { quiet } else { all };
    while blocks.len() > POINTS_JUDGED_MAX {
        // From the newest back, so that the newest point is whole and an odd one at the beginning stays alone.
        let mut pairs: Vec<Block> =
            blocks.rchunks(2).map(|pair| pair.iter().copied().reduce(Block::fold).unwrap_or(pair[0])).collect();
        pairs.reverse();
        blocks = pairs;
    }
    blocks
}

/// Judges what a ring holds, or what of it came `after` a moment.
fn judge(resource: &Resource, ring: &Ring, after: Option<u64>) -> Option<Finding> {
    let all: Vec<Block> = ring.blocks().filter(|block| after.is_none_or(|after| block.at > after)).copied().collect();
    let seen = all.len();
    let blocks = points(all);
    let noisy = blocks.iter().any(|block| !block.quiescent);
    if blocks.len() < POINTS_MIN || noisy && seen < NOISY_MIN {
        return None;
    }
    let mut finding = None;
    for eighths in WARM_UPS {
        let (found, slows_down) = window(resource, &blocks[blocks.len() * eighths / 8..])?;
        let grew = found.grows;
        finding = Some(found);
        if !grew || !slows_down {
            break;
        }
        // It grew, but less at its end: a warm-up or a step. What is left of the window without its beginning?
        finding = finding.map(|found| Finding { grows: false, ..found });
    }
    finding
}

fn window(resource: &Resource, blocks: &[Block]) -> Option<(Finding, bool)> {
    let (first, last) = (blocks.first()?, blocks.last()?);
    let by_time = |block: &Block| (block.at as f64, block.value as f64);
    let times: Vec<(f64, f64)> = blocks.iter().map(by_time).collect();
    let per_milli = trend(&times)?;
    let runs = last.runs - first.runs;
    let per_run = if runs >= RUNS_MIN {
        trend(&blocks.iter().map(|block| (block.runs as f64, block.value as f64)).collect::<Vec<_>>())
    } else {
        None
    };
    let window = last.at - first.at;
    let quiescent = blocks.iter().all(|block| block.quiescent);
    let third = times.len() / 3;
    let (early, late) = (trend(&times[..third])?, trend(&times[times.len() - third..])?);
    let grows = matters(resource, blocks, quiescent, per_run, per_milli);
    let found = Finding { grows, per_run, per_day: per_milli.times(MILLIS_A_DAY), quiescent, newest: last.at, window };
    Some((found, late.slope < per_milli.slope.max(early.slope) * STILL))
}

/// Whether the lower bound of the growth is above nothing, and above what matters.
fn matters(
    resource: &Resource,
    blocks: &[Block],
    quiescent: bool,
    per_run: Option<Estimate>,
    per_milli: Estimate,
) -> bool {
    if per_milli.lower <= 0.0 {
        return false;
    }
    let window = blocks.last().map_or(0, |last| last.at) - blocks.first().map_or(0, |first| first.at);
    if quiescent {
        let by_run = per_run.is_some_and(|rate| rate.lower >= resource.per_run_min * 0.999);
        let a_day = resource.limit.map_or(0.0, |limit| limit as f64 * LIMIT_SHARE_A_DAY);
        let by_day = resource.limit.is_some() && per_milli.lower * MILLIS_A_DAY >= a_day;
        // Nothing ran that could be blamed. A piece more is a piece more; of bytes only what comes near the limit matters, because an
        // idle process has caches to fill too.
        let by_itself = per_run.is_none() && (resource.unit == Unit::Pieces || resource.limit.is_none());
        let by_piece = resource.unit == Unit::Pieces && per_milli.lower * window as f64 >= PIECES_MIN;
        return by_run || by_day || by_itself || by_piece;
    }
    let mut values: Vec<u64> = blocks.iter().map(|block| block.value).collect();
    values.sort_unstable();
    let level = values[values.len() / 2] as f64;
    per_milli.lower * window as f64 >= resource.share_min * level
}
