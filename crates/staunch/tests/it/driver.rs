//! A real browser, driven over WebDriver: chromium in a profile of its own, which is gone at the end with all its processes.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Nothing here takes longer, on any machine that builds this.
const LONG: Duration = Duration::from_secs(60);
/// The key under which WebDriver names an element (W3C WebDriver, section 12).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser.
pub(crate) struct Browser {
    driver: Child,
    session: String,
    profile: TempDir,
}

impl Browser {
    /// Starts one that can reach this machine only, with the console's log kept.
    pub(crate) fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut driver = Command::new("chromedriver")
            .args(["--port=0", "--allowed-ips=127.0.0.1"])
            .env("HOME", profile.path())
            .env("TMPDIR", profile.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromium-driver is installed");
        let port = port(&mut driver);
        let mut browser = Self { driver, session: format!("http://127.0.0.1:{port}/session"), profile };
        let mut arguments: Vec<String> = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--no-proxy-server",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
        ]
        .map(str::to_owned)
        .into();
        arguments.push(format!("--user-data-dir={}", browser.profile.path().join("profile").display()));
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let answer = send("POST", &browser.session, &capabilities).expect("chromium starts");
        browser.session = format!("{}/{}", browser.session, answer["sessionId"].as_str().unwrap());
        browser
    }

    /// Goes to an address, and waits until the page is whole.
    pub(crate) fn open(&self, url: &str) {
        self.post("/url", &json!({ "url": url }));
    }

    /// The address in the address bar.
    pub(crate) fn url(&self) -> String {
        self.get("/url").as_str().unwrap().to_owned()
    }

    pub(crate) fn back(&self) {
        self.post("/back", &json!({}));
    }

    /// The page's text, as it is seen.
    pub(crate) fn text(&self) -> String {
        self.run("return document.body ? document.body.innerText : ''").as_str().unwrap_or_default().to_owned()
    }

    /// The status that the page came with.
    pub(crate) fn status(&self) -> u64 {
        self.run("return performance.getEntriesByType('navigation')[0].responseStatus").as_u64().unwrap()
    }

    /// What a script in the page returns.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({"script": script, "args": []}))
    }

    /// Types into the first element that the selector fits, after clearing it.
    #[track_caller]
    pub(crate) fn fill(&self, selector: &str, text: &str) {
        let element = self.find(selector);
        self.post(&format!("/element/{element}/clear"), &json!({}));
        self.post(&format!("/element/{element}/value"), &json!({ "text": text }));
    }

    #[track_caller]
    pub(crate) fn click(&self, selector: &str) {
        let element = self.find(selector);
        self.post(&format!("/element/{element}/click"), &json!({}));
    }

    /// Clicks what sends a form, and waits for the page that comes of it.
    #[track_caller]
    pub(crate) fn submit(&self, selector: &str) {
        self.run("window.before = true");
        self.click(selector);
        self.until("a new page came", |browser| {
            browser.run("return !window.before && document.readyState === 'complete'") == json!(true)
        });
    }

    /// Waits until something is so.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, so: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + LONG;
        while !so(self) {
            assert!(Instant::now() < deadline, "{what}: it did not come to be so at {}\n{}", self.url(), self.text());
            thread::yield_now();
        }
    }

    /// A new tab, which is looked at from then on; its handle.
    pub(crate) fn tab(&self) -> String {
        let handle = self.post("/window/new", &json!({"type": "tab"}))["handle"].as_str().unwrap().to_owned();
        self.look_at(&handle);
        handle
    }

    /// Looks at a tab.
    pub(crate) fn look_at(&self, tab: &str) {
        self.post("/window", &json!({ "handle": tab }));
    }

    /// Looks into the first frame of the page.
    pub(crate) fn enter_frame(&self) {
        self.post("/frame", &json!({"id": 0}));
    }

    /// The cookies that belong to the page, `HttpOnly` ones too.
    pub(crate) fn cookies(&self) -> Vec<Value> {
        self.get("/cookie").as_array().unwrap().clone()
    }

    /// What the console said since it was last asked.
    pub(crate) fn console(&self) -> Vec<String> {
        let lines = self.post("/se/log", &json!({"type": "browser"}));
        lines.as_array().unwrap().iter().map(|line| line["message"].as_str().unwrap().to_owned()).collect()
    }

    /// Looks through a window of this size, in this theme, without anything that moves.
    pub(crate) fn screen(&self, width: u32, height: u32, theme: &str) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.inspect("Emulation.setDeviceMetricsOverride", &metrics);
        let features = json!({"features": [
            {"name": "prefers-color-scheme", "value": theme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]});
        self.inspect("Emulation.setEmulatedMedia", &features);
        self.until("the window has its size", |browser| browser.run("return window.innerWidth") == json!(width));
    }

    /// A picture of the page, as PNG in base64.
    pub(crate) fn picture(&self) -> String {
        let shot = self.inspect("Page.captureScreenshot", &json!({"captureBeyondViewport": true}));
        shot["data"].as_str().unwrap().to_owned()
    }

    /// Ends it, and demands that nothing of it is left.
    pub(crate) fn end(mut self) {
        send("DELETE", &self.session, &Value::Null).unwrap();
        self.clear_away();
        let profile = self.profile.path().to_owned();
        drop(self);
        assert!(!profile.exists(), "the browser's directory is gone");
    }

    /// No process of it is left when this returns.
    fn clear_away(&mut self) {
        let _killed = self.driver.kill();
        let _reaped = self.driver.wait();
        let profile = self.profile.path().display().to_string();
        let deadline = Instant::now() + LONG;
        loop {
            let left = processes(&profile);
            for pid in &left {
                let _gone = kill_process(*pid, Signal::KILL);
            }
            if left.is_empty() || Instant::now() > deadline {
                return;
            }
            thread::yield_now();
        }
    }

    fn inspect(&self, command: &str, parameters: &Value) -> Value {
        self.post("/goog/cdp/execute", &json!({"cmd": command, "params": parameters}))
    }

    #[track_caller]
    fn find(&self, selector: &str) -> String {
        let found = json!({"using": "css selector", "value": selector});
        let found = send("POST", &format!("{}/element", self.session), &found);
        let found = found.unwrap_or_else(|error| panic!("{selector}: {error} at {}\n{}", self.url(), self.text()));
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    #[track_caller]
    fn get(&self, path: &str) -> Value {
        send("GET", &format!("{}{path}", self.session), &Value::Null).unwrap()
    }

    #[track_caller]
    fn post(&self, path: &str, body: &Value) -> Value {
        send("POST", &format!("{}{path}", self.session), body).unwrap()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.clear_away();
    }
}

