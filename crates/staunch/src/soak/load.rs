//! The load of one cycle: clients that submit, listen, hang up, cancel and ask, all at once.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::json;
use staunch_server::wire::{NewToken, RerunRequest, Scope, Secret, SubmitRequest, Which};

use super::mix::Outcomes;
use super::workflows;
use crate::cli::Mix;
use crate::client::Client;
use crate::exit::Exit;
use crate::failure::Failure;

/// Clients at once.
const CLIENTS: usize = 8;
/// Events after which a client that watches hangs up: before the end of what it listens to.
const CUT_AFTER: usize = 4;
/// A run that is to be run again is made anew so often, if retention takes it.
const RERUN_TRIES: u32 = 20;
/// Events of a whole run of the load are fewer than this.
const WHOLE: usize = 10_000;

/// Whom the load asks, and as whom.
pub(super) struct Target<'a> {
    /// Makes a client with a connection of its own.
    pub(super) client: &'a (dyn Fn() -> Result<Client, Failure> + Sync),
    /// Who may log in, if anybody.
    pub(super) login: Option<(&'a str, &'a Secret)>,
}

/// Reads that a server gets at once when its life begins, and how many clients ask for them.
const STORM_READS: usize = 25;
const STORM_CLIENTS: usize = 24;

/// Asks for more at once than any cycle does, so that threads which start when they are first needed have started.
///
/// # Errors
/// A request that fails.
pub(super) fn storm(target: &Target<'_>) -> Result<(), Failure> {
    let ask = || {
        let client = (target.client)()?;
        (0..STORM_READS).try_for_each(|_| client.runs(&[("limit", "2".to_owned())]).map(drop))
    };
    thread::scope(|scope| {
        let asking: Vec<_> = (0..STORM_CLIENTS).map(|_| scope.spawn(ask)).collect();
        let mut joined = asking.into_iter().map(|asks| asks.join());
        joined.try_for_each(|asked| asked.unwrap_or_else(|_| Err(Failure::broken("a client panicked"))))
    })
}

/// Does all of the jobs, and so many requests besides. How many runs that makes, by how they are to end.
///
/// # Errors
/// The first that could not be done; or somebody wants to stop.
pub(super) fn work(target: &Target<'_>, jobs: &[Mix], requests: u32, stop: &AtomicBool) -> Result<Outcomes, Failure> {
    let made = Mutex::new(Outcomes::new());
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(None);
    let fail = |failure: Failure| {
        // The first says why; those that follow from it do not.
        failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
        next.store(jobs.len(), Ordering::Relaxed);
    };
    thread::scope(|scope| {
        for _ in 0..CLIENTS.min(jobs.len()) {
            scope.spawn(|| match (target.client)() {
                Ok(client) => {
                    let worker = Worker { client, target, made: &made, stop };
                    worker.work(jobs, requests as usize, &next).unwrap_or_else(&fail);
                }
                Err(failure) => fail(failure),
            });
        }
    });
    if let Some(failure) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(failure);
    }
    if stop.load(Ordering::Relaxed) {
        return Err(Failure::new(Exit::Interrupted, "stopped"));
    }
    Ok(made.into_inner().unwrap_or_else(PoisonError::into_inner))
}

struct Worker<'a> {
    client: Client,
    target: &'a Target<'a>,
    made: &'a Mutex<Outcomes>,
    /// Set once somebody wants to stop.
    stop: &'a AtomicBool,
}

