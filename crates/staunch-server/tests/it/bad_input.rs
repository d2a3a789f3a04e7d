//! Bad input gets a clear error, and nothing is lost or left behind.

use serde_json::json;
use staunch_engine::Limits;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::bed::{Bed, until};
use crate::client::{call, converse};

const ONE: &str = "
inputs:
  n: { type: number, required: true }
  c: { type: choice, options: [a, b], default: a }
steps: [{ id: only, run: 'true' }]
";

const NO_RUN: &str = "run_00000000000000000000000000";

async fn bed() -> Bed {
    Bed::new(&[("one", ONE)]).await
}

#[tokio::test]
async fn unknown_things_are_not_found() {
    let bed = bed().await;
    bed.get("/api/v2/runs").await.problem(404, "not_found");
    bed.get("/api/v1/nothing").await.problem(404, "not_found");
    bed.get("/%ff").await.problem(404, "not_found");
    bed.get("/api/v1/workflows/%ff").await.problem(404, "not_found");
    bed.post("/api/v1/workflows/oen/runs", &json!({})).await.problem(404, "unknown_workflow");
    for tail in ["", "/events", "/steps/a/log", "/steps/a/log/raw"] {
        bed.get(&format!("/api/v1/runs/{NO_RUN}{tail}")).await.problem(404, "unknown_run");
        bed.get(&format!("/api/v1/runs/nonsense{tail}")).await.problem(400, "invalid_id");
        bed.get(&format!("/api/v1/runs/{}{tail}", "9".repeat(4000))).await.problem(400, "invalid_id");
    }
    bed.post(&format!("/api/v1/runs/{NO_RUN}/cancel"), &json!({})).await.problem(404, "unknown_run");
    bed.post(&format!("/api/v1/runs/{NO_RUN}/rerun"), &json!({"which": "all"})).await.problem(404, "unknown_run");
    let run = bed.post("/api/v1/workflows/one/runs", &json!({"inputs": {"n": 1}})).await.json();
    let run = run["id"].as_str().unwrap();
    bed.ended(run).await;
    bed.get(&format!("/api/v1/runs/{run}/steps/nothing/log")).await.problem(404, "unknown_step");
    bed.get(&format!("/api/v1/runs/{run}/steps/only/log?attempt=2")).await.problem(404, "unknown_attempt");
    bed.get(&format!("/api/v1/runs/{run}/steps/only/log?attempt=1&cursor=2.1.0")).await.problem(400, "invalid_cursor");
    let wrong = call(bed.address(), "DELETE", "/api/v1/runs", &[], "").await;
    wrong.problem(405, "method_not_allowed");
    assert_eq!(wrong.header("allow"), "GET,HEAD");
    bed.close().await;
}

#[tokio::test]
async fn queries_that_make_no_sense_are_refused() {
    let bed = bed().await;
    for query in [
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=x",
        "limit=1&limit=2",
        "limt=1",
        "state=sleeping",
        "outcome=skipped",
        "limit=99999999999999999999",
    ] {
        bed.get(&format!("/api/v1/runs?{query}")).await.problem(400, "invalid_query");
    }
    for cursor in ["x", "run_", "run_1", "%00", &"a".repeat(5000)] {
        bed.get(&format!("/api/v1/runs?cursor={cursor}")).await.problem(400, "invalid_cursor");
    }
    let log = format!("/api/v1/runs/{NO_RUN}/steps/a/log");
    for (query, code) in [
        ("limit=262145", "invalid_query"),
        ("tail=0", "invalid_query"),
        ("tail=10001", "invalid_query"),
        ("tail=1&cursor=1.1.0", "invalid_query"),
        ("cursor=1.1", "invalid_cursor"),
        ("attempt=-1", "invalid_query"),
    ] {
        bed.get(&format!("{log}?{query}")).await.problem(400, code);
    }
    bed.get(&format!("{log}/raw?stream=both")).await.problem(400, "invalid_query");
    bed.get(&format!("/api/v1/runs/{NO_RUN}/events?after=-1")).await.problem(400, "invalid_cursor");
    bed.close().await;
}

