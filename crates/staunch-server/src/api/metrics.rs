//! The metrics, as Prometheus reads them. Every name and every label stands in this file and those in `metrics/`: none comes
//! from a client.

mod guards;
mod memory;
mod sheet;
mod stores;

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::header::CONTENT_TYPE;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::registry::Registry;
use staunch_bounded::Budget;
use staunch_engine::Level;
use staunch_store::Usage;

use self::guards::Guards;
use self::memory::Watched;
use self::sheet::Sheet;
use crate::app::App;
use crate::lookout::Reading;
use crate::patience::in_time;
use crate::problem::Refusal;
use crate::tally::Tally;

/// The state words of runs, as the store counts them.
const STATES: [&str; 3] = ["queued", "running", "ended"];

/// What the server holds and has done, in the OpenMetrics text format.
#[utoipa::path(
    get, path = "/metrics", tag = "health",
    responses((status = 200, description = "OpenMetrics text.", body = String, content_type = "application/openmetrics-text")),
)]
pub(super) async fn show_metrics(State(app): State<App>) -> Result<Response, Refusal> {
    let picture = Picture {
        reading: app.lookout.reading(&app),
        watched: Watched::of(&app),
        usage: in_time("the store's usage", app.engine.store().usage()).await,
        ready: in_time("readiness", app.engine.ready().map(|ready| Ok::<_, Infallible>(ready.is_ok()))).await
            == Some(true),
        guards: Guards::read(&app).await,
        passwords: (app.auth.passwords.budget().used(), app.auth.passwords.budget().limit()),
        bodies: (app.bodies.budget().used(), app.bodies.budget().limit()),
        subscriptions: app.engine.feed().len() as u64,
        pressure: (app.engine.pressure().level(), app.engine.pressure().shed_total()),
        rejected: app.rejected.counts(),
        panics: app.engine.tasks().panics(),
        tally: Arc::clone(&app.tally),
    };
    let (mut registry, mut out) = (Registry::default(), String::new());
    registry.register_collector(Box::new(picture));
    text::encode(&mut out, &registry).map_err(Refusal::internal)?;
    Ok(([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], out).into_response())
}

/// All that is told, read at one moment.
#[derive(Debug)]
struct Picture {
    reading: Reading,
    watched: Watched,
    usage: Option<Usage>,
    ready: bool,
    bodies: (u64, u64),
    passwords: (u64, u64),
    guards: Guards,
    subscriptions: u64,
    pressure: (Level, u64),
    rejected: [(&'static str, u64); 4],
    panics: u64,
    tally: Arc<Tally>,
}

impl Collector for Picture {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut to = Sheet(encoder);
        self.process(&mut to)?;
        self.store(&mut to)?;
        self.engine(&mut to)?;
        self.http(&mut to)?;
        self.pressure(&mut to)?;
        stores::tell(&self.reading.stores, &mut to)?;
        self.watched.tell(&self.reading, &mut to)?;
        self.guards.tell(&mut to)
    }
}

impl Picture {
    fn process(&self, to: &mut Sheet<'_>) -> fmt::Result {
        let Some(process) = &self.reading.process else { return Ok(()) };
        to.gauge("process_resident_memory_bytes", "Resident memory", process.resident_bytes)?;
        to.gauge("process_virtual_memory_bytes", "Virtual memory", process.virtual_bytes)?;
        to.gauge("process_open_fds", "Open file descriptors", process.open_fds)?;
        to.gauge("process_max_fds", "File descriptors that may be open", process.max_fds)?;
        to.gauge("process_threads", "Threads", process.threads)?;
        to.seconds_total("process_cpu_seconds", "Processor time", process.cpu_seconds)?;
        to.seconds("process_start_time_seconds", "Start, in seconds since 1970 UTC", process.start_seconds)
    }

