//! The load of one cycle: clients that submit, listen, hang up, cancel and ask, all at once.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::json;
use staunch_server::wire::{NewToken, RerunRequest, Scope, Secret, SubmitRequest, Which};

use super::workflows;
use crate::cli::Mix;
use crate::client::Client;
use crate::exit::Exit;
use crate::failure::Failure;

/// Clients at once.
const CLIENTS: usize = 8;
/// Events after which a client that watches hangs up: before the end of what it listens to.
const CUT_AFTER: usize = 4;
/// Events of a whole run of the load are fewer than this.
const WHOLE: usize = 10_000;

/// Whom the load asks, and as whom.
pub(super) struct Target<'a> {
    /// Makes a client with a connection of its own.
    pub(super) client: &'a (dyn Fn() -> Result<Client, Failure> + Sync),
    /// Who may log in, if anybody.
    pub(super) login: Option<(&'a str, &'a Secret)>,
}

/// Does all of the jobs, and so many requests besides.
///
/// # Errors
/// The first that could not be done; or somebody wants to stop.
pub(super) fn work(target: &Target<'_>, jobs: &[Mix], requests: u32, stop: &AtomicBool) -> Result<(), Failure> {
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
                    let worker = Worker { client, target };
                    worker.work(jobs, requests as usize, &next, stop).unwrap_or_else(&fail);
                }
                Err(failure) => fail(failure),
            });
        }
    });
    if let Some(failure) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(failure);
    }
    if stop.load(Ordering::Relaxed) { Err(Failure::new(Exit::Interrupted, "stopped")) } else { Ok(()) }
}

struct Worker<'a> {
    client: Client,
    target: &'a Target<'a>,
}

impl Worker<'_> {
    fn work(&self, jobs: &[Mix], requests: usize, next: &AtomicUsize, stop: &AtomicBool) -> Result<(), Failure> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= jobs.len() || stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            self.job(jobs[number], number)?;
            // A share after each job, so that requests and runs meet; all shares together are all requests.
            let share = requests * (number + 1) / jobs.len() - requests * number / jobs.len();
            for request in 0..share {
                if stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
                self.ask(request)?;
            }
        }
    }

    fn job(&self, job: Mix, number: usize) -> Result<(), Failure> {
        match job {
            Mix::Ok => self.submit(workflows::OK).map(drop),
            Mix::Fail => self.submit(workflows::FAIL).map(drop),
            Mix::Timeout => self.submit(workflows::TIMEOUT).map(drop),
            Mix::Big => self.submit(workflows::BIG).map(drop),
            Mix::Cancel => self.cancel(number),
            Mix::Disconnect => {
                let run = self.submit(workflows::TALK)?;
                self.client.listen(&run, &[workflows::TALK_STEP], CUT_AFTER).map(drop)
            }
            Mix::Rerun => self.rerun(),
            Mix::Bad => self.bad(),
            Mix::Login => self.login(),
            Mix::Token => self.token(),
            // Not done by a client.
            Mix::Restart => Ok(()),
        }
    }

    fn submit(&self, workflow: &str) -> Result<String, Failure> {
        let key = staunch_store::RunId::generate().to_string();
        self.client.submit(workflow, &SubmitRequest::default(), &key).map(|accepted| accepted.id)
    }

    /// While it waits for a slot, while it starts, or while it runs, as it comes.
    fn cancel(&self, number: usize) -> Result<(), Failure> {
        let run = self.submit(workflows::SLOW)?;
        if number % 2 == 1 {
            self.client.listen(&run, &[], 2)?;
        }
        self.client.cancel(&run, false)
    }

    fn rerun(&self) -> Result<(), Failure> {
        let run = self.submit(workflows::OK)?;
        if !self.client.listen(&run, &[], WHOLE)? {
            return Err(Failure::broken(format!("{run} goes on for too long")));
        }
        let key = staunch_store::RunId::generate().to_string();
        let again = RerunRequest { which: Some(Which::All), from: None };
        self.client.rerun(&run, &again, &key).map(drop)
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

    fn ask(&self, number: usize) -> Result<(), Failure> {
        match number % 3 {
            0 => self.client.workflows().map(drop),
            1 => self.client.runs(&[("limit", "2".to_owned())]).map(drop),
            _ => self.client.memory(false).map(drop),
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
