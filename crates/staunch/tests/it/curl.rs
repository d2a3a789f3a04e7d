//! `curl`, as somebody who is not of ours asks a server.

use std::process::Command;

use serde_json::Value;

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// One request; `arguments` are curl's own.
pub(crate) fn curl(arguments: &[&str]) -> Answer {
    // -q: nobody's .curlrc. A status of 4xx is an answer like any other.
    let done = Command::new("curl")
        .args(["-q", "-s", "-S", "-i", "--noproxy", "*", "-m", "30"])
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "curl {arguments:?}: {text}\n{}", String::from_utf8_lossy(&done.stderr));
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

/// Sends a JSON document.
pub(crate) fn post(url: &str, body: &Value, more: &[&str]) -> Answer {
    let body = body.to_string();
    curl(&[&["-X", "POST", "-H", "content-type: application/json", "-d", &body, url], more].concat())
}

impl Answer {
    /// The status, and everything else where it is another one.
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}\n{}", self.head, self.body);
        self
    }

    /// The body.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The code of a problem.
    #[track_caller]
    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The values of a header.
    pub(crate) fn headers(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }
}
