//! Requests and their answers.

use std::fmt::Display;
use std::io::Read;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use staunch_server::wire::{
    Accepted, CancelRequest, LogPage, RerunRequest, Run, RunDetail, RunPage, Secret, SubmitRequest, WorkflowList,
};
use staunch_store::RunId;
use ureq::http::{Response, Uri};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::typestate::{WithBody, WithoutBody};
use ureq::{Agent, Body, RequestBuilder};

use super::credential::{Credential, is_here, is_private};
use super::problem;
use crate::exit::Exit;
use crate::failure::Failure;

/// The longest an answer's head or a silent stretch of a stream may take. The server sends a ping at least every 15 s.
const SILENCE_MAX: Duration = Duration::from_secs(45);

/// The longest it may take to connect.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// An answer is not larger than this, in bytes: 5,000 steps with what they said can be large, but not without bound.
const ANSWER_BYTES_MAX: u64 = 256 << 20;

/// How often a request that may be sent twice is sent, if the connection breaks.
const TRIES: u32 = 3;

/// Recent runs among which a part of an id is looked up.
const RECENT: u32 = 200;

/// A server, as the command line asks it.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    base: String,
    agent: Agent,
    credential: Credential,
    /// Whether secrets may be sent where others can read them.
    careless: bool,
}

