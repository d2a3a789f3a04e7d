//! A server of soak's own: this same program, on a temporary directory and a free port, configured so that cycles are short.

use std::fs::File;
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use staunch_server::wire::{NewToken, NewUser, Role, Scope, Secret};
use tempfile::TempDir;

use super::workflows;
use crate::cli::Leak;
use crate::client::Client;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::local::temporary;
use crate::serve::SOAKED;

/// Who asks.
pub(super) const USER: &str = "soak";

/// How long a start may take on a loaded machine, and a stop: the server itself waits 30 s for steps and kills what is left.
const START_MAX: Duration = Duration::from_secs(60);
const STOP_MAX: Duration = Duration::from_secs(90);
/// Between two looks at a process or a file.
const LOOK: Duration = Duration::from_millis(20);
/// What a server says that left nothing.
const CLEAN_CLOSE: &str = "closed: tasks 0, children 0, budgets 0";
/// Of what a server said that died, this much is shown, in bytes.
const TAIL_BYTES: usize = 2_000;

/// A server that runs, or is about to.
pub(super) struct Own {
    directory: TempDir,
    leaks: Vec<Leak>,
    password: Secret,
    token: Option<Secret>,
    child: Option<Child>,
    url: String,
    lives: u32,
}

impl Own {
    /// Starts one that keeps so many runs of each workflow, and leaks as it is told.
    ///
    /// # Errors
    /// It does not start.
    pub(super) fn start(kept_runs: u32, leaks: Vec<Leak>) -> Result<Self, Failure> {
        let directory = temporary("staunch-soak-")?;
        workflows::write(&directory.path().join("workflows"))?;
        let config = directory.path().join("staunch.toml");
        std::fs::write(&config, configuration(kept_runs)).map_err(|error| Failure::file("write", &config, &error))?;
        let password = random()?;
        let mut own = Self { directory, leaks, password, token: None, child: None, url: String::new(), lives: 0 };
        own.begin()?;
        own.token = Some(own.admit()?);
        Ok(own)
    }

    /// The password of [`USER`].
    pub(super) fn password(&self) -> &Secret {
        &self.password
    }

    /// A client with a connection of its own.
    pub(super) fn client(&self) -> Result<Client, Failure> {
        let client = Client::new(&self.url, false);
        match &self.token {
            Some(token) => client.with_token(token),
            None => Ok(client),
        }
    }

    /// Stops it, demands that nothing was left, and starts it again on what it kept.
    pub(super) fn restart(&mut self) -> Result<(), Failure> {
        self.stop()?;
        self.begin()
    }

    /// Stops it by SIGTERM.
    ///
    /// # Errors
    /// It has died, does not end, ends with a failure, or leaves anything.
    pub(super) fn stop(&mut self) -> Result<(), Failure> {
        if let Some(status) = self.wait(Duration::ZERO)? {
            return Err(self.died(status));
        }
        let Some(child) = &self.child else { return Ok(()) };
        // If it has ended meanwhile the wait below says how.
        kill_process(Pid::from_child(child), Signal::TERM).unwrap_or_default();
        let Some(status) = self.wait(STOP_MAX)? else {
            return Err(Failure::new(Exit::TimedOut, "the server did not stop when it was told to").hint(self.tail()));
        };
        match close(status, &self.said()) {
            Close::Clean => self.child = None,
            Close::Died => return Err(self.died(status)),
            Close::Unclean => {
                self.child = None;
                let message = format!("the server did not close cleanly ({status})");
                return Err(Failure::broken(message).hint(self.tail()));
            }
        }
        Ok(())
    }

    /// Why a request failed: what it says, or that the server is dead.
    pub(super) fn explain(&mut self, failure: Failure) -> Failure {
        if failure.exit == Exit::Interrupted {
            return failure;
        }
        match self.wait(LOOK * 10) {
            Ok(Some(status)) => self.died(status),
            _ => failure,
        }
    }