#[tokio::test]
async fn bodies_of_every_wrong_kind_are_refused_and_nothing_is_accepted() {
    let bed = bed().await;
    let path = "/api/v1/workflows/one/runs";
    let json_type = [("content-type", "application/json")];
    let send = async |body: &str| call(bed.address(), "POST", path, &json_type, body.to_owned()).await;
    for body in [
        "{",
        "nonsense",
        "[]",
        "5",
        "\"x\"",
        "null",
        "{\"inputs\":[]}",
        "{\"inputs\":{},\"x\":1}",
        "{\"inputs\":{\"n\":{}}}",
    ] {
        let problem = send(body).await.problem(400, "invalid_body");
        assert!(
            problem["errors"][0]["message"].is_string() && problem["errors"][0]["line"].is_number(),
            "{body}: {problem}"
        );
    }
    let problem = send(r#"{"inputs":{"n":"x","c":"z","m":1}}"#).await.problem(422, "invalid_inputs");
    let mut pointers: Vec<_> =
        problem["errors"].as_array().unwrap().iter().map(|e| e["pointer"].as_str().unwrap()).collect();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/inputs/c", "/inputs/m", "/inputs/n"]);
    call(bed.address(), "POST", path, &json_type, "").await.problem(422, "invalid_inputs");
    for (headers, status, code) in [
        (&[("content-type", "text/plain")][..], 415, "unsupported_media_type"),
        (&[], 415, "unsupported_media_type"),
        (&[("content-type", "application/json"), ("idempotency-key", "")], 400, "invalid_header"),
        (&[("content-type", "application/json"), ("origin", "http://evil.example")], 403, "bad_origin"),
        (&[("content-type", "application/json"), ("sec-fetch-site", "cross-site")], 403, "cross_site"),
    ] {
        call(bed.address(), "POST", path, headers, r#"{"inputs":{"n":1}}"#).await.problem(status, code);
    }
    let large = format!(r#"{{"inputs":{{"n":"{}"}}}}"#, "x".repeat(300 << 10));
    send(&large).await.problem(413, "body_too_large");
    let deep = format!(r#"{{"inputs":{{"n":{}"#, "[".repeat(100_000));
    send(&deep).await.problem(400, "invalid_body");
    assert_eq!(bed.get("/api/v1/runs").await.json()["items"], json!([]));
    bed.close().await;
}

#[tokio::test]
async fn texts_of_every_wrong_kind_are_judged() {
    let bed = bed().await;
    let yaml = [("content-type", "application/yaml")];
    let check = async |text: Vec<u8>| call(bed.address(), "POST", "/api/v1/workflows/validate", &yaml, text).await;
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b,*b]\n";
    for text in [b"".to_vec(), vec![0xff; 1000], b"\0\0\0".to_vec(), bomb.into(), "[".repeat(10_000).into()] {
        let answer = check(text).await;
        assert_eq!((answer.status, &answer.json()["valid"]), (200, &json!(false)), "{answer:?}");
    }
    let limit = Limits::default().workflow_bytes_max as usize;
    check(vec![b'#'; limit + 1]).await.problem(413, "body_too_large");
    check(vec![b'#'; 10 << 20]).await.problem(413, "body_too_large");
    assert_eq!(check(vec![b'#'; limit]).await.status, 200);
    bed.close().await;
}

#[tokio::test]
async fn a_full_queue_says_when_to_come_again() {
    let limits = Limits { runs_open_max: 1, ..Limits::default() };
    let bed = Bed::with(&[("nap", "steps: [{ id: nap, run: sleep 1000 }]")], limits).await;
    let run = bed.run("nap").await;
    let refused = bed.post("/api/v1/workflows/nap/runs", &json!({})).await;
    refused.problem(503, "full");
    assert!(refused.header("retry-after").parse::<u32>().unwrap() >= 1);
    bed.post(&format!("/api/v1/runs/{run}/cancel"), &json!({"force": true})).await;
    bed.ended(&run).await;
    bed.run("nap").await;
    bed.close().await;
}

#[tokio::test]
async fn garbage_on_the_socket_is_answered_and_dropped() {
    let bed = bed().await;
    for (sent, status) in [
        ("\u{16}\u{3}\u{1} hello\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/1.1\r\nconnection: close\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n".to_owned(), "421"),
        (format!("GET / HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "a".repeat(40_000)), "431"),
        ("GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n\0garbage\r\n\r\n".to_owned(), "200"),
    ] {
        let answer = converse(bed.address(), sent.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer:?}");
    }
    bed.close().await;
}

/// Slow heads, slow bodies, half-closed sockets and silence: a stop waits for none of them, and they hold nothing.
#[tokio::test]
async fn slow_and_silent_clients_do_not_keep_the_server_from_stopping() {
    let bed = bed().await;
    let mut sockets = Vec::new();
    let body = "POST /api/v1/workflows/one/runs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    for sent in ["", "G", "GET / HTTP/1.1\r\nhost: loc", body] {
        let mut socket = TcpStream::connect(bed.address()).await.unwrap();
        socket.write_all(sent.as_bytes()).await.unwrap();
        sockets.push(socket);
        let mut half = TcpStream::connect(bed.address()).await.unwrap();
        half.write_all(sent.as_bytes()).await.unwrap();
        half.shutdown().await.unwrap();
        sockets.push(half);
    }
    // The half-closed ones are gone at once; the slow ones have their time.
    let connections = || bed.engine.tasks().alive_by_kind().find(|(kind, _)| *kind == "connection").unwrap().1;
    until("only the slow ones are left", || connections() <= 4).await;
    bed.close().await;
    assert_eq!(sockets.len(), 8, "all were open until now");
}

/// Bytes without sense, and requests with a byte changed: each is answered or dropped, and nothing breaks.
#[tokio::test]
async fn noise_on_the_socket_breaks_nothing() {
    let bed = bed().await;
    let good =
        b"GET /api/v1/runs?limit=5 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\naccept: */*\r\n\r\n".to_vec();
    // xorshift64 (Marsaglia 2003): the same noise every time.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for round in 0..300 {
        let mut sent = good.clone();
        if round % 3 == 0 {
            sent = (0..next() % 2000).map(|_| next() as u8).collect();
        } else {
            for _ in 0..=next() % 3 {
                let place = next() as usize % sent.len();
                sent[place] = next() as u8;
            }
        }
        let mut socket = TcpStream::connect(bed.address()).await.unwrap();
        socket.write_all(&sent).await.unwrap();
        // The client has no more to say: whatever the server makes of it, it is over then.
        socket.shutdown().await.unwrap();
        let answer = crate::client::read_all(&mut socket).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 "), "{sent:?}: {answer:?}");
    }
    assert_eq!(bed.get("/api/v1/runs").await.status, 200);
    bed.close().await;
}