impl Client {
    /// For the server at `base`, such as `http://127.0.0.1:7878`. Nothing is sent yet.
    pub(crate) fn new(base: &str, careless: bool) -> Self {
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("staunch/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(CONNECT_MAX))
            .timeout_per_read(Some(SILENCE_MAX))
            .timeout_per_write(Some(SILENCE_MAX))
            .tls_config(tls);
        if base.parse::<Uri>().is_ok_and(|uri| is_here(&uri)) {
            // A proxy cannot reach this machine's own loopback.
            config = config.proxy(None);
        }
        Self { base: base.to_owned(), agent: config.build().new_agent(), credential: Credential::Nobody, careless }
    }

    /// One like it that shares no connection with it.
    pub(crate) fn fresh(&self) -> Self {
        Self { agent: self.agent.config().new_agent(), ..self.clone() }
    }

    /// One that sends this token with every request.
    pub(crate) fn with_token(self, token: &Secret) -> Result<Self, Failure> {
        self.confide("the token")?;
        Ok(self.with(Credential::token(token)?))
    }

    /// One that asks by this right.
    pub(super) fn with(self, credential: Credential) -> Self {
        Self { credential, ..self }
    }

    /// The server's address.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Whether it asks without saying who it is.
    pub(crate) fn is_nobody(&self) -> bool {
        matches!(self.credential, Credential::Nobody)
    }

    /// Refuses to send a secret where others can read it, unless that is wanted.
    pub(crate) fn confide(&self, what: &str) -> Result<(), Failure> {
        if self.careless || is_private(&self.base) {
            return Ok(());
        }
        let message =
            format!("refusing to send {what} to {}: without encryption whoever is on the way can read it", self.base);
        let hint = "use an https address or an SSH tunnel; --insecure-http sends it all the same";
        Err(Failure::usage(message).hint(hint))
    }

    /// Accepts a run of a workflow by name. `key` makes it safe to send twice.
    pub(crate) fn submit(&self, workflow: &str, request: &SubmitRequest, key: &str) -> Result<Accepted, Failure> {
        self.post(&format!("/workflows/{}/runs", segment(workflow)), request, key)
    }

    /// Runs steps of a run again, as a new run.
    pub(crate) fn rerun(&self, run: &str, request: &RerunRequest, key: &str) -> Result<Accepted, Failure> {
        self.post(&format!("/runs/{run}/rerun"), request, key)
    }

    /// Asks a run to stop.
    pub(crate) fn cancel(&self, run: &str, force: bool) -> Result<(), Failure> {
        let path = self.url(&format!("/runs/{run}/cancel"));
        let send = || self.posting(&path).send_json(CancelRequest { force });
        self.accept(self.retry(send)?).map(drop)
    }

    /// A run with its steps.
    pub(crate) fn run(&self, run: &str) -> Result<RunDetail, Failure> {
        self.get(&format!("/runs/{run}"), &[])
    }

    /// Runs, newest first; at most 200.
    pub(crate) fn runs(&self, query: &[(&str, String)]) -> Result<RunPage, Failure> {
        self.get("/runs", query)
    }

    /// The workflows there are.
    pub(crate) fn workflows(&self) -> Result<WorkflowList, Failure> {
        self.get("/workflows", &[])
    }

    /// A page of a step's log.
    pub(crate) fn log(&self, run: &str, step: &str, query: &[(&str, String)]) -> Result<LogPage, Failure> {
        self.get(&format!("/runs/{run}/steps/{}/log", segment(step)), query)
    }

    /// A step's log, as the step wrote it.
    pub(crate) fn raw_log(&self, run: &str, step: &str) -> Result<impl Read + use<>, Failure> {
        let url = self.url(&format!("/runs/{run}/steps/{}/log/raw", segment(step)));
        let answer = self.accept(self.retry(|| self.getting(&url).call())?)?;
        Ok(answer.into_body().into_reader())
    }

    /// The live stream of some topics, each from its place in `last` on.
    pub(super) fn events(&self, topics: &str, last: &str) -> Result<impl Read + use<>, Failure> {
        let request = self.getting(&self.url("/events")).query("topics", topics);
        let request = request.header("accept", "text/event-stream").header("last-event-id", last);
        let answer = self.accept(request.call().map_err(|error| self.unreachable(&error))?)?;
        Ok(answer.into_body().into_reader())
    }

    /// The full id of a run that was named by its id, a part of it, or `@last`.
    pub(crate) fn resolve(&self, given: &str) -> Result<String, Failure> {
        if given.parse::<RunId>().is_ok() {
            return Ok(given.to_lowercase());
        }
        if given == "@last" {
            let newest = self.runs(&[("limit", "1".to_owned())])?.items.into_iter().next();
            return newest.map(|run| run.id).ok_or_else(|| Failure::not_found("there is no run yet"));
        }
        let recent = self.runs(&[("limit", RECENT.to_string())])?.items;
        one_of(given, &recent)
    }

    /// A text that stands beside the API, such as `/metrics`; none of ours has more than a few MiB.
    pub(super) fn text(&self, path: &str) -> Result<String, Failure> {
        let url = format!("{}{path}", self.base);
        let answer = self.accept(self.retry(|| self.getting(&url).call())?)?;
        let mut body = answer.into_body();
        body.with_config().limit(ANSWER_BYTES_MAX).read_to_string().map_err(|error| self.unreachable(&error))
    }

    /// Asks for a resource.
    pub(super) fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> Result<T, Failure> {
        let url = self.url(path);
        let send = || query.iter().fold(self.getting(&url), |request, (key, value)| request.query(key, value)).call();
        let answer = self.accept(self.retry(send)?)?;
        self.read(answer)
    }

    fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize, key: &str) -> Result<T, Failure> {
        let url = self.url(path);
        let send = || self.posting(&url).header("idempotency-key", key).send_json(body);
        let answer = self.accept(self.retry(send)?)?;
        self.read(answer)
    }

    /// Posts what must not be sent twice.
    pub(super) fn post_once(&self, path: &str, body: &impl Serialize) -> Result<Response<Body>, Failure> {
        let answer = self.posting(&self.url(path)).send_json(body);
        self.accept(answer.map_err(|error| self.unreachable(&error))?)
    }

