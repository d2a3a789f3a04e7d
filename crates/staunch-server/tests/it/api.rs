//! Workflows and runs, start to end.

use serde_json::{Value, json};
use staunch_engine::Limits;

use crate::bed::Bed;
use crate::client::call;

const GREET: &str = "
name: greet
description: says hello
inputs:
  who: { type: string, default: world, description: whom to greet }
  times: { type: number, default: 1 }
steps:
  - id: hello
    name: Say hello
    run: echo \"hello $WHO\"; echo oops >&2
    env: { WHO: \"${{ inputs.who }}\" }
  - id: bye
    run: echo bye
";

const BROKEN: &str = "name: broken\nsteps:\n  - id: a\n    rnu: true\n";

const FAILS: &str = "
steps:
  - id: good
    run: 'true'
  - id: bad
    run: exit 3
  - id: after
    run: 'true'
";

const SLEEPS: &str = "steps: [{ id: nap, run: sleep 1000 }]";

#[tokio::test]
async fn workflows_are_listed_shown_and_checked() {
    let bed = Bed::new(&[("greet", GREET), ("broken", BROKEN)]).await;
    let list = bed.get("/api/v1/workflows").await.json();
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");
    assert_eq!(
        list["items"][0]["inputs"][0],
        json!({"name": "who", "type": "string", "description": "whom to greet",
        "required": false, "default": "world", "options": []})
    );
    assert!(list["items"][0]["updated_at"].is_string());
    assert_eq!(list["broken"][0]["file"], "broken.yaml");
    assert_eq!(list["broken"][0]["diagnostics"][0]["line"], 4);

    let shown = bed.get("/api/v1/workflows/greet").await;
    let detail = shown.json();
    assert_eq!(detail["text"], GREET);
    assert_eq!(detail["steps"][1], json!({"id": "bye", "name": null, "needs": ["hello"]}));
    let etag = shown.header("etag");
    assert_eq!(etag, format!("\"{}\"", detail["revision"].as_str().unwrap()));
    let again = call(bed.address(), "GET", "/api/v1/workflows/greet", &[("if-none-match", etag)], "").await;
    assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, etag));
    let missed = bed.get("/api/v1/workflows/gret").await.problem(404, "unknown_workflow");
    assert!(missed["detail"].as_str().unwrap().contains("did you mean \"greet\"?"), "{missed}");

    let yaml = [("content-type", "application/yaml")];
    let good = call(bed.address(), "POST", "/api/v1/workflows/validate?stem=x", &yaml, FAILS).await.json();
    assert_eq!((&good["valid"], &good["workflow"]["name"]), (&json!(true), &json!("x")));
    let bad = call(bed.address(), "POST", "/api/v1/workflows/validate", &yaml, BROKEN).await.json();
    assert_eq!((&bad["valid"], &bad["workflow"]), (&json!(false), &Value::Null));
    assert_eq!((&bad["diagnostics"][0]["line"], &bad["diagnostics"][0]["severity"]), (&json!(4), &json!("error")));
    bed.close().await;
}

