//! A `staunch serve` of our own: started, asked, measured, stopped.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::client::Client;
use super::start::{Bench, wait_until, write};

/// A server that runs; killed with its steps when dropped.
pub(super) struct Server {
    child: Child,
    address: SocketAddr,
    /// From its start to its first 2xx at `/readyz`.
    pub(super) ready_after: Duration,
}

impl Server {
    /// Starts a server on a data directory below the scratch, with these workflows (name, text) and this `[limits]` table.
    pub(super) fn start(bench: &Bench, name: &str, workflows: &[(&str, String)], limits: &str) -> Result<Self> {
        let place = bench.scratch.join(name);
        for (workflow, text) in workflows {
            write(&place.join("workflows").join(format!("{workflow}.yaml")), text)?;
        }
        let config = place.join("staunch.toml");
        write(&config, &format!("[limits]\n{limits}"))?;
        let address = free_address()?;
        let log = std::fs::File::create(place.join("serve.log"))?;
        let mut command = Command::new(&bench.staunch);
        command.arg("serve").arg("--config").arg(&config).arg("--data").arg(place.join("data"));
        command.arg("--workflows").arg(place.join("workflows")).arg("--listen").arg(address.to_string());
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);

        let begun = Instant::now();
        let child = command.spawn().context("cannot start the server")?;
        let mut server = Self { child, address, ready_after: Duration::ZERO };
        let ready = wait_until("the server", Duration::from_millis(1), Duration::from_secs(120), || {
            if let Some(status) = server.child.try_wait()? {
                let said = std::fs::read_to_string(place.join("serve.log")).unwrap_or_default();
                anyhow::bail!("the server ended ({status}):\n{said}");
            }
            let answer = Client::connect(address).and_then(|mut client| client.get("/readyz"));
            Ok(answer.is_ok_and(|answer| answer.status == 200))
        });
        server.ready_after = begun.elapsed();
        ready.map(|()| server)
    }

    /// A new connection.
    pub(super) fn client(&self) -> Result<Client> {
        Client::connect(self.address)
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// TERM, then waits for its clean end.
    pub(super) fn stop(mut self) -> Result<()> {
        let mut kill = Command::new("kill");
        kill.args(["-TERM", &self.child.id().to_string()]);
        ensure!(kill.status()?.success(), "cannot send TERM");
        let mut status = None;
        wait_until("the server's end", Duration::from_millis(5), Duration::from_secs(90), || {
            status = self.child.try_wait()?;
            Ok(status.is_some())
        })?;
        ensure!(status.is_some_and(|status| status.success()), "the server did not close cleanly: {status:?}");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail if it has ended already, and then there is nothing to do.
        if self.child.kill().is_ok() {
            self.child.wait().ok();
        }
    }
}

fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
    Ok(listener.local_addr()?)
}

/// Submits a run of `workflow` and returns its id.
pub(super) fn submit(client: &mut Client, workflow: &str) -> Result<String> {
    let answer = client.post(&format!("/api/v1/workflows/{workflow}/runs"), r#"{"inputs":{}}"#)?;
    let json = answer.json()?;
    let id = json["id"].as_str().or(json["run"].as_str());
    Ok(id.with_context(|| format!("no run id in {json}"))?.to_owned())
}

/// A run as the API shows it, once it is over.
pub(super) fn ended(client: &mut Client, run: &str) -> Result<Value> {
    let mut shown = Value::Null;
    wait_until("a run's end", Duration::from_millis(2), Duration::from_secs(120), || {
        shown = client.get(&format!("/api/v1/runs/{run}"))?.json()?;
        Ok(shown["state"] == "ended")
    })?;
    Ok(shown)
}

/// The sum of the samples of a metric whose labels contain `label` (such as `outcome="succeeded"`).
pub(super) fn metric(client: &mut Client, name: &str, label: &str) -> Result<f64> {
    Ok(sum_of(&client.get("/metrics")?.body, name, label))
}

/// The same, of a page of metrics.
pub(super) fn sum_of(page: &str, name: &str, label: &str) -> f64 {
    let samples = page.lines().filter_map(|line| {
        let (labels, value) = line.strip_prefix(name)?.rsplit_once(' ')?;
        // `name` may be the beginning of a longer name.
        let whole = labels.is_empty() || labels.starts_with('{');
        if whole && labels.contains(label) { value.parse::<f64>().ok() } else { None }
    });
    samples.sum()
}

/// A directory's bytes, all files below it.
pub(super) fn directory_bytes(directory: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(directory) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(about) if about.is_dir() => directory_bytes(&entry.path()),
            Ok(about) => about.len(),
            Err(_) => 0,
        })
        .sum()
}
