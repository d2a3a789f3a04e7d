//! One attempt of a step, from its places on disk to its result.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use staunch_bounded::{Charge, fault_point};
use staunch_flow::{Launch, LeftBehind, Outcome};
use staunch_store::{AttemptEnd, Claimed, Incarnation, LogPlace, RunId};
use tokio::sync::watch;

use crate::engine::Inner;
use crate::runner::{self, Exit, How, Start};
use crate::workspace::Places;

/// Waits between tries to start a process when the machine, not the workflow, is at fault: out of processes, descriptors, memory.
const SPAWN_WAITS: [Duration; 4] =
    [Duration::from_millis(50), Duration::from_millis(250), Duration::from_secs(1), Duration::from_secs(3)];

/// What to do.
pub(crate) struct Attempt {
    pub(crate) claimed: Claimed,
    pub(crate) worker: Incarnation,
    pub(crate) step: String,
    pub(crate) launch: Launch,
    pub(crate) left_behind: LeftBehind,
    /// Turns to an outcome when it shall stop.
    pub(crate) stop: watch::Receiver<Option<(Outcome, bool)>>,
}

/// What pays for the text of both streams in a result, until that is on disk.
pub(crate) type Paid = Vec<Charge>;

/// What came of it.
pub(crate) struct Done {
    pub(crate) end: AttemptEnd,
    pub(crate) outputs: BTreeMap<String, String>,
    pub(crate) paid: Paid,
    /// Whether it was stopped rather than ended by itself.
    pub(crate) stopped: bool,
    pub(crate) left_behind: bool,
}

impl Attempt {
    /// Runs it. Whatever happens, it comes to an end, its processes are gone and so are its temporary files.
    pub(crate) async fn perform(mut self, inner: Arc<Inner>) -> Done {
        let places = match take(&inner, self.claimed.key.run).await {
            Ok(places) => places,
            Err(message) => return self.failed(&message),
        };
        let exit = self.run(&inner, &places).await;
        self.finish(&inner, places, exit).await
    }

    async fn run(&mut self, inner: &Arc<Inner>, places: &Places) -> Exit {
        let mut waits = SPAWN_WAITS.iter();
        loop {
            let mut running = inner.runner.run(self.start(inner, places));
            let exit = loop {
                // The first thing to be seen wins; a stop that was asked for before the start is seen at once.
                let asked = *self.stop.borrow_and_update();
                if let Some((because, force)) = asked {
                    running.kill(because, force);
                }
                tokio::select! {
                    exit = &mut running => break exit,
                    changed = self.stop.changed() => if changed.is_err() {
                        // Nobody is left who could want the result: the engine is going down.
                        running.kill(Outcome::Cancelled, true);
                        break running.await;
                    },
                }
            };
            let transient = matches!(exit.how, How::NotStarted { transient: true, .. });
            match waits.next() {
                Some(wait) if transient && exit.killed.is_none() => {
                    tracing::warn!(run = %self.claimed.key.run, step = self.step, how = ?exit.how, "no process could be had; trying again");
                    tokio::select! {
                        () = tokio::time::sleep(*wait) => {}
                        _ = self.stop.changed() => {}
                    }
                }
                _ => return exit,
            }
        }
    }

    fn start(&self, inner: &Inner, places: &Places) -> Start {
        let directory = match &self.launch.working_directory {
            Some(relative) => places.workspace.join(relative),
            None => places.workspace.clone(),
        };
        Start {
            key: self.claimed.key,
            epoch: self.claimed.epoch,
            argv: self.launch.argv.iter().map(OsString::from).collect(),
            env: self.environment(inner, places),
            directory,
            timeout: self.launch.timeout,
            log: inner.logs.writer(self.claimed.key, self.claimed.epoch),
        }
    }