#[tokio::test]
async fn a_run_is_accepted_runs_and_shows_what_it_did() {
    let bed = Bed::new(&[("greet", GREET)]).await;
    let answer = bed.post("/api/v1/workflows/greet/runs", &json!({"inputs": {"who": "you"}})).await;
    assert_eq!(answer.status, 201);
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(answer.header("location"), format!("/api/v1/runs/{id}"));
    let run = bed.ended(&id).await;
    assert_eq!(
        (&run["outcome"], &run["trigger"], &run["inputs"]),
        (&json!("succeeded"), &json!("api"), &json!({"who": "you", "times": 1}))
    );
    let hello = &run["steps"][0];
    assert_eq!(
        (&hello["state"], &hello["outcome"], &hello["name"]),
        (&json!("ended"), &json!("succeeded"), &json!("Say hello"))
    );
    let result = &hello["attempts"][0]["result"];
    assert_eq!(
        (&result["stdout"], &result["stderr"], &result["exit_code"]),
        (&json!("hello you\n"), &json!("oops\n"), &json!(0))
    );
    let rfc3339 = run["ended_at"].as_str().unwrap();
    assert!(rfc3339.len() == 24 && rfc3339.ends_with('Z'), "{rfc3339}");

    let mut events = Vec::new();
    let mut path = format!("/api/v1/runs/{id}/events?limit=2");
    loop {
        let page = bed.get(&path).await.json();
        events.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next_cursor"].as_str() else { break };
        path = format!("/api/v1/runs/{id}/events?limit=2&after={next}");
    }
    let seqs: Vec<_> = events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());
    let started = events.iter().find(|event| event["name"] == "step.started").unwrap();
    assert_eq!(started["body"]["step"], "hello", "a step is named by its id");
    assert_eq!(events.last().unwrap()["name"], "run.ended");
    bed.close().await;
}

#[tokio::test]
async fn runs_are_listed_in_pages_by_filters() {
    let bed = Bed::new(&[("greet", GREET), ("fails", FAILS)]).await;
    let mut ids = Vec::new();
    for workflow in ["greet", "fails", "greet", "fails", "greet"] {
        ids.push(bed.run(workflow).await);
    }
    for id in &ids {
        bed.ended(id).await;
    }
    let mut seen = Vec::new();
    let mut path = "/api/v1/runs?limit=2".to_owned();
    let mut pages = 0;
    loop {
        let answer = bed.get(&path).await;
        let page = answer.json();
        pages += 1;
        seen.extend(page["items"].as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap().to_owned()));
        let link = answer.header("link");
        assert_eq!(link.is_empty(), page["next_cursor"].is_null());
        let Some(target) = link.strip_prefix('<') else { break };
        path = target.split_once('>').unwrap().0.to_owned();
    }
    ids.reverse();
    assert_eq!((seen, pages), (ids, 3), "newest first, each once");
    for (query, count) in [
        ("workflow=fails", 2),
        ("outcome=succeeded", 3),
        ("state=ended&outcome=failed&workflow=fails", 2),
        ("state=queued", 0),
        ("workflow=nobody", 0),
    ] {
        let page = bed.get(&format!("/api/v1/runs?{query}")).await.json();
        assert_eq!(page["items"].as_array().unwrap().len(), count, "{query}: {page}");
    }
    bed.close().await;
}

