use super::*;

/// A life of these values, `runs` runs a cycle.
fn life(runs: u64, values: impl IntoIterator<Item = u64>) -> Vec<(f64, f64)> {
    values.into_iter().enumerate().map(|(cycle, value)| ((cycle as u64 * runs) as f64, value as f64)).collect()
}

fn exact(values: &[u64]) -> (Verdict, usize) {
    let judged = exactly("fds", &life(100, values.iter().copied()));
    (judged.verdict, judged.warm_up_cycles)
}

#[test]
fn counts_are_clean_if_they_are_equal_from_the_middle_on_at_the_latest() {
    assert_eq!(exact(&[20; 5]), (Verdict::Clean, 0));
    assert_eq!(exact(&[20; 4]), (Verdict::Inconclusive, 0));
    assert_eq!(exact(&[18, 19, 20, 20, 20, 20, 20]), (Verdict::Clean, 2));
    assert_eq!(exact(&[18, 19, 20, 20, 20, 20]), (Verdict::Inconclusive, 0));
    let half: Vec<u64> = [1; 10].into_iter().chain([2; 10]).collect();
    assert_eq!(exact(&half), (Verdict::Clean, 10));
    let less: Vec<u64> = [1; 11].into_iter().chain([2; 9]).collect();
    assert_eq!(exact(&less), (Verdict::Inconclusive, 0));
    // Of an odd number the greater half must agree.
    let odd = |warm_up| exact(&[vec![1; warm_up], vec![2; 15 - warm_up]].concat());
    assert_eq!([odd(6), odd(7), odd(8)], [(Verdict::Clean, 6), (Verdict::Clean, 7), (Verdict::Inconclusive, 0)]);
    // Downwards is no leak, but not equal either.
    assert_eq!(exact(&[20, 19, 18, 17, 16, 15]).0, Verdict::Inconclusive);
    assert_eq!(exact(&[20, 21, 20, 21, 20, 21, 20, 21]).0, Verdict::Inconclusive);
    assert_eq!(exact(&[]).0, Verdict::Inconclusive);
}

#[test]
fn counts_that_rise_are_a_leak_also_if_they_rise_seldom() {
    assert_eq!(exact(&[20, 21, 22, 23, 24]).0, Verdict::Leak);
    assert_eq!(exact(&[20, 20, 21, 21, 22, 22, 23, 23, 24, 24, 25, 25]).0, Verdict::Leak);
    // What slows down may be a warm-up that is not over.
    assert_eq!(exact(&[10, 12, 14, 15, 16, 17, 18, 18, 18, 18]).0, Verdict::Inconclusive);
    let judged = exactly("fds", &life(100, [20, 21, 22, 23, 24, 25]));
    let rate = judged.per_run.expect("a rate");
    assert!((rate.slope - 0.01).abs() < 1e-9 && rate.lower > 0.0, "{rate:?}");
    assert!(judged.says.starts_with("fds grow by 0.0100 (0.0100 to 0.0100 at 99 %) a run"), "{}", judged.says);
}

fn memory(points: &[(f64, f64)], bound: f64) -> Verdict {
    by_trend("live", points, bound).verdict
}

#[test]
fn bytes_have_a_bound() {
    assert_eq!(memory(&life(1_000, [5_000_000; 10]), 1.0), Verdict::Clean);
    assert_eq!(memory(&life(1_000, [5_000_000; 5]), 1.0), Verdict::Inconclusive, "too few");
    let leak = |a_run: u64| life(1_000, (0..10).map(|cycle| 5_000_000 + cycle * 1_000 * a_run));
    assert_eq!(memory(&leak(16), 1.0), Verdict::Leak);
    assert_eq!(memory(&leak(2), 1.0), Verdict::Leak);
    assert_eq!(memory(&leak(16), 16.0), Verdict::Clean, "at the bound");
    assert_eq!(memory(&leak(17), 16.0), Verdict::Leak, "over it");
    // A warm-up that ends is dropped.
    let warm = [9, 7, 6, 2, 1, 0, 0, 0, 0, 0, 0, 0].map(|step| 5_000_000 - step * 100_000);
    assert_eq!(memory(&life(1_000, warm), 1.0), Verdict::Clean);
    // Noise of 100 kB over 9,000 runs hides a byte a run: nothing is promised.
    let noisy = [1, 5, 0, 4, 2, 5, 1, 3, 0, 4].map(|step| 5_000_000 + step * 20_000);
    assert_eq!(memory(&life(1_000, noisy), 1.0), Verdict::Inconclusive);
    assert_eq!(memory(&[(0.0, 1.0); 8], 1.0), Verdict::Inconclusive, "no run ended");
}

