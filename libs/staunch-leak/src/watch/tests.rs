#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use super::*;

/// Samples each second; `value` by the second, `runs` ten a second.
fn watched(resource: Resource, seconds: u64, quiescent: bool, value: impl Fn(u64) -> u64) -> (Watch, Verdict) {
    let mut watch = Watch::new(vec![resource]);
    let mut last = None;
    for second in 0..seconds {
        let sample = Sample { at: Duration::from_secs(second), runs: second * 10, quiescent, value: value(second) };
        watch.sample(0, sample);
        if second % 120 == 119 {
            last = watch.verdicts().pop();
        }
    }
    (watch, last.unwrap())
}

#[test]
fn little_is_insufficient() {
    let (_, verdict) = watched(Resource::bytes("live"), 180, true, |_| 1_000);
    assert_eq!(
        (verdict.state, verdict.per_run, verdict.to_string().as_str()),
        (State::Insufficient, None, "live: insufficient")
    );
    // Below, at and over the bound for samples with work in them: 120 whole blocks of ten seconds.
    for (seconds, state) in [(1_200, State::Insufficient), (1_210, State::Stable), (1_320, State::Stable)] {
        let mut watch = Watch::new(vec![Resource::bytes("live")]);
        for second in 0..seconds {
            watch.sample(0, Sample { at: Duration::from_secs(second), runs: 0, quiescent: false, value: 5 });
        }
        assert_eq!(watch.verdicts()[0].state, state, "{seconds} s");
    }
}

#[test]
fn flat_is_stable_and_says_the_bound() {
    let (_, verdict) = watched(Resource::bytes("live").limit(1 << 30), 3_600, true, |_| 50_000_000);
    assert_eq!((verdict.state, verdict.until_limit), (State::Stable, None));
    assert_eq!(verdict.to_string(), "live: stable, at most 0.000 B/run at 99 %");
}

#[test]
fn ground_g9_sixteen_bytes_a_run_are_a_leak_with_its_rate_and_its_end() {
    let (_, verdict) =
        watched(Resource::bytes("live").limit(100_000_000), 7_200, true, |second| 50_000_000 + second * 160);
    assert_eq!(verdict.state, State::Leak);
    let rate = verdict.per_run.unwrap();
    assert!(rate.lower > 15.9 && rate.upper < 16.1, "{verdict}");
    // 48.85 MB are left, at 160 bytes a second.
    let hours = verdict.until_limit.unwrap().as_secs_f64() / 3_600.0;
    assert!((84.0..86.0).contains(&hours), "{hours}");
    assert!(
        verdict.to_string().starts_with("live: leak, 16.000 B/run (16.000 to 16.000 at 99 %), limit in 84."),
        "{verdict}"
    );
}

#[test]
fn quiescent_samples_are_preferred_to_a_hundred_times_the_noise() {
    let mut watch = Watch::new(vec![Resource::bytes("live").limit(1 << 30)]);
    let mut last = None;
    for second in 0..7_200u64 {
        // Work makes 10 MB of noise; for one second in nine there is none.
        let quiescent = second % 9 == 0;
        let noise = if quiescent { 0 } else { second.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40 };
        let value = 50_000_000 + second * 200 + noise;
        watch.sample(0, Sample { at: Duration::from_secs(second), runs: second * 10, quiescent, value });
        if second % 120 == 119 {
            last = watch.verdicts().pop();
        }
    }
    let verdict = last.unwrap();
    assert!(verdict.quiescent && verdict.state == State::Leak, "{verdict}");
    assert!((19.0..21.0).contains(&verdict.per_run.unwrap().slope), "{verdict}");
}

#[test]
fn a_descriptor_in_a_thousand_runs_is_a_leak() {
    let (_, verdict) = watched(Resource::pieces("fds").limit(1_024), 7_200, true, |second| 20 + second / 100);
    assert_eq!(verdict.state, State::Leak, "{verdict}");
    let (_, verdict) = watched(Resource::pieces("fds").limit(1_024), 7_200, true, |_| 20);
    assert_eq!(verdict.state, State::Stable, "{verdict}");
}

