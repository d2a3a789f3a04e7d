//! Bodies: bounds, budget, types.
#![expect(clippy::unwrap_used, reason = "tests")]

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::json;

use super::*;
use crate::wire::{CancelRequest, LoginRequest, SubmitRequest};

fn bodies(bytes_max: u64) -> Bodies {
    Bodies::new(bytes_max, Duration::from_secs(30))
}

fn request(content_type: Option<&str>, body: impl Into<Body>) -> Request {
    let mut builder = Request::builder().method("POST").uri("/");
    if let Some(content_type) = content_type {
        builder = builder.header(CONTENT_TYPE, content_type);
    }
    builder.body(body.into()).unwrap()
}

fn json_request(body: impl Into<Body>) -> Request {
    request(Some("application/json"), body)
}

async fn code<T: DeserializeOwned + std::fmt::Debug>(bodies: &Bodies, request: Request, max: usize) -> Code {
    bodies.json::<T>(request, max).await.unwrap_err().code()
}

#[tokio::test]
async fn a_body_is_taken_below_and_at_its_bound_and_refused_over_it() {
    let bodies = bodies(1 << 20);
    for (len, taken) in [(999, true), (1000, true), (1001, false)] {
        for chunked in [false, true] {
            let bytes = vec![b'x'; len];
            let body = if chunked {
                // Without a length: only counting finds out.
                let chunks: Vec<_> =
                    bytes.chunks(7).map(|c| Ok::<_, std::io::Error>(Bytes::copy_from_slice(c))).collect();
                Body::from_stream(stream::iter(chunks))
            } else {
                Body::from(bytes)
            };
            let read = bodies.yaml(request(Some("text/yaml"), body), 1000).await;
            match read {
                Ok(held) => assert!(taken && held.value.len() == len),
                Err(refusal) => assert!(!taken && refusal.code() == Code::BodyTooLarge),
            }
        }
    }
    assert_eq!(bodies.budget().used(), 0);
}

#[tokio::test]
async fn bodies_are_held_under_a_charge_and_a_full_budget_is_busy() {
    let bodies = bodies(4096);
    let yaml = |len| request(Some("application/yaml"), vec![b'x'; len]);
    let first = bodies.yaml(yaml(3000), 4000).await.unwrap();
    assert!(bodies.budget().used() >= 3000);
    assert_eq!(bodies.yaml(yaml(3000), 4000).await.unwrap_err().code(), Code::Busy);
    drop(first);
    assert_eq!(bodies.budget().used(), 0);
    assert!(bodies.yaml(yaml(3000), 4000).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_is_given_up_and_paid_back() {
    let bodies = bodies(4096);
    let trickle = stream::iter(0..).then(|_| async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok::<_, std::io::Error>(Bytes::from_static(b"x"))
    });
    let body = Body::from_stream(trickle);
    assert_eq!(bodies.yaml(request(Some("text/yaml"), body), 4000).await.unwrap_err().code(), Code::BodyTimeout);
    assert_eq!(bodies.budget().used(), 0);
}

#[tokio::test]
async fn the_type_must_fit_and_no_body_is_the_default() {
    let bodies = bodies(1 << 20);
    for good in ["application/json", "Application/JSON; charset=utf-8"] {
        let held = bodies.json::<SubmitRequest>(request(Some(good), r#"{"inputs":{"a":1}}"#), 100).await.unwrap();
        assert_eq!(held.value.inputs["a"], json!(1));
    }
    for bad in
        [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("application/jsonp"), Some("")]
    {
        assert_eq!(
            code::<SubmitRequest>(&bodies, request(bad, "{}"), 100).await,
            Code::UnsupportedMediaType,
            "{bad:?}"
        );
    }
    assert_eq!(bodies.json::<CancelRequest>(request(None, ""), 100).await.unwrap().value, CancelRequest::default());
    // What must be told is missed, and nothing is tried with empty words.
    assert_eq!(code::<LoginRequest>(&bodies, request(None, ""), 100).await, Code::InvalidBody);
    // A form of another site always names its type, even without a body.
    let form = request(Some("application/x-www-form-urlencoded"), "");
    assert_eq!(code::<CancelRequest>(&bodies, form, 100).await, Code::UnsupportedMediaType);
    assert_eq!(bodies.yaml(json_request("{}"), 100).await.unwrap_err().code(), Code::UnsupportedMediaType);
}

#[tokio::test]
async fn what_is_wrong_in_json_has_its_place() {
    let bodies = bodies(1 << 20);
    let cases = [
        ("{", "", 1, "EOF"),
        ("{\n \"inputs\": 5}", "/inputs", 2, "invalid type"),
        (r#"{"inptus":{}}"#, "/inptus", 1, "unknown field"),
        ("[]", "", 0, "expected an object"),
        (r#"{"inputs":{}} x"#, "-", 1, "trailing"),
        ("\u{0}", "", 1, ""),
        (r#"{"inputs":{"a":{"b":1}}}"#, "/inputs/a", 1, "text, a number, true or false"),
        (r#"{"inputs":{"a~/b":[1]}}"#, "/inputs/a~0~1b", 1, "text, a number, true or false"),
    ];
    for (body, pointer, line, words) in cases {
        let refusal = bodies.json::<SubmitRequest>(json_request(body), 1000).await.unwrap_err();
        assert_eq!(refusal.code(), Code::InvalidBody, "{body}");
        let error = &refusal.places()[0];
        assert_eq!(error.pointer.as_deref().unwrap_or("-"), pointer, "{body}: {error:?}");
        assert_eq!(error.line, Some(line), "{body}");
        assert!(error.message.contains(words) && !error.message.contains("at line"), "{body}: {error:?}");
    }
    let deep = format!("{{\"inputs\":{{\"a\":{}", "[".repeat(100_000));
    assert_eq!(code::<SubmitRequest>(&bodies, json_request(deep), 1 << 20).await, Code::InvalidBody);
}

#[tokio::test]
async fn inputs_have_a_bounded_number() {
    let bodies = bodies(1 << 20);
    let body = |n: usize| {
        let inputs: Vec<_> = (0..n).map(|i| format!("\"k{i}\":{i}")).collect();
        json_request(format!("{{\"inputs\":{{{}}}}}", inputs.join(",")))
    };
    assert_eq!(bodies.json::<SubmitRequest>(body(1000), 1 << 20).await.unwrap().value.inputs.len(), 1000);
    assert_eq!(code::<SubmitRequest>(&bodies, body(1001), 1 << 20).await, Code::InvalidBody);
}
