//! What `staunch soak` has a server of its own lose on purpose, to see that it is found. Nobody else can ask for it.

use std::fs::File;
use std::hint::black_box;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Signal, set_parent_process_death_signal};
use staunch_engine::{Engine, Kind};
use staunch_store::{Accounts, Actor, NewUser, PasswordHash, Role, UserCreated};

use crate::cli::{Leak, LeakKind};
use crate::failure::Failure;

/// The variable that soak sets in its server.
pub(crate) const SOAKED: &str = "STAUNCH_SOAK";

/// Between two looks at how many runs have ended.
const LOOK: Duration = Duration::from_millis(20);

/// Threads without work leave a soaked server after this instead of 10 s: each cycle waits until they are gone.
pub(super) const THREADS_LEAVE: Duration = Duration::from_millis(200);

/// Whether soak started this process.
pub(super) fn is_soaked() -> bool {
    std::env::var_os(SOAKED).is_some()
}

/// Refuses leaks to whoever is not soak. A server of soak's goes when soak does, however that ends.
///
/// # Errors
/// Somebody else wants leaks.
pub(super) fn check(leaks: &[Leak]) -> Result<(), Failure> {
    if is_soaked() {
        return set_parent_process_death_signal(Some(Signal::TERM))
            .map_err(|error| Failure::broken(format!("cannot ask to be told of soak's end: {error}")));
    }
    if leaks.is_empty() {
        return Ok(());
    }
    Err(Failure::usage("--inject-leak is for the server that `staunch soak` starts")
        .hint("staunch soak --inject-leak fd=1/100"))
}

/// Begins to leak with every run that ends. What can be taken back is taken back when the engine closes, so that the count at the end
/// still tells of everything else.
pub(super) fn begin(leaks: &[Leak], engine: &Engine, accounts: &Arc<dyn Accounts>) {
    if leaks.is_empty() {
        return;
    }
    let mut leaking = Leaking {
        leaks: leaks.iter().map(|leak| (*leak, 0)).collect(),
        engine: engine.clone(),
        accounts: Arc::clone(accounts),
        work: engine.work_directory().to_owned(),
        files: Vec::new(),
        children: Vec::new(),
        made: 0,
    };
    let token = engine.tasks().token().clone();
    engine.tasks().spawn(Kind::Upkeep, async move {
        loop {
            tokio::select! {
                () = token.cancelled() => return,
                () = tokio::time::sleep(LOOK) => leaking.look().await,
            }
        }
    });
}

struct Leaking {
    /// Each with how much is gone already.
    leaks: Vec<(Leak, u64)>,
    engine: Engine,
    accounts: Arc<dyn Accounts>,
    work: PathBuf,
    files: Vec<File>,
    children: Vec<Child>,
    made: u64,
}

impl Leaking {
    async fn look(&mut self) {
        let ended: u64 = self.engine.stats().runs_ended_total.values().sum();
        for at in 0..self.leaks.len() {
            let (leak, gone) = self.leaks[at];
            let due = leak.after(ended);
            self.lose(leak.kind, due - gone).await;
            self.leaks[at].1 = due;
        }
    }

    async fn lose(&mut self, kind: LeakKind, amount: u64) {
        if kind == LeakKind::Memory {
            lose_bytes(amount);
            return;
        }
        for _ in 0..amount {
            self.made += 1;
            let lost = match kind {
                LeakKind::Memory => Ok(()),
                LeakKind::Fd => File::open("/dev/null").map(|file| self.files.push(file)),
                LeakKind::Child => sleeper().map(|child| self.children.push(child)),
                LeakKind::File => File::create(self.work.join(format!("leak-{}", self.made))).map(drop),
                LeakKind::Task => {
                    let token = self.engine.tasks().token().clone();
                    self.engine.tasks().spawn(Kind::Upkeep, async move { token.cancelled().await });
                    Ok(())
                }
                LeakKind::Row => self.row().await,
            };
            if let Err(error) = lost {
                // Soak will not find what is not there, and that is a failure.
                tracing::error!("cannot leak a {kind:?}: {error}");
            }
        }
    }

    async fn row(&self) -> std::io::Result<()> {
        let name = format!("leak-{}-{}", std::process::id(), self.made);
        // No password has this hash, so nobody is ever let in by it.
        let user = NewUser { name, role: Role::Viewer, password: PasswordHash::new("-") };
        match self.accounts.create_user(user, Actor::server()).await {
            Ok(UserCreated::Created(_)) => Ok(()),
            other => Err(std::io::Error::other(format!("{other:?}"))),
        }
    }
}

impl Drop for Leaking {
    fn drop(&mut self) {
        for child in &mut self.children {
            // They sleep and hold nothing; one that is gone already is as good.
            child.kill().unwrap_or_default();
            child.wait().map(drop).unwrap_or_default();
        }
    }
}

/// Bytes that nobody wants any more, and those lost before them.
struct Lost {
    _bytes: Box<[u8]>,
    _previous: Option<Box<Self>>,
}

/// All that was lost, never freed. It can still be reached: live bytes count it all the same, and a server that leaks on purpose closes
/// cleanly under a leak sanitizer too, which ends a process that lost a block for good by a code of its own.
static LOST: Mutex<Option<Box<Lost>>> = Mutex::new(None);

/// Takes memory and never gives it back.
fn lose_bytes(bytes: u64) {
    if bytes == 0 {
        return;
    }
    // A lock, since engines may share a process; held for two moves of a pointer.
    let mut lost = LOST.lock().unwrap_or_else(PoisonError::into_inner);
    let previous = lost.take();
    // Nobody reads it, and the compiler must not conclude from that that it need not be.
    *lost =
        Some(black_box(Box::new(Lost { _bytes: vec![1_u8; bytes as usize].into_boxed_slice(), _previous: previous })));
}

fn sleeper() -> std::io::Result<Child> {
    let mut sleep = Command::new("sleep");
    sleep.arg("3600").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_soak_may_have_leaks() {
        let leak = "fd=1/10".parse().expect("a leak");
        assert!(check(&[]).is_ok());
        let refused = check(&[leak]).expect_err("refused");
        assert!(refused.message.contains("staunch soak"), "{refused}");
    }
}
