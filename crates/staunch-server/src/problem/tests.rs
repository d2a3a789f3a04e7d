//! Problems: their rendering, the conversions, and the manual's table.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use http_body_util::BodyExt;
use serde_json::{Value, json};
use staunch_engine::{CancelError, SubmitError};
use staunch_flow::{Diagnostic, InputError, RunOutcome, Severity, Span};
use staunch_store::{RunId, StoreError};

use std::time::Duration;

use super::{Code, Refusal};

async fn rendered(refusal: impl Into<Refusal>) -> (Value, Option<String>) {
    let response = refusal.into().render("id-1", "/api/v1/x");
    let (head, body) = response.into_parts();
    assert_eq!(head.headers["content-type"], "application/problem+json");
    let body: Value = serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!(body["status"], head.status.as_u16());
    (body, head.headers.get("retry-after").map(|value| value.to_str().unwrap().to_owned()))
}

#[test]
fn words_are_stable_in_form_and_unique() {
    let words: BTreeSet<_> = Code::ALL.iter().map(|code| code.word()).collect();
    assert_eq!(words.len(), Code::ALL.len());
    for code in Code::ALL {
        assert!(code.word().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{code:?}");
        assert_eq!(Code::of(code.word()), Some(*code));
        assert!(code.status().is_client_error() || code.status().is_server_error());
    }
    assert_eq!(Code::of("nothing"), None);
}

#[tokio::test]
async fn each_503_says_when_to_ask_again() {
    for code in Code::ALL {
        let (body, again) = rendered(Refusal::new(*code)).await;
        assert_eq!(again.is_some(), body["status"] == 503, "{code:?}");
    }
}

#[tokio::test]
async fn refusals_of_a_submission_say_what_to_do() {
    let run = RunId::generate();
    let (body, _) =
        rendered(SubmitError::UnknownWorkflow { name: "bakup".into(), nearest: Some("backup".into()) }).await;
    assert_eq!(
        body,
        json!({"type": "/problems/unknown_workflow", "title": "there is no such workflow", "status": 404,
               "detail": "there is no workflow \"bakup\", did you mean \"backup\"?", "instance": "/api/v1/x",
               "code": "unknown_workflow", "request_id": "id-1"})
    );
    let inputs = SubmitError::Inputs(vec![InputError { input: "a/b".into(), message: "is no number".into() }]);
    let (body, _) = rendered(inputs).await;
    assert_eq!(
        (&body["code"], &body["errors"]),
        (&json!("invalid_inputs"), &json!([{"pointer": "/inputs/a~1b", "message": "is no number"}]))
    );
    let diagnostic = |severity| Diagnostic {
        code: "cycle",
        severity,
        span: Span { start: 0, end: 1, line: 3, column: 5 },
        message: "a cycle".into(),
        help: Some("cut it".into()),
    };
    let (body, _) =
        rendered(SubmitError::Invalid(vec![diagnostic(Severity::Error), diagnostic(Severity::Warning)])).await;
    assert_eq!(body["errors"], json!([{"line": 3, "column": 5, "message": "a cycle", "help": "cut it"}]));
    let plain = [
        (Refusal::from(SubmitError::UnknownRun(run)), "unknown_run", 404),
        (SubmitError::UnknownStep { step: "a".into(), nearest: None }.into(), "unknown_step", 404),
        (SubmitError::NotOver.into(), "run_not_over", 409),
        (SubmitError::Stopping.into(), "stopping", 503),
        (CancelError::UnknownRun(run).into(), "unknown_run", 404),
        (CancelError::Over(RunOutcome::Failed).into(), "run_over", 409),
        (CancelError::Stopping.into(), "stopping", 503),
        (StoreError::KeyReused.into(), "idempotency_key_reused", 422),
        (StoreError::Closed.into(), "stopping", 503),
    ];
    for (refusal, code, status) in plain {
        let (body, _) = rendered(refusal).await;
        assert_eq!((&body["code"], &body["status"]), (&json!(code), &json!(status)));
    }
}

#[tokio::test]
async fn retry_after_is_a_whole_number_of_at_least_one() {
    for (ms, seconds) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2"), (90_000, "90")] {
        let full = StoreError::Full { what: "open runs", limit: 5, retry_after: Duration::from_millis(ms) };
        let (body, retry) = rendered(full).await;
        assert_eq!((retry.as_deref(), &body["code"]), (Some(seconds), &json!("full")));
        assert_eq!(body["detail"], "open runs is full (5 at most)");
    }
}

#[tokio::test]
async fn what_is_inside_stays_inside() {
    let inside = [
        StoreError::Failed("/var/lib/secret".into()),
        StoreError::Damaged("/var/lib/secret".into()),
        StoreError::Unknown("/var/lib/secret".into()),
        StoreError::NoSpace("/var/lib/secret".into()),
        StoreError::DataDirectory("/var/lib/secret".into()),
    ];
    for error in inside {
        let (body, _) = rendered(error).await;
        assert!(!body.to_string().contains("secret"), "{body}");
    }
    assert!(Refusal::from(StoreError::Failed("secret".into())).secret().unwrap().contains("secret"));
}

/// The table of codes in the manual is this one.
#[test]
fn the_manual_has_all_codes() {
    let mut table = String::from("| code | status | meaning | what to do |\n|---|---|---|---|\n");
    for code in Code::ALL {
        table.push_str(&format!(
            "| `{}` | {} | {} | {} |\n",
            code.word(),
            code.status().as_u16(),
            code.title(),
            code.help()
        ));
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/api.md");
    let (begin, end) = ("<!-- codes: begin, made from the source -->\n", "<!-- codes: end -->");
    let text = std::fs::read_to_string(path).unwrap();
    let (before, rest) = text.split_once(begin).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    let wanted = format!("{before}{begin}{table}{end}{after}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &wanted).unwrap();
    } else {
        assert_eq!(text, wanted, "run with UPDATE_DOCS=1 to rewrite docs/api.md");
    }
}
