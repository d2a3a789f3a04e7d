//! The limiter: all policies of a request, asked coarse to fine, charged together or not at all.

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method};
use staunch_bounded::{Count, Counted};

use super::clock::Clock;
use super::decision::{Decision, NeverFits};
use super::hash::Key;
use super::headers;
use super::policy::{KeyKind, Policy, PolicyError, PolicySet};
use super::ruling::{Ruling, Standing};
use super::table::{Stats, Table};
use crate::client::Client;
use crate::refusal::Refusal;

/// Several policies, each with its table.
///
/// ```
/// use http::Method;
/// use staunch_guard::{Caller, Client, Limiter, Policy, PolicySet};
/// let limiter = Limiter::new(PolicySet::new(vec![Policy::login()]).unwrap()).unwrap();
/// let client = Client::new("192.0.2.7".parse().unwrap());
/// let caller = Caller { client: Some(client), ..Caller::new(&Method::POST) };
/// let clock = || 0;
/// for _ in 0..5 {
///     assert!(limiter.check(&caller, 1, &clock).unwrap().is_allowed());
/// }
/// assert!(!limiter.check(&caller, 1, &clock).unwrap().is_allowed());
/// ```
pub struct Limiter {
    rules: Vec<Rule>,
    policy_line: HeaderValue,
}

struct Rule {
    policy: Policy,
    table: Table,
}

/// Who asks, as far as it is known. Every part must have been established, see [`Key`].
#[derive(Clone, Copy)]
pub struct Caller<'a> {
    /// The request's method.
    pub method: &'a Method,
    /// The client by address. All callers without one are counted as one: an unknown address is never a way in.
    pub client: Option<Client>,
    /// The account that the request names.
    pub account: Option<&'a [u8]>,
    /// Who it is authenticated as.
    pub principal: Option<&'a [u8]>,
}

/// Who a request is authenticated as, for the extensions of a request in front of a [`crate::RateLayer`]. Set by whoever
/// verified the credentials, never from what the client merely says.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Principal(Arc<[u8]>);

/// The key of all callers whose address is not known.
const NOWHERE: Key<'static> = Key::Bytes(b"");

impl Principal {
    /// By any name that is theirs alone: an account's or a token's identifier.
    pub fn new(name: impl AsRef<[u8]>) -> Self {
        Self(name.as_ref().into())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The name of somebody does not belong into a log.
impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Principal(..)")
    }
}

impl<'a> Caller<'a> {
    /// Nobody in particular.
    pub fn new(method: &'a Method) -> Self {
        Self { method, client: None, account: None, principal: None }
    }

    #[inline]
    fn key(&self, kind: KeyKind) -> Option<Key<'a>> {
        match (kind, self.client) {
            (KeyKind::Site, Some(client)) => client.site().map(Key::Network),
            (KeyKind::Client, Some(client)) => Some(Key::Network(client.network())),
            (KeyKind::Site | KeyKind::Client, None) => Some(NOWHERE),
            (KeyKind::Account, _) => self.account.map(Key::Bytes),
            (KeyKind::Principal, _) => self.principal.map(Key::Bytes),
        }
    }
}

impl Limiter {
    /// Makes the tables; nothing is allocated afterwards but headers and refusals.
    ///
    /// # Errors
    /// [`PolicyError::Table`] if a policy's number of sets is out of bounds or the system has no randomness.
    pub fn new(set: PolicySet) -> Result<Self, PolicyError> {
        let policy_line = headers::policy_line(&set);
        let rules = set.into_policies().into_iter().map(|policy| {
            let table = Table::new("rate", policy.quota, policy.sets);
            let table = table.map_err(|source| PolicyError::Table { name: policy.name.clone(), source })?;
            Ok(Rule { policy, table })
        });
        Ok(Self { rules: rules.collect::<Result<_, _>>()?, policy_line })
    }

    /// Asks all policies that apply, coarse first, at one time. If one denies, those before it give back what they charged.
    ///
    /// # Errors
    /// [`NeverFits`] if the cost is above the burst of a policy that denies for real; nothing is charged then. A dry-run policy
    /// that it never fits is passed over.
    pub fn check(&self, caller: &Caller<'_>, cost: u32, clock: &(impl Clock + ?Sized)) -> Result<Ruling, NeverFits> {
        let mut ruling = Ruling::new();
        self.rule(caller, cost, clock, &mut ruling)?;
        Ok(ruling)
    }

