//! The metrics of authentication and of the guards. No label comes from a client.

use std::fmt;

use staunch_guard::Stats;
use staunch_store::AccountUsage;

use super::sheet::Sheet;
use crate::app::App;
use crate::auth::Tally;
use crate::patience::in_time;

/// What is told of them, read at one moment.
#[derive(Debug)]
pub(super) struct Guards {
    usage: Option<AccountUsage>,
    open: bool,
    rates: Vec<(String, Stats)>,
    csrf: Vec<(&'static str, u64)>,
    csrf_passed: u64,
    logins: [u64; 3],
    hashes: u64,
    hashes_refused: u64,
}

impl Guards {
    /// How they stand.
    pub(super) async fn read(app: &App) -> Self {
        let auth = &app.auth;
        let reads_refused = auth.tally.reads_refused();
        let csrf = auth.csrf.all().map(|(reason, count)| {
            // The same refusal, where reading is concerned.
            (reason, if reason == "cross_site" { count + reads_refused } else { count })
        });
        Self {
            usage: in_time("the usage of accounts", auth.accounts.account_usage()).await,
            open: auth.mode.seems_open(),
            rates: auth.throttle.stats(),
            csrf: csrf.collect(),
            csrf_passed: auth.csrf.passed(),
            logins: auth.tally.logins(),
            hashes: auth.passwords.hashes(),
            hashes_refused: auth.passwords.refused(),
        }
    }

    /// Writes them.
    pub(super) fn tell(&self, to: &mut Sheet<'_>) -> fmt::Result {
        to.gauge(
            "staunch_open",
            "Whether everybody on this machine is an admin, since there is none",
            self.open.into(),
        )?;
        if let Some(usage) = &self.usage {
            let kinds = [
                ("users", usage.users),
                ("sessions", usage.sessions),
                ("tokens", usage.tokens),
                ("tickets", usage.tickets),
                ("audit_lines", usage.audit_rows),
            ];
            to.gauges("staunch_accounts", "Rows of accounts, by kind", "kind", kinds)?;
        }
        let logins = Tally::LOGINS.into_iter().zip(self.logins);
        to.totals("staunch_logins", "Logins, by outcome", "outcome", logins)?;
        to.total("staunch_password_hashes", "Passwords hashed", self.hashes)?;
        to.total("staunch_password_hashes_refused", "Passwords that found no turn", self.hashes_refused)?;
        to.total("staunch_csrf_passed", "Requests that the CSRF guard looked at and let pass", self.csrf_passed)?;
        let reasons = self.csrf.iter().copied();
        to.totals("staunch_csrf_refused", "Requests that the CSRF guard refused, by reason", "reason", reasons)?;
        self.rates(to)
    }

    fn rates(&self, to: &mut Sheet<'_>) -> fmt::Result {
        let by = |count: fn(&Stats) -> u64| self.rates.iter().map(move |(policy, stats)| (policy, count(stats)));
        to.gauges("staunch_rate_keys", "Keys in the tables of rate limits", "policy", by(|stats| stats.live))?;
        to.gauges("staunch_rate_keys_hot", "Of these, keys that owe time", "policy", by(|stats| stats.hot))?;
        to.gauges("staunch_rate_slots", "Keys that fit", "policy", by(|stats| stats.slots))?;
        to.gauges("staunch_rate_bytes", "Bytes of the tables", "policy", by(|stats| stats.bytes))?;
        let degraded = by(|stats| stats.degraded_sets);
        to.gauges("staunch_rate_degraded_sets", "Sets where newcomers pay for others", "policy", degraded)?;
        to.totals("staunch_rate_admitted", "Requests admitted", "policy", by(|stats| stats.admitted))?;
        to.totals("staunch_rate_denied", "Requests denied", "policy", by(|stats| stats.denied))?;
        let evictions = by(|stats| stats.hot_evictions);
        to.totals("staunch_rate_hot_evictions", "Keys let go of while they owed time", "policy", evictions)
    }
}
