//! The first page: who is here, what can be run, what ran last.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use maud::{Markup, html};
use staunch_engine::Known;
use staunch_flow::RunOutcome;
use staunch_store::{RunQuery, RunRow, RunState};

use super::layout::{self, Frame, Who};
use super::moment::{moment, took};
use super::who::Names;
use crate::app::App;
use crate::auth::{Caller, Principal};
use crate::problem::Refusal;

/// Runs that are shown.
const RUNS: u32 = 10;
/// Workflows that are shown; the API has all of them.
const WORKFLOWS: usize = 50;

/// What the page shows.
#[derive(Debug)]
struct Home<'a> {
    /// Who is logged in.
    who: Option<Who<'a>>,
    /// Whether anybody on this machine may use the server.
    open: bool,
    /// What can be run.
    workflows: &'a [Arc<Known>],
    /// Files with errors.
    broken: usize,
    /// What ran last.
    runs: &'a [RunRow],
}

impl<'a> Home<'a> {
    /// The page.
    fn page(self) -> Response {
        let body = html! {
            @if self.open { (Self::warning()) }
            div class="lead" {
                h1 { "Home" }
                p class="quiet" {
                    @match &self.who {
                        Some(who) => { "You are logged in as " strong { (who.name) } ", " (who.role) "." },
                        None if self.open => "Nobody needs to log in here yet.",
                        None => "You are known by a token.",
                    }
                }
            }
            (self.workflows())
            (self.runs())
            (Self::links())
        };
        layout::page(StatusCode::OK, &Frame { title: "Home", here: "/", who: self.who, ..Frame::default() }, &body)
    }

    fn warning() -> Markup {
        html! {
            div class="note warn" role="note" {
                strong { "Open mode" }
                p { "Anybody on this machine may use this server, with all rights. Nobody else reaches it." }
                p {
                    "To close it, make the first admin: open the link that the server printed when it started, or paste its ticket at "
                    a href="/setup" { "set up" } "."
                }
            }
        }
    }

    fn workflows(&self) -> Markup {
        html! {
            section class="sheet" aria-labelledby="workflows" {
                div class="sheet-head" {
                    h2 id="workflows" { "Workflows" }
                    @if self.broken > 0 {
                        a class="state bad" href="/api/v1/workflows" {
                            (self.broken) @if self.broken == 1 { " file has" } @else { " files have" } " errors"
                        }
                    }
                }
                @if self.workflows.is_empty() {
                    p class="quiet" {
                        "Each " code { "*.yaml" } " file in the workflows directory is one. Check a first one with "
                        code { "staunch validate FILE" } ", and put it there: the server sees it at once."
                    }
                } @else {
                    table class="wide dense flows" {
                        thead { tr { th scope="col" { "Name" } th scope="col" { "What it does" } th scope="col" class="last" { "Steps" } } }
                        tbody {
                            @for known in self.workflows.iter().take(WORKFLOWS) {
                                tr {
                                    td data-title="Name" { a href={ "/api/v1/workflows/" (known.workflow.name) } { (known.workflow.name) } }
                                    td data-title="What it does" { (known.workflow.description.as_deref().unwrap_or("–")) }
                                    td data-title="Steps" class="last" {
                                        @let steps = known.workflow.steps.len();
                                        (steps) span class="unit" { @if steps == 1 { "step" } @else { "steps" } }
                                    }
                                }
                            }
                        }
                    }
                    @if self.workflows.len() > WORKFLOWS {
                        p class="small" { a href="/api/v1/workflows" { "All " (self.workflows.len()) " workflows" } }
                    }
                }
            }
        }
    }

    fn runs(&self) -> Markup {
        html! {
            section class="sheet" aria-labelledby="runs" {
                div class="sheet-head" {
                    h2 id="runs" { "Last runs" }
                    a class="small" href="/api/v1/runs" { "All runs" }
                }
                @if self.runs.is_empty() {
                    p class="quiet" { "Nothing has run yet. Start something with " code { "staunch run NAME" } "." }
                } @else {
                    table class="wide dense runs" {
                        thead {
                            tr {
                                th scope="col" { "State" } th scope="col" { "Workflow" } th scope="col" { "Accepted" }
                                th scope="col" class="last" { "Took" }
                            }
                        }
                        tbody { @for row in self.runs { (run(row)) } }
                    }
                }
            }
        }
    }

    fn links() -> Markup {
        html! {
            section class="sheet" aria-labelledby="more" {
                h2 id="more" { "For programs" }
                ul class="links" {
                    li { a href="/api/v1/openapi.json" { "API description" } }
                    li { a href="/metrics" { "Metrics" } }
                    li { a href="/readyz?verbose=1" { "Health" } }
                }
                p class="quiet small" {
                    "From a terminal: " code { "staunch run NAME" } " " code { "staunch runs" } " " code { "staunch logs RUN -f" }
                }
            }
        }
    }
}

fn run(row: &RunRow) -> Markup {
    let (class, word) = standing(row);
    let length = row.started_at.zip(row.ended_at).map(|(from, to)| took(to.0 - from.0));
    html! {
        tr {
            td data-title="State" { span class={ "state " (class) } { (word.replace('_', " ")) } }
            td data-title="Workflow" { a href={ "/api/v1/runs/" (row.head.id) } { (row.head.workflow) } }
            td data-title="Accepted" { (moment(row.head.created_at)) }
            td data-title="Took" class="last" { (length.as_deref().unwrap_or("–")) }
        }
    }
}

fn standing(row: &RunRow) -> (&'static str, &'static str) {
    match (row.state, row.outcome) {
        (RunState::Queued, _) => ("quiet", "queued"),
        (RunState::Running, _) => ("warn", "running"),
        (RunState::Ended, Some(outcome)) if outcome == RunOutcome::Succeeded => ("good", outcome.word()),
        (RunState::Ended, Some(outcome)) if outcome == RunOutcome::Cancelled => ("quiet", outcome.word()),
        (RunState::Ended, outcome) => ("bad", outcome.map_or("ended", RunOutcome::word)),
    }
}

/// The page.
pub(super) async fn show(State(app): State<App>, caller: Caller) -> Result<Response, Refusal> {
    let names = Names::of(&app, &caller)?;
    let catalog = app.engine.catalog();
    let runs = app.engine.store().runs(RunQuery { limit: RUNS, ..RunQuery::default() }).await?;
    let home = Home {
        who: names.as_ref().map(Names::who),
        open: matches!(caller.principal, Principal::Local(_)),
        workflows: &catalog.list(),
        broken: catalog.broken().len(),
        runs: &runs.items,
    };
    Ok(home.page())
}
