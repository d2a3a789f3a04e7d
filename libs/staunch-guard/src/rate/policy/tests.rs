use super::*;

fn named(name: &str) -> Policy {
    Policy { name: name.to_owned(), ..Policy::login() }
}

#[test]
fn presets_are_what_they_say() {
    let worst = |policy: Policy| (policy.quota.interval().as_secs(), policy.quota.worst_case_in_window());
    for (policy, interval_and_worst) in [
        (Policy::login(), (12, 9)),
        (Policy::register(), (20, 5)),
        (Policy::password(), (1_200, 5)),
        (Policy::email(), (1_200, 5)),
        (Policy::api(), (9, 199)),
    ] {
        assert_eq!(worst(policy.clone()), interval_and_worst, "{}", policy.name);
        assert_eq!(policy.with_site().map(|[site, _]| site.quota.count() % 16), Ok(0));
    }
}

#[test]
fn sets_of_policies_below_at_and_over_the_bound() {
    let of = |count: usize| PolicySet::new((0..count).map(|at| named(&format!("p{at}"))).collect());
    assert_eq!(of(0), Err(PolicyError::Empty));
    assert!(of(1).is_ok() && of(POLICIES_MAX).is_ok());
    assert_eq!(of(POLICIES_MAX + 1), Err(PolicyError::TooMany(9)));
}

#[test]
fn names_are_fit_to_be_told() {
    let of = |name: &str| PolicySet::new(vec![named(name)]).map(|_| ());
    let long = "x".repeat(NAME_BYTES_MAX);
    for name in ["a", "log_in-2", &long] {
        assert_eq!(of(name), Ok(()), "{name}");
    }
    for name in ["", "Login", "a b", "a\"", "\u{e9}", "a\n", &format!("{long}x")] {
        assert_eq!(of(name), Err(PolicyError::Name(name.to_owned())), "{name:?}");
    }
    let twice = PolicySet::new(vec![named("a"), named("b"), named("a")]).map_err(|error| error.to_string());
    assert_eq!(twice, Err("two policies are called \"a\"".to_owned()));
}

#[test]
fn coarse_keys_come_first() {
    let keys = [KeyKind::Principal, KeyKind::Client, KeyKind::Site, KeyKind::Account];
    let policies = keys.iter().enumerate().map(|(at, key)| Policy { key: *key, ..named(&format!("p{at}")) }).collect();
    let set = PolicySet::new(policies).unwrap_or_else(|error| panic!("{error}"));
    let order: Vec<_> = set.policies().iter().map(|policy| policy.key).collect();
    assert_eq!(order, [KeyKind::Site, KeyKind::Client, KeyKind::Account, KeyKind::Principal]);
}

#[test]
fn policies_choose_requests() {
    for (policy, method, authenticated, applies) in [
        (Policy::login(), Method::POST, false, true),
        (Policy::login(), Method::GET, false, false),
        (Policy::api(), Method::GET, false, true),
        (Policy::api(), Method::DELETE, true, false),
        (Policy { callers: Callers::Authenticated, ..Policy::api() }, Method::GET, true, true),
        (Policy { callers: Callers::Authenticated, ..Policy::api() }, Method::GET, false, false),
    ] {
        assert_eq!(policy.applies(&method, authenticated), applies, "{} {method}", policy.name);
    }
}
