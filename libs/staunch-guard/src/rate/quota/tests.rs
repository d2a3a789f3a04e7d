use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn error(count: u32, window: Duration, burst: u32) -> Option<QuotaError> {
    Quota::with_burst(count, window, burst).err()
}

#[test]
fn count_and_burst_below_at_and_over_one() {
    assert_eq!(error(0, MINUTE, 1), Some(QuotaError::NoCount));
    assert_eq!(error(1, MINUTE, 0), Some(QuotaError::NoBurst));
    assert_eq!((error(1, MINUTE, 1), error(2, MINUTE, 2)), (None, None));
}

#[test]
fn window_below_at_and_over_a_millisecond() {
    let short = Duration::from_nanos(999_999);
    assert_eq!(error(1, short, 1), Some(QuotaError::WindowTooShort(short)));
    assert_eq!(error(1, Duration::from_millis(1), 1), None);
    assert_eq!(error(1, Duration::from_nanos(1_000_001), 1), None);
}

#[test]
fn tolerance_below_at_and_over_its_end() {
    let end = Duration::from_nanos(TOLERANCE_END);
    assert_eq!(error(1, end - Duration::from_nanos(1), 1), None);
    assert!(matches!(error(1, end, 1), Some(QuotaError::TooLong { .. })));
    assert!(matches!(error(1, end / 2, 2), Some(QuotaError::TooLong { .. })));
    assert_eq!(error(1, end / 2 - Duration::from_nanos(1), 2), None);
    assert!(matches!(error(u32::MAX, Duration::MAX, 1), Some(QuotaError::TooLong { .. })));
}

#[test]
fn intervals_are_rounded_up_and_never_zero() {
    for (count, window_ns, interval) in
        [(3, 1_000_000_000, 333_333_334), (1_000_000_001, 1_000_000_000, 1), (u32::MAX, 1_000_000, 1), (5, 60, 12)]
    {
        let window = Duration::from_nanos(window_ns);
        let quota = Quota::with_burst(count, window.max(WINDOW_MIN), 1).unwrap_or_else(|e| panic!("{e}"));
        if window >= WINDOW_MIN {
            assert_eq!(quota.interval_nanos(), interval, "{count} in {window:?}");
        }
    }
}

#[test]
fn the_worst_window_is_a_burst_and_what_comes_back() {
    for (count, seconds, burst, worst) in [(5, 60, 5, 9), (3, 60, 3, 5), (100, 900, 100, 199), (60, 60, 1, 60)] {
        let quota = Quota::with_burst(count, Duration::from_secs(seconds), burst).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(quota.worst_case_in_window(), worst, "{count} in {seconds} s, {burst} at once");
    }
}

#[test]
fn a_network_has_a_multiple() {
    let login = Quota::new(5, MINUTE).unwrap_or_else(|e| panic!("{e}"));
    let network = login.times(16).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((network.count(), network.burst(), network.window()), (80, 80, MINUTE));
    assert_eq!(login.times(0), Err(QuotaError::NoCount));
    assert_eq!(network.tolerance(), MINUTE);
}