    /// The base, what the file declares, the run's inputs, and what is ours, each over the ones before.
    fn environment(&self, inner: &Inner, places: &Places) -> Vec<(OsString, OsString)> {
        let key = self.claimed.key;
        let run = key.run.to_string();
        let mut all: BTreeMap<OsString, OsString> = inner.base_env.iter().cloned().collect();
        all.extend(self.launch.env.iter().map(|(name, value)| (name.into(), value.into())));
        for (name, value) in &self.claimed.run.inputs {
            let text = match value {
                serde_json::Value::Null => continue,
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            all.insert(input_variable(name).into(), text.into());
        }
        let ours: [(&str, OsString); 10] = [
            ("STAUNCH_WORKSPACE", places.workspace.clone().into()),
            ("STAUNCH_TMP", places.temporary.clone().into()),
            ("STAUNCH_OUTPUT", places.output.clone().into()),
            ("STAUNCH_WORKFLOW", self.claimed.run.workflow.clone().into()),
            ("STAUNCH_STEP_ID", self.step.clone().into()),
            ("STAUNCH_ATTEMPT", key.attempt.to_string().into()),
            ("STAUNCH_LOSSES", self.claimed.losses.to_string().into()),
            ("STAUNCH_IDEMPOTENCY_KEY", format!("{run}/{}", self.step).into()),
            ("STAUNCH_RUN_ID", run.into()),
            ("STAUNCH_INSTANCE", inner.instance.clone().into()),
        ];
        all.extend(ours.map(|(name, value)| (name.into(), value)));
        all.into_iter().collect()
    }

    async fn finish(self, inner: &Arc<Inner>, places: Places, exit: Exit) -> Done {
        let collected = self.collect(inner, places).await;
        let built = fault_point!("result.build").map_err(|fault| fault.to_string());
        let (outputs, error) = match built.and(collected) {
            Ok(outputs) => (outputs, None),
            Err(error) => (BTreeMap::new(), Some(error)),
        };
        let mut outcome = self.outcome(&exit);
        if error.is_some() && outcome == Outcome::Succeeded {
            outcome = Outcome::Failed;
        }
        let mut result = runner::result_json(&exit, &outputs);
        if let (Some(error), Some(result)) = (error, result.as_object_mut()) {
            result.insert("error".to_owned(), error.into());
        }
        let log = exit.log.unwrap_or_else(|error| {
            tracing::warn!(run = %self.claimed.key.run, step = self.step, %error, "a log could not be kept whole");
            LogPlace::Nowhere
        });
        Done {
            stopped: exit.killed.is_some_and(|because| because != Outcome::TimedOut) || exit.how == How::KeeperLost,
            left_behind: !exit.left_behind.is_empty(),
            end: self.end(outcome, result, exit.duration, log),
            outputs,
            paid: exit.stdout.charge.into_iter().chain(exit.stderr.charge).collect(),
        }
    }

    /// What it wrote to `$STAUNCH_OUTPUT`; its temporary files are removed.
    async fn collect(&self, inner: &Arc<Inner>, places: Places) -> Result<BTreeMap<String, String>, String> {
        let nothing = places.are_clean();
        let bytes_max = inner.limits.output_file_bytes_max;
        let work = Arc::clone(&inner.work);
        let collect = move || {
            let outputs = if nothing { Ok(BTreeMap::new()) } else { runner::read_outputs(&places.output, bytes_max) };
            (outputs, work.give_back(&places))
        };
        // Where there is nothing to read or to remove, a thread that may block would cost more than the work.
        let (outputs, given) = if nothing {
            collect()
        } else {
            let failed = || "its outputs could not be read: see the server's log".to_owned();
            inner.tasks.blocking(collect).await.ok_or_else(failed)?
        };
        if let Err(error) = given {
            tracing::warn!(run = %self.claimed.key.run, step = self.step, %error, "temporary files could not be removed");
        }
        outputs.map_err(|fault| fault.to_string())
    }

    fn outcome(&self, exit: &Exit) -> Outcome {
        match (&exit.how, exit.killed) {
            (_, Some(because)) => because,
            (How::Code(0), None) if !exit.left_behind.is_empty() && self.left_behind == LeftBehind::Fail => {
                Outcome::Leaked
            }
            (How::Code(0), None) => Outcome::Succeeded,
            _ => Outcome::Failed,
        }
    }

    fn failed(self, message: &str) -> Done {
        let end = self.end(Outcome::Failed, no_result(message), Duration::ZERO, LogPlace::Nowhere);
        Done { end, outputs: BTreeMap::new(), paid: Paid::new(), stopped: false, left_behind: false }
    }

    fn end(&self, outcome: Outcome, result: serde_json::Value, duration: Duration, log: LogPlace) -> AttemptEnd {
        let Claimed { key, epoch, .. } = self.claimed;
        AttemptEnd { key, worker: self.worker, epoch, outcome, result, duration, log }
    }
}

/// The result of an attempt of which nothing ran.
pub(crate) fn no_result(why: &str) -> serde_json::Value {
    let how = How::NotStarted { message: why.to_owned(), errno: 0, transient: false };
    runner::result_json(&Exit::nothing(how, None), &BTreeMap::new())
}

async fn take(inner: &Arc<Inner>, run: RunId) -> Result<Places, String> {
    let work = Arc::clone(&inner.work);
    let taken =
        if work.has_home(run) { Some(work.take(run)) } else { inner.tasks.blocking(move || work.take(run)).await };
    match taken {
        Some(Ok(places)) => Ok(places),
        Some(Err(error)) => Err(format!("its workspace could not be made: {error}")),
        None => Err("its workspace could not be made: see the server's log".to_owned()),
    }
}

/// `STAUNCH_INPUT_` and the name in upper case, with `_` for what a shell's variable cannot hold.
fn input_variable(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("STAUNCH_INPUT_{}", name.chars().map(plain).collect::<String>())
}