    fn store(&self, to: &mut Sheet<'_>) -> fmt::Result {
        let Some(usage) = &self.usage else { return Ok(()) };
        let runs = STATES.map(|state| (state, usage.runs.get(state).copied().unwrap_or(0)));
        to.gauges("staunch_runs", "Runs that are remembered, by state", "state", runs)?;
        to.gauge("staunch_attempts_in_flight", "Attempts that wait or run", usage.attempts_in_flight)?;
        let bytes = [("database", usage.database_bytes), ("wal", usage.wal_bytes), ("logs", usage.log_bytes)];
        to.gauges("staunch_disk_bytes", "Bytes on disk", "part", bytes)?;
        to.total("staunch_store_commits", "Commits", usage.commits_total)?;
        to.total("staunch_store_operations", "Operations in commits", usage.operations_total)?;
        to.total("staunch_store_stale", "Results that came too late for the store", usage.stale_total)
    }

    fn engine(&self, to: &mut Sheet<'_>) -> fmt::Result {
        let Reading { stats, tasks, .. } = &self.reading;
        to.gauge("staunch_ready", "Whether runs are accepted and executed", self.ready.into())?;
        to.gauge("staunch_steps_active", "Steps that run", stats.steps_active)?;
        to.gauge("staunch_plans", "Plans in memory", stats.plans)?;
        to.gauge("staunch_keepers", "Keeper processes", stats.keepers)?;
        to.gauge("staunch_tasks_alive", "Tasks", stats.tasks)?;
        to.gauges("staunch_tasks", "Tasks, by kind", "kind", tasks.iter().copied())?;
        to.total("staunch_task_panics", "Tasks that panicked", self.panics)?;
        to.gauge("staunch_feed_runs", "Runs that are watched", self.subscriptions)?;
        to.total("staunch_attempts_started", "Attempts started", stats.attempts_started_total)?;
        let ended = stats.attempts_ended_total.iter().map(|(word, n)| (*word, *n));
        to.totals("staunch_attempts_ended", "Attempts ended, by outcome", "outcome", ended)?;
        let ended = stats.runs_ended_total.iter().map(|(word, n)| (*word, *n));
        to.totals("staunch_runs_ended", "Runs ended, by outcome", "outcome", ended)?;
        to.total("staunch_stale", "Results dropped because the claim was no longer held", stats.stale_total)?;
        to.total("staunch_left_behind", "Steps that left processes behind", stats.left_behind_total)?;
        to.seconds("staunch_dispatch_idle_seconds", "Since the loop last turned", stats.dispatch_idle.as_secs_f64())?;
        let (bodies, passwords) = (self.bodies, self.passwords);
        let own = [("http_bodies", bodies.0, bodies.1), ("passwords", passwords.0, passwords.1)];
        let budgets = || stats.budgets.iter().copied().chain(own);
        let held = budgets().map(|(name, used, _)| (name, used));
        to.gauges("staunch_budget_bytes", "Bytes held, by budget", "budget", held)?;
        let limits = budgets().map(|(name, _, limit)| (name, limit));
        to.gauges("staunch_budget_limit_bytes", "Bytes that may be held, by budget", "budget", limits)?;
        to.total("staunch_budget_rest_bytes", "Bytes that budgets were closed with: a bug", Budget::rest_bytes())
    }

    fn pressure(&self, to: &mut Sheet<'_>) -> fmt::Result {
        let (level, shed) = self.pressure;
        to.gauge("staunch_memory_pressure_level", "0 calm, 1 trim, 2 slow, 3 refuse, 4 shed", level as u64)?;
        to.total("staunch_runs_shed", "Runs cancelled because memory was nearly gone", shed)?;
        to.totals("staunch_runs_rejected", "Runs not accepted, by reason", "reason", self.rejected)
    }

    fn http(&self, to: &mut Sheet<'_>) -> fmt::Result {
        let tally = &self.tally;
        to.gauge("staunch_connections", "Open connections", self.reading.connections)?;
        to.total("staunch_connections_accepted", "Connections accepted", tally.accepted())?;
        to.total("staunch_accept_errors", "Connections that could not be accepted", tally.accept_errors())?;
        to.gauge("staunch_streams", "Open event streams", self.reading.streams)?;
        to.total("staunch_streams_opened", "Event streams opened", tally.streams())?;
        let answers = Tally::CLASSES.into_iter().zip(tally.answers());
        to.totals("staunch_http_requests", "Requests answered, by class of status", "class", answers)
    }
}