/// A linear congruential generator (Knuth's MMIX constants), for noise that is the same each time.
struct Noise(u64);

impl Noise {
    /// Between -1 and 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / f64::from(1_u32 << 30) - 1.0
    }
}

/// How many of 300 series are called so: a leak of this many bytes a run under noise, in runs of 1,000 a cycle.
fn called(verdict: Verdict, leak: f64, noise_bytes: f64, cycles: usize) -> usize {
    let mut noise = Noise(7);
    let series = (0..300).map(|_| {
        let point = |cycle: usize| {
            let runs = cycle as f64 * 1_000.0;
            (runs, 5_000_000.0 + leak * runs + noise_bytes * noise.next())
        };
        (0..cycles).map(point).collect::<Vec<_>>()
    });
    series.filter(|points| memory(points, 1.0) == verdict).count()
}

#[test]
fn a_leak_is_hardly_ever_called_clean_and_a_clean_server_hardly_ever_a_leak() {
    // Just over the bound, by noise that makes it hard: at 99 % one in a hundred may slip through, and there are five windows.
    assert!(called(Verdict::Clean, 1.001, 2_000.0, 20) <= 9);
    assert_eq!(called(Verdict::Clean, 2.0, 2_000.0, 20), 0);
    assert!(called(Verdict::Leak, 0.0, 2_000.0, 20) <= 3);
    assert!(called(Verdict::Leak, 0.999, 2_000.0, 20) <= 3);
    // And it does say something.
    assert!(called(Verdict::Clean, 0.0, 2_000.0, 20) >= 285);
    assert!(called(Verdict::Leak, 16.0, 20_000.0, 20) >= 285);
}

fn reading(runs: u64, fds: u64) -> Reading {
    let mut reading = Reading { values: [Some(7); ALL.len()], runs, ..Reading::default() };
    reading.values[1] = Some(fds);
    reading
}

#[test]
fn a_leak_in_a_short_life_counts_and_else_the_longest_life_says() {
    let even = |cycles: u64, fds| (1..=cycles).map(|cycle| reading(cycle * 10, fds)).collect::<Vec<_>>();
    let rising = |cycles: u64| (1..=cycles).map(|cycle| reading(cycle * 10, cycle)).collect::<Vec<_>>();
    assert_eq!(overall(&judge(&[even(3, 5), even(9, 8)], 1.0)), Verdict::Clean);
    let judged = judge(&[rising(6), even(9, 8)], 1.0);
    assert_eq!(overall(&judged), Verdict::Leak);
    assert!(last_line(&judged).starts_with("leak: fds grow by 0.1"), "{}", last_line(&judged));
    assert_eq!(overall(&judge(&[rising(3), even(9, 8)], 1.0)), Verdict::Clean);
    assert_eq!(overall(&judge(&[], 1.0)), Verdict::Inconclusive);
    let judged = judge(&[even(5, 8)], 1.0);
    assert!(last_line(&judged).starts_with("inconclusive: live: 5 cycles are too few"), "{}", last_line(&judged));
}

#[test]
fn what_cannot_be_counted_is_inconclusive_and_what_is_only_told_is_nothing() {
    let blind = |cycle: u64| {
        let mut reading = reading(cycle, 5);
        reading.values[0] = None;
        reading.values[7] = Some(cycle << 20);
        reading.allocator = "system".to_owned();
        reading
    };
    let judged = judge(&[(0..9).map(blind).collect()], 1.0);
    assert_eq!(overall(&judged), Verdict::Inconclusive);
    assert_eq!(last_line(&judged), "inconclusive: live: the allocator (system) does not count");
    let resident = judged.iter().find(|judged| judged.name == "resident").expect("told");
    assert!(!resident.counts && resident.per_run.expect("a rate").slope > 0.0);
}
