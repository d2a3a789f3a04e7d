//! A step's result, as JSON.

use std::collections::BTreeMap;

use nix::sys::signal::Signal;
use serde_json::{Map, Value};

use super::exit::{Exit, How};

/// The result of a step: `exit_code`, `stdout`, `stderr`, `stdout_truncated`, `stderr_truncated`, `outputs`, `duration_ms`,
/// `max_rss_bytes`, `left_behind`; and, where they apply, `signal` (its name) and `error` (why it could not be started).
///
/// `exit_code` is null if there is none.
pub fn result_json(exit: &Exit, outputs: &BTreeMap<String, String>) -> Value {
    let mut result = Map::new();
    let mut put = |key: &str, value: Value| {
        result.insert(key.into(), value);
    };
    let code = match &exit.how {
        How::Code(code) => Some(*code),
        How::Signal(_) | How::NotStarted { .. } | How::KeeperLost => None,
    };
    put("exit_code", code.into());
    put("stdout", exit.stdout.text.as_str().into());
    put("stderr", exit.stderr.text.as_str().into());
    put("stdout_truncated", exit.stdout.truncated.into());
    put("stderr_truncated", exit.stderr.truncated.into());
    put("outputs", outputs.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect());
    put("duration_ms", u64::try_from(exit.duration.as_millis()).unwrap_or(u64::MAX).into());
    put("max_rss_bytes", exit.max_rss_bytes.into());
    put("left_behind", exit.left_behind.iter().map(String::as_str).collect());
    match &exit.how {
        How::Code(_) => {}
        How::Signal(number) => put("signal", signal_name(*number).into()),
        How::NotStarted { message, .. } => put("error", message.as_str().into()),
        How::KeeperLost => {
            put("error", "the process that watched over the step was killed, and the step with it".into());
        }
    }
    Value::Object(result)
}

/// Such as `SIGTERM`; real-time signals by their number.
fn signal_name(number: i32) -> String {
    Signal::try_from(number).map_or_else(|_| format!("SIG{number}"), |signal| signal.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use staunch_store::LogPlace;

    use super::*;
    use crate::runner::Captured;

    const KEYS: [&str; 9] = [
        "exit_code",
        "stdout",
        "stderr",
        "stdout_truncated",
        "stderr_truncated",
        "outputs",
        "duration_ms",
        "max_rss_bytes",
        "left_behind",
    ];

    fn exit(how: How) -> Exit {
        let text = |text: &str| Captured { text: text.into(), bytes_total: text.len() as u64, ..Captured::default() };
        Exit {
            stdout: text("out\n"),
            stderr: text("err\n"),
            left_behind: vec!["sleep (7)".into()],
            max_rss_bytes: 4_096,
            duration: std::time::Duration::from_millis(1_500),
            log: Ok(LogPlace::Nowhere),
            ..Exit::nothing(how, None)
        }
    }

    #[test]
    fn ground_g5_the_result_is_json_with_stdout_and_stderr() {
        let outputs = BTreeMap::from([("size".to_owned(), "3".to_owned())]);
        let result = result_json(&exit(How::Code(3)), &outputs);
        let keys: Vec<&str> = result.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, KEYS);
        assert_eq!(
            result.to_string(),
            r#"{"exit_code":3,"stdout":"out\n","stderr":"err\n","stdout_truncated":false,"stderr_truncated":false,"outputs":{"size":"3"},"duration_ms":1500,"max_rss_bytes":4096,"left_behind":["sleep (7)"]}"#
        );
    }

    #[test]
    fn a_signal_and_a_failure_to_start_are_told() {
        let none = BTreeMap::new();
        let result = result_json(&exit(How::Signal(9)), &none);
        assert_eq!((&result["exit_code"], &result["signal"]), (&Value::Null, &Value::from("SIGKILL")));
        assert_eq!(result_json(&exit(How::Signal(35)), &none)["signal"], "SIG35");
        let result = result_json(&exit(How::not_started("`x`: gone".into(), libc::ENOENT)), &none);
        assert_eq!((&result["exit_code"], &result["error"]), (&Value::Null, &Value::from("`x`: gone")));
        assert!(result_json(&exit(How::KeeperLost), &none)["error"].is_string());
    }
}
