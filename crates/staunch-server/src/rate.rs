//! The rate limits of this server: which there are, and how a request is charged.

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, Method};
use staunch_bounded::{Census, Count, Counted};
use staunch_guard::{Caller, Client, Clock, Coarse, KeyKind, Limiter, Policy, PolicySet, Quota, Ruling, Stats};

use crate::problem::Refusal;

/// How much a client may ask for, by what it asks. Written `N/duration` in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Logins from one address that fail.
    pub login: Quota,
    /// Logins by one name that fail, from wherever.
    pub account: Quota,
    /// Set-ups, by address. New users that an admin makes do not count.
    pub register: Quota,
    /// Passwords that are given again and wrong, by user.
    pub password: Quota,
    /// E-mail by user. Nothing sends any yet.
    pub email: Quota,
    /// Everything else of one address by callers that nobody knows. As much again for looking up what they show.
    pub api: Quota,
    /// Everything of one user by their sessions, or of one API token.
    pub api_token: Quota,
}

/// What a request is charged to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    Login,
    Account,
    Register,
    Password,
    Api,
    ApiToken,
    /// Credentials that are not in memory. A bucket of their own, as large as `Api`: those that are good are given back, and the neighbours
    /// of whoever has them, who come without any, spend nothing of it.
    Lookup,
}

/// Who is charged.
#[derive(Clone, Copy)]
pub(crate) enum Payer<'a> {
    /// An address; all that have none are one.
    Address(Option<Client>),
    /// A user, or a name that was given, in lower case.
    Name(&'a [u8]),
}

/// A charge: told in the answer's headers, and given back once, if at all.
#[derive(Debug)]
pub(crate) struct Charge {
    rule: Rule,
    ruling: Ruling,
}

/// All limits, each in a table of fixed size.
pub(crate) struct Throttle {
    tables: [Arc<Tables>; RULES],
    clock: Box<dyn Clock>,
}

/// The limiter of one rule, and what a census calls its tables.
struct Tables {
    name: &'static str,
    limiter: Limiter,
}

const RULES: usize = 7;
/// 7,168 keys in 128 KiB: three times as many as there are sessions and tokens in memory, and four times what is to be expected of forms.
const SETS: usize = 1 << 10;
/// 57,344 addresses in 1 MiB.
const SETS_API: usize = 1 << 13;
/// Sets that a sweep goes through before others have their turn.
const SWEEP_SETS: usize = 256;

impl Default for Rates {
    fn default() -> Self {
        let quota = |count, seconds| {
            Quota::new(count, std::time::Duration::from_secs(seconds))
                .expect("these are constants, and a test makes each")
        };
        Self {
            login: quota(5, 60),
            account: quota(20, 900),
            register: quota(3, 60),
            password: quota(3, 3_600),
            email: quota(3, 3_600),
            api: quota(100, 900),
            api_token: quota(6_000, 60),
        }
    }
}