#[test]
fn an_idle_process_may_take_a_little_but_no_piece() {
    let idle = |resource: Resource, rise: u64| {
        let mut watch = Watch::new(vec![resource]);
        let mut last = None;
        for second in 0..7_200u64 {
            let at = Duration::from_secs(second);
            watch.sample(0, Sample { at, runs: 5, quiescent: true, value: 1_000_000 + second / 60 * rise });
            if second % 120 == 119 {
                last = watch.verdicts().pop();
            }
        }
        last.unwrap().state
    };
    // 0.5 % of a gigabyte a day are 3,728 bytes a minute: well below, and well over.
    let live = Resource::bytes("live").limit(1 << 30);
    assert_eq!([idle(live, 1_000), idle(live, 6_000)], [State::Stable, State::Leak]);
    // Without a limit there is nothing to compare with, and a piece is a piece.
    assert_eq!(idle(Resource::bytes("live"), 1_000), State::Leak);
    assert_eq!(idle(Resource::pieces("fds").limit(1 << 30), 1), State::Leak);
}

#[test]
fn a_store_below_its_cap_is_filling_and_at_it_stable() {
    let store = Resource::bytes("csrf store").cap(9_000_000);
    let (_, verdict) = watched(store, 3_600, true, |second| (second * 2_000).min(9_000_000));
    assert_eq!(verdict.state, State::Filling, "{verdict}");
    let (_, verdict) = watched(store, 10_000, true, |second| (second * 2_000).min(9_000_000));
    assert_eq!(verdict.state, State::Stable, "{verdict}");
    // Above its cap it does not stop by itself.
    let (_, verdict) = watched(store, 10_000, true, |second| second * 2_000);
    assert_eq!(verdict.state, State::Leak, "{verdict}");
}

/// What is said of descriptors each ten seconds, for as long as it takes to say that they leak.
fn said(value: impl Fn(u64) -> u64) -> Vec<State> {
    let mut watch = Watch::new(vec![Resource::pieces("fds").limit(4_096)]);
    let mut states = Vec::new();
    for second in 0..450u64 {
        watch
            .sample(0, Sample { at: Duration::from_secs(second), runs: second, quiescent: true, value: value(second) });
        if second % 10 == 9 {
            states.push(watch.verdicts()[0].state);
        }
    }
    states
}

#[test]
fn ground_g9_what_grew_before_and_not_since_is_no_leak() {
    // It rises for as long as it takes to be called growing, and goes up and down from then on: all of it together rises still.
    let leaks = (0..60u64).filter(|seed| {
        let states = said(|second| match second {
            0..215 => 1_000 + second,
            _ => 1_215 + ((second / 10 + seed * 1_000).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) % 200,
        });
        assert!(states.contains(&State::Growing), "{states:?}");
        states.contains(&State::Leak)
    });
    let leaks = leaks.count();
    // A few second windows rise by chance, at one of the looks; by the first alone it would be each.
    assert!(leaks <= 6, "{leaks} of 60");
    // What goes on is a leak once there is a second window, and not before.
    let on = said(|second| second);
    let leak = on.iter().position(|state| *state == State::Leak).unwrap();
    assert!((39..=42).contains(&leak) && on[leak..].iter().all(|state| *state == State::Leak), "{leak}: {on:?}");
}