#[tokio::test]
async fn the_same_key_makes_one_run() {
    let bed = Bed::new(&[("greet", GREET)]).await;
    let submit = async |key: &str, body: &str| {
        let headers = [("content-type", "application/json"), ("idempotency-key", key)];
        call(bed.address(), "POST", "/api/v1/workflows/greet/runs", &headers, body.to_owned()).await
    };
    let first = submit("k1", r#"{"inputs":{"who":"a","times":2}}"#).await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (201, ""));
    let again = submit("\"k1\"", r#"{ "inputs": {"times":2, "who":"a"} }"#).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (201, "true"));
    assert_eq!((again.json()["id"].clone(), &again.json()["replayed"]), (first.json()["id"].clone(), &json!(true)));
    assert_eq!(again.header("location"), first.header("location"));
    submit("k1", r#"{"inputs":{"who":"b"}}"#).await.problem(422, "idempotency_key_reused");
    assert_eq!(bed.get("/api/v1/runs").await.json()["items"].as_array().unwrap().len(), 1);
    bed.ended(first.json()["id"].as_str().unwrap()).await;
    bed.close().await;
}

#[tokio::test]
async fn a_run_is_run_again_in_whole_or_in_part() {
    let bed = Bed::new(&[("fails", FAILS)]).await;
    let first = bed.run("fails").await;
    let detail = bed.ended(&first).await;
    assert_eq!(detail["steps"][2]["outcome"], "skipped");
    assert!(detail["steps"][2]["why"].as_str().unwrap().contains("\"bad\""), "{detail}");
    let path = format!("/api/v1/runs/{first}/rerun");
    for (body, fresh) in [
        (json!({"which": "all"}), [true, true, false]),
        (json!({"which": "failed"}), [false, true, false]),
        (json!({"from": "bad"}), [false, true, false]),
    ] {
        let answer = bed.post(&path, &body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let run = bed.ended(answer.json()["id"].as_str().unwrap()).await;
        assert_eq!((&run["rerun_of"], &run["outcome"]), (&json!(first), &json!("failed")));
        for (step, fresh) in run["steps"].as_array().unwrap().iter().zip(fresh) {
            assert_eq!(!step["attempts"].as_array().unwrap().is_empty(), fresh, "{body}: {step}");
        }
    }
    for body in [json!({}), json!({"which": "all", "from": "bad"})] {
        bed.post(&path, &body).await.problem(400, "invalid_body");
    }
    bed.post(&path, &json!({"from": "bda"})).await.problem(404, "unknown_step");
    bed.close().await;
}

#[tokio::test]
async fn a_run_is_cancelled_once_and_not_after_its_end() {
    let bed = Bed::new(&[("sleeps", SLEEPS)]).await;
    let run = bed.run("sleeps").await;
    bed.until(&run, |detail| detail["steps"][0]["state"] == "running").await;
    bed.post(&format!("/api/v1/runs/{run}/rerun"), &json!({"which": "all"})).await.problem(409, "run_not_over");
    let path = format!("/api/v1/runs/{run}/cancel");
    let first = bed.post(&path, &json!({})).await;
    assert_eq!((first.status, &first.json()["cancel_requested"]), (202, &json!(true)));
    let run = bed.ended(&run).await;
    assert_eq!(run["outcome"], "cancelled");
    bed.post(&path, &json!({"force": true})).await.problem(409, "run_over");
    bed.close().await;
}

/// Whoever asks without credentials hears that there is no room, and not where.
#[tokio::test]
async fn a_server_that_is_not_ready_does_not_say_where_its_data_is() {
    let limits = Limits { disk_free_bytes_min: u64::MAX, ..Limits::default() };
    let bed = Bed::with(&[], limits).await;
    let answer = bed.get("/readyz?verbose").await;
    assert_eq!(answer.status, 503);
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(!text.contains(bed.data().to_str().unwrap()), "{text}");
    let engine = answer.json()["checks"][0].clone();
    assert_eq!(engine, json!({"name": "engine", "ok": false, "detail": "the disk has no room"}));
    bed.close().await;
}

#[tokio::test]
async fn health_the_landing_page_and_the_document_are_there() {
    let bed = Bed::new(&[]).await;
    assert_eq!(bed.get("/livez").await.body, "ok\n");
    assert_eq!(bed.get("/readyz").await.json(), json!({"ready": true}));
    let verbose = bed.get("/readyz?verbose").await.json();
    assert!(verbose["checks"].as_array().unwrap().iter().all(|check| check["ok"] == true), "{verbose}");
    let page = bed.get("/").await;
    assert!(
        page.header("content-type").starts_with("text/html")
            && page.header("content-security-policy").contains("'none'")
    );
    let document = bed.get("/api/v1/openapi.json").await;
    assert_eq!(document.body, staunch_server::openapi());
    assert!(bed.get("/problems/full").await.body.starts_with(b"full (503"));
    bed.get("/problems/none").await.problem(404, "not_found");
    // Every documented path that needs no id is served, and every other answers with a problem of its own.
    for (path, item) in document.json()["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let path = path.replace("{id}", "run_00000000000000000000000000").replace(['{', '}'], "");
            let answer = call(bed.address(), &method.to_uppercase(), &path, &[], "").await;
            assert!(
                answer.status != 405
                    && (answer.status != 404 || answer.json()["code"] != "not_found" || path.contains("problems")),
                "{method} {path}: {answer:?}"
            );
        }
    }
    bed.close().await;
}