    /// As [`check`](Self::check), into an empty ruling that stays where it is: it is large to move.
    pub(crate) fn rule(
        &self,
        caller: &Caller<'_>,
        cost: u32,
        clock: &(impl Clock + ?Sized),
        ruling: &mut Ruling,
    ) -> Result<(), NeverFits> {
        let now = clock.now();
        for (at, Rule { policy, table }) in self.rules.iter().enumerate() {
            if !policy.applies(caller.method, caller.principal.is_some()) {
                continue;
            }
            let Some(key) = caller.key(policy.key) else { continue };
            let decision = match table.check(&key, cost, now) {
                Ok(decision) => decision,
                Err(_) if policy.dry_run => continue,
                Err(never) => {
                    self.give_back(ruling, clock);
                    return Err(never);
                }
            };
            let refused = !decision.is_allowed() && !policy.dry_run;
            if refused {
                self.give_back(ruling, clock);
            }
            ruling.push(Standing { policy: at, decision, dry_run: policy.dry_run });
            if refused {
                break;
            }
        }
        Ok(())
    }

    /// Gives back what a ruling charged, less what has drained since: once, for a request that turned out not to count, such as
    /// a login that succeeded. A denied one has got everything back already.
    #[expect(clippy::needless_pass_by_value, reason = "a ruling whose receipts were used is gone")]
    pub fn refund(&self, ruling: Ruling, clock: &(impl Clock + ?Sized)) {
        if ruling.is_allowed() {
            self.give_back(&ruling, clock);
        }
    }

    fn give_back(&self, ruling: &Ruling, clock: &(impl Clock + ?Sized)) {
        for standing in ruling.standings() {
            if let (Decision::Allow(allowed), Some(rule)) = (&standing.decision, self.rules.get(standing.policy)) {
                rule.table.give_back(&allowed.receipt, || clock.now());
            }
        }
    }

    /// Forgets what this caller has used of one policy; whether the policy exists and knew of it.
    pub fn reset(&self, policy: &str, caller: &Caller<'_>) -> bool {
        let rule = self.rules.iter().find(|rule| rule.policy.name == policy);
        rule.is_some_and(|rule| caller.key(rule.policy.key).is_some_and(|key| rule.table.reset(&key)))
    }

    /// Empties slots whose key owes nothing, in the next `sets_max` sets of each table; returns how many. For the owner's
    /// timer, see [`Table::sweep`].
    pub fn sweep(&self, now: u64, sets_max: usize) -> u64 {
        self.rules.iter().map(|rule| rule.table.sweep(now, sets_max)).sum()
    }

    /// Each policy and the counts of its table.
    pub fn stats(&self, now: u64) -> impl Iterator<Item = (&Policy, Stats)> {
        self.rules.iter().map(move |rule| (&rule.policy, rule.table.stats(now)))
    }

    /// The policies, in the order in which they are asked.
    pub fn policies(&self) -> impl ExactSizeIterator<Item = &Policy> {
        self.rules.iter().map(|rule| &rule.policy)
    }

    /// The name of the policy at a place of [`Standing::policy`].
    pub(crate) fn name(&self, at: usize) -> &str {
        self.rules.get(at).map_or("", |rule| &rule.policy.name)
    }

    /// The refusal of a request that a ruling denies, for a server that asks the limiter without a [`crate::RateLayer`]; `None` if it
    /// is admitted.
    pub fn refusal(&self, ruling: &Ruling) -> Option<Refusal> {
        headers::refusal(self, ruling)
    }

    /// Adds to an answer what a ruling leaves: `RateLimit-Policy` and `RateLimit`.
    pub fn tell(&self, ruling: &Ruling, answer: &mut HeaderMap) {
        if let Some(told) = headers::Told::of(self, ruling) {
            told.tell(answer);
        }
    }

    /// The value of `RateLimit-Policy`, rendered once.
    pub fn policy_line(&self) -> &HeaderValue {
        &self.policy_line
    }
}

/// All tables together.
impl Counted for Limiter {
    fn count(&self) -> Count {
        let none =
            Count { name: "rate", entries: Some((0, 0)), bytes: 0, bytes_max: 0, expired: 0, evicted: 0, refused: 0 };
        self.rules.iter().map(|rule| rule.table.count()).fold(none, |sum, count| Count {
            name: sum.name,
            entries: sum.entries.zip(count.entries).map(|(a, b)| (a.0 + b.0, a.1 + b.1)),
            bytes: sum.bytes + count.bytes,
            bytes_max: sum.bytes_max + count.bytes_max,
            expired: sum.expired + count.expired,
            evicted: sum.evicted + count.evicted,
            refused: sum.refused + count.refused,
        })
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.policies()).finish()
    }
}

#[cfg(test)]
mod tests;