    fn died(&mut self, status: ExitStatus) -> Failure {
        self.child = None;
        let message = format!("the server died ({status}) in its life number {}", self.lives);
        Failure::new(Exit::Unreachable, message).hint(self.tail())
    }

    fn begin(&mut self) -> Result<(), Failure> {
        self.lives += 1;
        let log = self.log();
        let out = File::create(&log).map_err(|error| Failure::file("write", &log, &error))?;
        let err = out.try_clone().map_err(|error| Failure::file("write", &log, &error))?;
        let mut command = Command::new("/proc/self/exe");
        command.args(["serve", "--listen", "127.0.0.1:0", "--color", "never", "--log-level", "warn", "--data"]);
        command.arg(self.directory.path());
        command.arg("--config").arg(self.directory.path().join("staunch.toml"));
        command.args(self.leaks.iter().map(|leak| format!("--inject-leak={leak}")));
        // A Ctrl-C at the terminal is for soak, which stops it then.
        command.process_group(0);
        // Nothing of the caller's configuration or secrets, and so none in the steps.
        command.env_clear().env(SOAKED, "1");
        command
            .envs(["PATH", "HOME", "LANG", "TMPDIR"].iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn();
        self.child = Some(child.map_err(|error| Failure::broken(format!("cannot start a server: {error}")))?);
        let until = Instant::now() + START_MAX;
        loop {
            let said = self.said();
            // Not the last line alone: it may be half written.
            let listening = said.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            if let Some(url) = listening.filter_map(|line| line.trim_end().strip_prefix("listening on ")).next() {
                url.clone_into(&mut self.url);
                return Ok(());
            }
            if let Some(status) = self.wait(Duration::ZERO)? {
                self.child = None;
                return Err(self.not_started(&format!("the server did not start ({status})")));
            }
            if Instant::now() >= until {
                return Err(self.not_started("the server does not come to listen"));
            }
            thread::sleep(LOOK);
        }
    }

    fn not_started(&self, message: &str) -> Failure {
        Failure::new(Exit::Unreachable, message).hint(self.tail())
    }

    /// Makes the admin, and the token that all but logins use. From then on nobody else on this machine gets in.
    fn admit(&self) -> Result<Secret, Failure> {
        let open = self.client()?;
        let user = NewUser {
            name: USER.to_owned(),
            role: Role::Admin,
            password: self.password.clone(),
            current_password: None,
        };
        open.create_user(&user)?;
        let session = open.log_in(USER, &self.password)?;
        let new = NewToken {
            name: "soak".to_owned(),
            scope: Scope::Admin,
            expires_in_days: None,
            current_password: Some(self.password.clone()),
        };
        let made = session.create_token(&new)?;
        session.log_out()?;
        Ok(made.token)
    }

    /// Waits for its end at most so long.
    fn wait(&mut self, most: Duration) -> Result<Option<ExitStatus>, Failure> {
        let Some(child) = &mut self.child else { return Ok(None) };
        let until = Instant::now() + most;
        loop {
            let ended = child.try_wait().map_err(|error| Failure::broken(format!("cannot wait: {error}")))?;
            if ended.is_some() || Instant::now() >= until {
                return Ok(ended);
            }
            thread::sleep(LOOK);
        }
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join(format!("serve-{}.log", self.lives))
    }

    /// All that this life has said.
    fn said(&self) -> String {
        std::fs::read(self.log()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    fn tail(&self) -> String {
        let said = self.said();
        let from = said.char_indices().map(|(at, _)| at).find(|at| said.len() - at <= TAIL_BYTES).unwrap_or(0);
        format!("it said last:\n{}", said[from..].trim_end())
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // Only after something went wrong: whoever is through has stopped it.
        if self.child.is_some()
            && self.stop().is_err()
            && let Some(mut child) = self.child.take()
        {
            child.kill().unwrap_or_default();
            child.wait().map(drop).unwrap_or_default();
        }
    }
}

/// How a server that was told to stop has ended.
#[derive(Debug, PartialEq, Eq)]
enum Close {
    Clean,
    /// It left something, or failed at it.
    Unclean,
    /// A signal ended it, and so it did not close at all.
    Died,
}

fn close(status: ExitStatus, said: &str) -> Close {
    match (status.signal(), status.success() && said.lines().any(|line| line == CLEAN_CLOSE)) {
        (Some(_), _) => Close::Died,
        (None, true) => Close::Clean,
        (None, false) => Close::Unclean,
    }
}

/// Short histories, small logs, page caches that are full at once instead of after some ten thousand runs, and rates that do not stand
/// in the way of the load.
fn configuration(kept_runs: u32) -> String {
    format!(
        "[limits]\n\
         retention_runs = {kept_runs}\n\
         retention_sweep_seconds = 1\n\
         idempotency_seconds = 60\n\
         audit_rows_max = 5\n\
         log_bytes_max = 262144\n\
         store_writer_cache_kib = 128\n\
         store_reader_cache_kib = 64\n\
         disk_free_bytes_min = 0\n\
         drain_seconds = 5\n\
         [rate]\n\
         login = \"1000000/1m\"\n\
         account = \"1000000/1m\"\n\
         password = \"1000000/1m\"\n\
         api = \"1000000/1m\"\n\
         api_token = \"100000000/1m\"\n"
    )
}

/// A password that nobody can guess: while the server runs, whoever knows it may run commands as this user.
fn random() -> Result<Secret, Failure> {
    let mut bytes = [0_u8; 24];
    let read = File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes));
    read.map_err(|error| Failure::broken(format!("no randomness: {error}")))?;
    Ok(Secret::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_differ_and_are_long() {
        let (one, two) = (random().expect("random"), random().expect("random"));
        assert!(one != two && one.expose().len() == 48);
    }

    #[test]
    fn a_server_that_a_signal_ends_has_died_and_not_closed() {
        // As wait(2) has it: the signal in the low byte, else the code in the next.
        let (zero, one, killed, aborted) = (0, 1 << 8, 9, 6);
        let said = format!("listening on http://h\n{CLEAN_CLOSE}\n");
        for (raw, said, expected) in [
            (zero, &*said, Close::Clean),
            (zero, "listening on http://h\n", Close::Unclean),
            (zero, "closed: tasks 1, children 0, budgets 0\n", Close::Unclean),
            (one, &*said, Close::Unclean),
            (killed, "", Close::Died),
            (aborted, &*said, Close::Died),
        ] {
            assert_eq!(close(ExitStatus::from_raw(raw), said), expected, "{raw}: {said}");
        }
    }

    /// A server that runs this instead.
    fn own(script: &str) -> Own {
        let directory = temporary("staunch-soak-").expect("a directory");
        let child = Command::new("sh").args(["-c", script]).spawn().expect("a shell");
        let password = random().expect("random");
        Own { directory, leaks: Vec::new(), password, token: None, child: Some(child), url: String::new(), lives: 1 }
    }

    #[test]
    fn a_server_that_is_dead_before_it_is_stopped_is_unreachable() {
        for (script, how) in [("kill -9 $$", "signal: 9"), ("exit 1", "exit status: 1")] {
            let mut own = own(script);
            assert!(own.wait(START_MAX).expect("waited for").is_some());
            let failure = own.stop().expect_err("dead");
            assert!(failure.exit == Exit::Unreachable && failure.message.contains(how), "{failure}");
        }
    }

    #[test]
    fn a_server_that_does_not_start_is_unreachable() {
        // This very program is started, and here that is the tests, which do not know `--listen`.
        let failure = Own::start(1, Vec::new()).err().expect("no server");
        assert!(
            failure.exit == Exit::Unreachable && failure.message.starts_with("the server did not start"),
            "{failure}"
        );
    }
}