#[test]
fn a_quiet_past_does_not_hide_what_grows_since_work_never_pauses() {
    // Two quiet days, and then two weeks in which somebody is always there: three thousandths of the level a day show in the month alone.
    const MONDAY: u64 = 2 * 1_440;
    let judged = |leak: u64| {
        let mut watch = Watch::new(vec![Resource::bytes("live").limit(1 << 30)]);
        let (mut last, mut worst) = (None, State::Insufficient);
        for minute in 0..16 * 1_440u64 {
            let at = Duration::from_secs(minute * 60);
            let busy = minute.saturating_sub(MONDAY);
            let noise = if busy > 0 { minute.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 44 } else { 0 };
            let sample = Sample { at, runs: minute, quiescent: busy == 0, value: 100_000_000 + busy * leak + noise };
            watch.sample(0, sample);
            if minute % 60 == 59 {
                last = watch.verdicts().pop();
                worst = worst.max(last.as_ref().unwrap().state);
            }
        }
        (last.unwrap(), worst)
    };
    let (verdict, _) = judged(208);
    assert!(verdict.state >= State::Growing && !verdict.quiescent, "{verdict}");
    let (verdict, worst) = judged(0);
    assert_eq!((verdict.state, worst), (State::Stable, State::Stable), "{verdict}");
}

#[test]
fn a_growth_of_the_past_is_over_when_what_follows_is_flat() {
    let mut watch = Watch::new(vec![Resource::pieces("fds").limit(1_024)]);
    let mut states = Vec::new();
    for second in 0..3 * 3_600u64 {
        // It grows while nothing is in work, and is mended in the hour in which work begins that never pauses.
        let quiescent = second < 3_600;
        let value = 20 + second.min(3_600) / 20;
        watch.sample(0, Sample { at: Duration::from_secs(second), runs: second, quiescent, value });
        if second % 60 == 59 {
            states.push(watch.verdicts()[0].state);
        }
    }
    assert!(states.contains(&State::Leak), "{states:?}");
    assert_eq!(states.last(), Some(&State::Stable), "{states:?}");
}

#[test]
fn a_piece_lost_by_the_hour_is_found_however_many_runs_there_are() {
    let judged = |every_minutes: u64| {
        let mut watch = Watch::new(vec![Resource::pieces("tasks")]);
        let mut worst = State::Insufficient;
        for minute in 0..4 * 1_440u64 {
            let at = Duration::from_secs(minute * 60);
            // A thousand runs an hour: one piece in 2,500 of them.
            let value = 7 + minute.checked_div(every_minutes).unwrap_or(0);
            watch.sample(0, Sample { at, runs: minute * 17, quiescent: true, value });
            if minute % 10 == 9 {
                worst = worst.max(watch.verdicts()[0].state);
            }
        }
        worst
    };
    assert!(judged(150) >= State::Growing);
    assert_eq!(judged(0), State::Stable);
}

#[test]
fn a_limit_may_become_another() {
    let mut watch = Watch::new(vec![Resource::bytes("live").limit(100_000_000)]);
    let mut last = None;
    let mut left = Vec::new();
    for second in 0..7_200u64 {
        let value = 50_000_000 + second * 1_000;
        watch.sample(0, Sample { at: Duration::from_secs(second), runs: second * 10, quiescent: true, value });
        if second % 60 == 59 {
            last = watch.verdicts().pop();
        }
    }
    for limit in [Some(100_000_000), Some(200_000_000), None] {
        watch.set_limit(0, limit);
        last = watch.verdicts().pop().or(last);
        left.push(last.as_ref().unwrap().until_limit.map(|left| left.as_secs() / 1_000));
    }
    // 42.8 and 142.8 MB are left, at a thousand bytes a second.
    assert_eq!(left, [Some(42), Some(142), None]);
    assert_eq!(last.unwrap().state, State::Leak);
    // Of one that is not there, nothing is set.
    watch.set_limit(1, None);
}

#[test]
fn a_sawtooth_is_followed_by_its_roots() {
    let (_, verdict) = watched(Resource::bytes("live"), 7_200, false, |second| 50_000_000 + (second % 170) * 100_000);
    assert_eq!(verdict.state, State::Stable, "{verdict}");
    let (_, verdict) =
        watched(Resource::bytes("live"), 7_200, false, |second| 50_000_000 + (second % 170) * 100_000 + second * 2_000);
    assert_eq!(verdict.state, State::Leak, "{verdict}");
}

