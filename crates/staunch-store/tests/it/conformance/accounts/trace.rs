//! Random traces of calls on a store of accounts.

use proptest::prelude::*;

/// One call. Numbers pick among what was ever there, by remainder.
#[derive(Clone, Debug)]
pub(super) enum Call {
    Open { ttl_ms: u16 },
    Redeem { newest: bool, name: u8 },
    Create { name: u8, role: u8 },
    Change { user: usize, role: Option<u8>, disabled: Option<bool>, password: bool, keep: usize },
    Delete(usize),
    Begin { user: usize, stale: bool, idle_ms: u16, absolute_ms: u16 },
    Touch(usize),
    End(usize),
    Rotate(usize),
    Revoke { user: usize, session: usize },
    RevokeAll { user: usize, keep: usize },
    Token { user: usize, ttl_ms: Option<u16> },
    Use(usize),
    RevokeToken { token: usize, owner: usize },
    Advance(u16),
    Sweep(u8),
}

/// Up to eighty calls, so weighted that bounds are met and sessions live for a while.
pub(super) fn calls() -> impl Strategy<Value = Vec<Call>> {
    let short = 0..3_000u16;
    let any_one = || 0..1_000usize;
    let change = (any_one(), any::<Option<u8>>(), any::<Option<bool>>(), any::<bool>(), any_one());
    let begin = (any_one(), prop::bool::weighted(0.1), short.clone(), 0..9_000u16);
    let call = prop_oneof![
        1 => short.clone().prop_map(|ttl_ms| Call::Open { ttl_ms }),
        1 => (prop::bool::weighted(0.8), any::<u8>()).prop_map(|(newest, name)| Call::Redeem { newest, name }),
        3 => (any::<u8>(), any::<u8>()).prop_map(|(name, role)| Call::Create { name, role }),
        3 => change.prop_map(|(user, role, disabled, password, keep)| {
            // One thing at a time most often, else hardly a session lives.
            let disabled = disabled.filter(|_| role.is_none());
            Call::Change { user, role, disabled, password: password && role.is_none() && disabled.is_none(), keep }
        }),
        1 => any_one().prop_map(Call::Delete),
        8 => begin.prop_map(|(user, stale, idle_ms, absolute_ms)| Call::Begin { user, stale, idle_ms, absolute_ms }),
        4 => any_one().prop_map(Call::Touch),
        1 => any_one().prop_map(Call::End),
        2 => any_one().prop_map(Call::Rotate),
        1 => (any_one(), any_one()).prop_map(|(user, session)| Call::Revoke { user, session }),
        1 => (any_one(), any_one()).prop_map(|(user, keep)| Call::RevokeAll { user, keep }),
        4 => (any_one(), prop::option::of(short)).prop_map(|(user, ttl_ms)| Call::Token { user, ttl_ms }),
        3 => any_one().prop_map(Call::Use),
        2 => (any_one(), any_one()).prop_map(|(token, owner)| Call::RevokeToken { token, owner }),
        4 => (0..2_000u16).prop_map(Call::Advance),
        1 => Just(Call::Advance(61_000)),
        1 => (0..4u8).prop_map(Call::Sweep),
    ];
    prop::collection::vec(call, 1..80)
}