/// One command of WebDriver: its value, or what is wrong.
fn send(method: &str, url: &str, body: &Value) -> Result<Value, String> {
    let agent = ureq::Agent::new_with_config(
        ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(LONG)).proxy(None).build(),
    );
    let answer = match method {
        "GET" => agent.get(url).call(),
        "DELETE" => agent.delete(url).call(),
        _ => agent.post(url).send_json(body),
    };
    let mut answer = answer.map_err(|error| format!("{url}: {error}"))?;
    let value: Value =
        answer.body_mut().with_config().limit(64 << 20).read_json().map_err(|error| error.to_string())?;
    if answer.status() == 200 { Ok(value["value"].clone()) } else { Err(value["value"].to_string()) }
}

/// The port that the driver says it listens at.
fn port(driver: &mut Child) -> u16 {
    let (tell, told) = sync_channel(1);
    let mut out = BufReader::new(driver.stdout.take().unwrap());
    thread::spawn(move || {
        let mut line = String::new();
        while out.read_line(&mut line).is_ok_and(|read| read > 0) {
            let port = line
                .split("successfully on port ")
                .nth(1)
                .and_then(|rest| rest.trim_end_matches(['.', '\n']).parse().ok());
            if let Some(port) = port {
                // Later lines are read and dropped, so that the driver never waits for a reader.
                let _heard: Result<(), _> = tell.try_send(port);
            }
            line.clear();
        }
    });
    told.recv_timeout(LONG).expect("chromedriver says its port")
}

/// Processes that name this directory, zombies not: the browser and what it started.
fn processes(directory: &str) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let ours = pids.filter(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(directory)
    });
    ours.filter_map(Pid::from_raw).collect()
}