    /// Changes a resource; the same change twice is one.
    pub(super) fn patch<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        let url = self.url(path);
        let answer = self.accept(self.retry(|| self.credential.sign(self.agent.patch(&url)).send_json(body))?)?;
        self.read(answer)
    }

    /// Removes a resource. Sent once: the second answer would be that it is not there.
    pub(super) fn delete(&self, path: &str) -> Result<Response<Body>, Failure> {
        let answer = self.credential.sign(self.agent.delete(self.url(path))).call();
        self.accept(answer.map_err(|error| self.unreachable(&error))?)
    }

    fn getting(&self, url: &str) -> RequestBuilder<WithoutBody> {
        self.credential.sign(self.agent.get(url))
    }

    fn posting(&self, url: &str) -> RequestBuilder<WithBody> {
        self.credential.sign(self.agent.post(url))
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/v1{path}", self.base)
    }

    /// Sends a request that may be sent twice, until it is answered.
    fn retry(&self, send: impl Fn() -> Result<Response<Body>, ureq::Error>) -> Result<Response<Body>, Failure> {
        let mut tries = 1;
        loop {
            match send() {
                Ok(answer) => return Ok(answer),
                // A connection that was refused was never one: nobody listens, and asking again at once would not help.
                Err(error) if tries < TRIES && is_broken(&error) => tries += 1,
                Err(error) => return Err(self.unreachable(&error)),
            }
        }
    }

    /// What an answer says.
    pub(super) fn read<T: DeserializeOwned>(&self, answer: Response<Body>) -> Result<T, Failure> {
        let mut body = answer.into_body();
        body.with_config().limit(ANSWER_BYTES_MAX).read_json().map_err(|error| {
            let what = format!("{} answered what this version of staunch does not understand: {error}", self.base);
            Failure::broken(what).hint("is it a Staunch server, and of the same version?")
        })
    }

    /// The answer, if it says that all went well.
    fn accept(&self, answer: Response<Body>) -> Result<Response<Body>, Failure> {
        if answer.status().is_success() {
            Ok(answer)
        } else {
            Err(problem::failure(&self.base, answer, self.is_nobody()))
        }
    }

    fn unreachable(&self, error: &impl Display) -> Failure {
        Failure::new(Exit::Unreachable, format!("the server at {} does not answer: {error}", self.base))
            .hint("start one with `staunch serve`, or name another with --server or $STAUNCH_URL")
    }
}

/// Whether a later try may be answered and the server may have seen this one.
fn is_broken(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Io(error) => error.kind() != std::io::ErrorKind::ConnectionRefused,
        ureq::Error::Protocol(_) => true,
        _ => false,
    }
}

/// A path segment (RFC 3986 §3.3): everything but unreserved characters is escaped.
pub(super) fn segment(text: &str) -> String {
    let mut segment = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            segment.push(char::from(byte));
        } else {
            segment.push_str(&format!("%{byte:02X}"));
        }
    }
    segment
}

fn one_of(given: &str, runs: &[Run]) -> Result<String, Failure> {
    let part = given.to_lowercase();
    let bare = |run: &Run| run.id.trim_start_matches("run_").to_owned();
    let fits = |run: &&Run| run.id.starts_with(&part) || bare(run).starts_with(&part) || run.id.ends_with(&part);
    let found: Vec<&Run> = if part.is_empty() { Vec::new() } else { runs.iter().filter(fits).collect() };
    match found.as_slice() {
        [run] => Ok(run.id.clone()),
        [] => Err(Failure::not_found(format!("no recent run has an id that begins or ends with `{given}`"))
            .hint("`staunch runs` lists them")),
        [one, two, ..] => {
            let message = format!("`{given}` is part of several ids, such as {} and {}", one.id, two.id);
            Err(Failure::usage(message).hint("the last few characters tell runs apart best"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_one_segment() {
        assert_eq!(segment("nightly-build_2.0"), "nightly-build_2.0");
        assert_eq!(segment("../a b?é"), "..%2Fa%20b%3F%C3%A9");
    }

    fn run(id: &str) -> Run {
        serde_json::from_value(serde_json::json!({
            "id": id, "workflow": "w", "revision": "", "state": "queued", "outcome": null, "trigger": "api", "rerun_of": null,
            "cancel_requested": false, "inputs": {}, "created_at": "", "started_at": null, "ended_at": null, "duration_ms": null,
        }))
        .expect("the wire's own shape")
    }

    #[test]
    fn a_part_of_an_id_names_a_run_if_only_one_has_it() {
        let runs = [run("run_01abc9"), run("run_01abd8")];
        for part in ["run_01abc", "01abc", "c9", "C9", "run_01abc9"] {
            assert_eq!(one_of(part, &runs).expect(part), "run_01abc9");
        }
        assert_eq!(one_of("run_", &runs).expect_err("refused").exit, Exit::Usage);
        assert_eq!(one_of("zz", &runs).expect_err("refused").exit, Exit::NotFound);
        assert_eq!(one_of("", &runs).expect_err("refused").exit, Exit::NotFound);
    }
}