impl Throttle {
    /// The tables of these rates.
    ///
    /// # Errors
    /// In words: a quota whose sixteenfold, which holds for an IPv6 site, is out of bounds, or no randomness.
    pub(crate) fn new(rates: &Rates) -> Result<Self, String> {
        let of_address = |called: &'static str, name: &str, quota, sets| {
            let policy = Policy { sets, ..Policy::new(name, quota) };
            let [site, own] = policy.with_site().map_err(|error| format!("rate.{name}: {error}"))?;
            tables(called, vec![Policy { sets: SETS, ..site }, own])
        };
        let of = |called: &'static str, name: &str, quota| {
            tables(called, vec![Policy { key: KeyKind::Account, sets: SETS, ..Policy::new(name, quota) }])
        };
        let tables = [
            of_address("rate_login", "login", rates.login, SETS)?,
            of("rate_account", "account", rates.account)?,
            of_address("rate_register", "register", rates.register, SETS)?,
            of("rate_password", "password", rates.password)?,
            of_address("rate_api", "api", rates.api, SETS_API)?,
            of("rate_api_token", "api_token", rates.api_token)?,
            of_address("rate_lookup", "lookup", rates.api, SETS_API)?,
        ];
        Ok(Self { tables, clock: Box::new(Coarse::default()) })
    }

    /// Charges one request.
    ///
    /// # Errors
    /// 429, when there is nothing left.
    pub(crate) fn charge(&self, rule: Rule, payer: Payer<'_>) -> Result<Charge, Refusal> {
        let limiter = &self.tables[rule as usize].limiter;
        // Which methods count is for the table of routes to say.
        let mut caller = Caller::new(&Method::GET);
        match payer {
            Payer::Address(client) => caller.client = client,
            Payer::Name(name) => caller.account = Some(name),
        }
        // A cost of 1 fits every burst.
        let ruling = limiter.check(&caller, 1, &*self.clock).map_err(Refusal::internal)?;
        match limiter.refusal(&ruling) {
            None => Ok(Charge { rule, ruling }),
            Some(refusal) => {
                let mut headers = HeaderMap::new();
                limiter.tell(&ruling, &mut headers);
                Err(Refusal::of_guard(&refusal).headers(headers))
            }
        }
    }

    /// Gives a charge back.
    pub(crate) fn refund(&self, charge: Charge) {
        self.tables[charge.rule as usize].limiter.refund(charge.ruling, &*self.clock);
    }

    /// Says in an answer what is left.
    pub(crate) fn tell(&self, charge: &Charge, answer: &mut HeaderMap) {
        self.tables[charge.rule as usize].limiter.tell(&charge.ruling, answer);
    }

    /// Empties slots that nobody owes anything for, in slices, so that it never takes a thread for long.
    pub(crate) async fn sweep(&self) {
        for Tables { limiter, .. } in self.tables.iter().map(AsRef::as_ref) {
            let sets = limiter.policies().map(|policy| policy.sets).max().unwrap_or(0);
            for _ in 0..sets.div_ceil(SWEEP_SETS) {
                limiter.sweep(self.clock.now(), SWEEP_SETS);
                tokio::task::yield_now().await;
            }
        }
    }

    /// Registers all tables.
    pub(crate) fn register(&self, census: &Census) {
        self.tables.iter().for_each(|tables| census.register(tables));
    }

    /// Each policy and its table.
    pub(crate) fn stats(&self) -> Vec<(String, Stats)> {
        let now = self.clock.now();
        let all = self.tables.iter().flat_map(|tables| tables.limiter.stats(now));
        all.map(|(policy, stats)| (policy.name.clone(), stats)).collect()
    }
}

fn tables(name: &'static str, policies: Vec<Policy>) -> Result<Arc<Tables>, String> {
    let limiter = PolicySet::new(policies).and_then(Limiter::new).map_err(|error| error.to_string())?;
    Ok(Arc::new(Tables { name, limiter }))
}

impl Counted for Tables {
    fn count(&self) -> Count {
        Count { name: self.name, ..self.limiter.count() }
    }
}

impl fmt::Debug for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.tables.iter().map(|tables| &tables.limiter)).finish()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_tables_fit_what_the_limits_say() {
        let throttle = Throttle::new(&Rates::default()).unwrap();
        let bytes: u64 = throttle.stats().iter().map(|(_, stats)| stats.bytes).sum();
        assert!(bytes <= staunch_engine::RATE_BYTES_MAX, "{bytes}");
    }

    #[test]
    fn a_charge_that_is_given_back_was_none() {
        let throttle = Throttle::new(&Rates::default()).unwrap();
        let ada = Payer::Name(b"ada");
        for _ in 0..50 {
            let charge = throttle.charge(Rule::Password, ada).unwrap();
            throttle.refund(charge);
        }
        for _ in 0..3 {
            throttle.charge(Rule::Password, ada).unwrap();
        }
        let refusal = throttle.charge(Rule::Password, ada).unwrap_err();
        assert_eq!(refusal.code().word(), "quota_exceeded");
    }
}