#[test]
fn a_process_that_begins_anew_begins_a_new_history() {
    let mut watch = Watch::new(vec![Resource::bytes("live")]);
    let mut state = State::Insufficient;
    for second in 0..7_200u64 {
        // It leaks, and is restarted after an hour: runs are counted from 0 again.
        let (runs, value) =
            if second < 3_600 { (second * 10, 1_000_000 + second * 1_000) } else { ((second - 3_600) * 10, 1_000_000) };
        watch.sample(0, Sample { at: Duration::from_secs(second), runs, quiescent: true, value });
        if second % 120 == 119 {
            state = watch.verdicts()[0].state;
        }
        if second == 3_599 {
            assert!(state >= State::Growing);
        }
        if second == 3_719 {
            assert_eq!(state, State::Insufficient);
        }
    }
    assert_eq!(state, State::Stable);
}

#[test]
fn time_that_goes_back_is_passed_over() {
    let mut watch = Watch::new(vec![Resource::bytes("live")]);
    for second in (0..600).chain(0..600).chain(600..1_800) {
        watch.sample(0, Sample { at: Duration::from_secs(second), runs: second, quiescent: true, value: 7 });
    }
    let verdict = &watch.verdicts()[0];
    assert_eq!((verdict.state, verdict.value), (State::Stable, 7));
    // And of a resource that is not there, nothing is taken in.
    watch.sample(1, Sample { at: Duration::ZERO, runs: 0, quiescent: true, value: 0 });
    assert_eq!(watch.verdicts().len(), 1);
}

#[test]
fn memory_is_bounded_whatever_comes() {
    let names = ["a"; 40];
    let mut watch = Watch::new(names.map(Resource::bytes).to_vec());
    let before = watch.memory_bytes();
    assert!(before < 1_000_000, "{before} bytes");
    assert_eq!(watch.verdicts().len(), RESOURCES_MAX);
    // Forty days by the minute.
    for minute in 0..40 * 24 * 60u64 {
        for resource in 0..RESOURCES_MAX {
            let at = Duration::from_secs(minute * 60);
            watch.sample(resource, Sample { at, runs: minute, quiescent: true, value: minute % 7 });
        }
    }
    assert_eq!(watch.memory_bytes(), before);
    assert!(watch.verdicts().iter().all(|verdict| verdict.state == State::Stable));
}

#[test]
fn a_month_by_the_hour_shows_what_a_day_does_not() {
    let mut watch = Watch::new(vec![Resource::bytes("live").limit(1 << 30)]);
    let mut last = None;
    for minute in 0..30 * 24 * 60u64 {
        // 15 MB a day on 200 MB, under 2 MB of noise by the hour of the day.
        let noise = (minute % 1_440) * 1_400;
        let value = 200_000_000 + minute * 10_000 + noise;
        watch.sample(0, Sample { at: Duration::from_secs(minute * 60), runs: minute * 10, quiescent: false, value });
        if minute % 600 == 599 {
            last = watch.verdicts().pop();
        }
    }
    let verdict = last.unwrap();
    assert!(verdict.state == State::Leak && verdict.window > Duration::from_secs(10 * 86_400), "{verdict:?}");
}

#[test]
fn slopes_have_bounds() {
    let line: Vec<(f64, f64)> = (0..200).map(|n| (f64::from(n), f64::from(n * 2))).collect();
    let found = trend(&line).unwrap();
    assert!((found.slope - 2.0).abs() < 1e-9 && found.lower <= 2.0 && found.upper >= 2.0);
    let flat: Vec<(f64, f64)> = (0..200).map(|n| (f64::from(n), f64::from(n % 2))).collect();
    let found = trend(&flat).unwrap();
    assert!(found.lower <= 0.0 && found.upper >= 0.0, "{found:?}");
    // One wild point of ten moves nothing.
    let wild: Vec<(f64, f64)> = (0..50).map(|n| (f64::from(n), if n % 10 == 3 { 1e9 } else { f64::from(n) })).collect();
    assert!((trend(&wild).unwrap().slope - 1.0).abs() < 1e-9);
    assert!(trend(&[]).is_none() && trend(&[(1.0, 1.0); 9]).is_none(), "no two x differ");
}