impl Worker<'_> {
    fn work(&self, jobs: &[Mix], requests: usize, next: &AtomicUsize) -> Result<(), Failure> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= jobs.len() || self.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            self.job(jobs[number], number)?;
            // A share after each job, so that requests and runs meet; all shares together are all requests.
            for request in requests * number / jobs.len()..requests * (number + 1) / jobs.len() {
                if self.stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
                self.ask(request)?;
            }
        }
    }

    fn job(&self, job: Mix, number: usize) -> Result<(), Failure> {
        match job {
            Mix::Small => self.submit(workflows::SMALL, "succeeded").map(drop),
            Mix::Ok => self.submit(workflows::OK, "succeeded").map(drop),
            Mix::Fail => self.submit(workflows::FAIL, "failed").map(drop),
            Mix::Kill => self.submit(workflows::KILL, "failed").map(drop),
            Mix::Timeout => self.submit(workflows::TIMEOUT, "timed_out").map(drop),
            Mix::Big => self.submit(workflows::BIG, "succeeded").map(drop),
            Mix::Cancel => self.cancel(number),
            Mix::Disconnect => {
                let run = self.submit(workflows::TALK, "succeeded")?;
                self.listen(&run, &[workflows::TALK_STEP], CUT_AFTER).map(drop)
            }
            Mix::Rerun => self.rerun(),
            Mix::Bad => self.bad(),
            Mix::Login => self.login(),
            Mix::Token => self.token(),
            // Not done by a client.
            Mix::Restart => Ok(()),
        }
    }

    /// A run that is to end so.
    fn submit(&self, workflow: &str, outcome: &'static str) -> Result<String, Failure> {
        let key = staunch_store::RunId::generate().to_string();
        let accepted = self.client.submit(workflow, &SubmitRequest::default(), &key)?;
        self.count(outcome);
        Ok(accepted.id)
    }

    fn count(&self, outcome: &'static str) {
        *self.made.lock().unwrap_or_else(PoisonError::into_inner).entry(outcome).or_default() += 1;
    }

    /// Whether the run is over. One that retention has removed meanwhile is.
    fn listen(&self, run: &str, steps: &[&str], most: usize) -> Result<bool, Failure> {
        match self.client.listen(run, steps, most, self.stop) {
            Err(failure) if failure.exit == Exit::NotFound => Ok(true),
            heard => heard,
        }
    }

    /// While it waits for a slot, while it starts, or while it runs, as it comes.
    fn cancel(&self, number: usize) -> Result<(), Failure> {
        let run = self.submit(workflows::SLOW, "cancelled")?;
        if number % 2 == 1 {
            self.listen(&run, &[], 2)?;
        }
        self.client.cancel(&run, false)
    }

    fn rerun(&self) -> Result<(), Failure> {
        let again = RerunRequest { which: Some(Which::All), from: None };
        for _ in 0..RERUN_TRIES {
            let run = self.submit(workflows::OK, "succeeded")?;
            if !self.listen(&run, &[], WHOLE)? {
                return Err(Failure::broken(format!("{run} goes on for too long")));
            }
            let key = staunch_store::RunId::generate().to_string();
            match self.client.rerun(&run, &again, &key) {
                // So few are kept that others may have pushed it out between the two requests.
                Err(failure) if failure.exit == Exit::NotFound => {}
                Err(failure) => return Err(failure),
                Ok(_) => {
                    self.count("succeeded");
                    return Ok(());
                }
            }
        }
        Err(Failure::broken("no run that had ended could be run again: retention had removed each"))
    }

    /// Each is refused, and by the answer that is due.
    fn bad(&self) -> Result<(), Failure> {
        let key = || staunch_store::RunId::generate().to_string();
        let nowhere = self.client.submit("soak-no-such-workflow", &SubmitRequest::default(), &key());
        refused(nowhere.err(), Exit::NotFound)?;
        let inputs = [("number".to_owned(), json!("seven")), ("unknown".to_owned(), json!(1))].into();
        let wrong = self.client.submit(workflows::OK, &SubmitRequest { inputs }, &key());
        refused(wrong.err(), Exit::Usage)?;
        refused(self.client.run(&key()).err(), Exit::NotFound)?;
        refused(self.client.runs(&[("limit", "0".to_owned())]).err(), Exit::Usage)
    }

    fn login(&self) -> Result<(), Failure> {
        let Some((name, password)) = self.target.login else { return Ok(()) };
        self.client.log_in(name, password)?.log_out()
    }

    fn token(&self) -> Result<(), Failure> {
        let new = NewToken { name: "soak".to_owned(), scope: Scope::Read, ..NewToken::default() };
        let made = self.client.create_token(&new)?;
        let reader = self.client.clone().with_token(&made.token)?;
        reader.workflows()?;
        self.client.revoke_token(None, &made.id)?;
        refused(reader.workflows().err(), Exit::NotAllowed)
    }

    /// One read of many kinds, the dear ones seldom.
    fn ask(&self, number: usize) -> Result<(), Failure> {
        match number % 16 {
            0 => self.client.memory(false).map(drop),
            4 => self.client.metrics().map(drop),
            8 => self.client.ready().map(drop),
            odd if odd % 2 == 1 => self.client.workflows().map(drop),
            _ => self.client.runs(&[("limit", "2".to_owned())]).map(drop),
        }
    }
}

/// That it was refused by the answer that is due.
fn refused(failure: Option<Failure>, exit: Exit) -> Result<(), Failure> {
    match failure {
        Some(failure) if failure.exit == exit => Ok(()),
        Some(failure) => Err(failure),
        None => Err(Failure::broken("the server took what it should have refused")),
    }
}
