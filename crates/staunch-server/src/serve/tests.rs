//! The shell, by raw sockets: bounds in number and time, and the way back to zero.
#![expect(clippy::unwrap_used, reason = "tests")]

// One of the integration tests', which ask the same.
#[path = "../../tests/it/listening.rs"]
mod listening;

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use self::listening::listening;
use super::*;
use crate::body::Bodies;
use crate::host::Hosts;
use crate::problem::Refusal;
use crate::router::guarded;

const SOON: Duration = Duration::from_secs(10);
const HEAD: &str = "host: localhost\r\n";

struct Stand {
    server: Server,
    tasks: Tasks,
    tally: Arc<Tally>,
    bodies: Arc<Bodies>,
    /// The socket it listens on, by its inode.
    listener: String,
}

async fn stand(connections_max: u32, times: Times) -> Stand {
    let tally = Arc::new(Tally::default());
    let bodies = Arc::new(Bodies::new(1 << 20, times.body));
    let taken = Arc::clone(&bodies);
    let take = async move |request: Request| {
        let held = taken.yaml(request, 1000).await?;
        Ok::<_, Refusal>(held.value.len().to_string())
    };
    let flood =
        || async { Body::from_stream(stream::repeat_with(|| Ok::<_, io::Error>(Bytes::from(vec![b'x'; 16 << 10])))) };
    let silence = || async { Body::from_stream(stream::pending::<Result<Bytes, io::Error>>()) };
    let routes = Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/body", post(take))
        .route("/flood", get(flood))
        .route("/silence", get(silence))
        .route(
            "/panic",
            get(|| async {
                if true {
                    panic!("on purpose")
                }
            }),
        )
        .route("/slow", get(std::future::pending::<()>));
    let tasks = Tasks::new();
    let router = guarded(routes, Hosts::default(), times, Arc::clone(&tally));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = serve(listener, router, &tasks, connections_max, times, Arc::clone(&tally)).unwrap();
    let mut listener = None;
    until(|| {
        listener = listening(server.local_addr());
        listener.is_some()
    })
    .await;
    Stand { server, tasks, tally, bodies, listener: listener.unwrap() }
}

fn quick() -> Times {
    let short = Duration::from_millis(200);
    // An answer has longer than a body, so that it is clear which of the two runs out.
    let answer = Duration::from_secs(2);
    Times { head: short, body: short, answer, stall: short, drain: short, ..Times::default() }
}

impl Stand {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.server.local_addr()).await.unwrap()
    }

    /// Sends bytes, and reads until the server closes.
    async fn converse(&self, sent: &[u8]) -> String {
        let mut socket = self.connect().await;
        socket.write_all(sent).await.unwrap();
        read_all(&mut socket).await
    }

    /// Nothing is left: no connection, no charge; and after the stop no task.
    async fn close(self) {
        until(|| self.tally.connections() == 0).await;
        assert_eq!(self.bodies.budget().used(), 0);
        timeout(SOON, self.tasks.close(SOON)).await.unwrap();
        assert_eq!(self.tasks.alive(), 0);
        assert_ne!(listening(self.server.local_addr()), Some(self.listener), "nobody listens");
    }
}

/// Until the other side closes; a reset counts as that.
async fn read_all(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut buf = [0; 4096];
    while let Ok(n @ 1..) = timeout(SOON, socket.read(&mut buf)).await.expect("the server closes") {
        bytes.extend_from_slice(&buf[..n]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn until(mut condition: impl FnMut() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(SOON, wait).await.expect("the condition comes true");
}

#[tokio::test]
async fn an_answer_has_an_id_and_a_problem_has_its_code() {
    let stand = stand(4, Times::default()).await;
    let answer = stand.converse(format!("GET / HTTP/1.1\r\n{HEAD}connection: close\r\n\r\n").as_bytes()).await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("x-request-id: ") && answer.ends_with("hello"),
        "{answer}"
    );
    let cases = [
        ("GET /none HTTP/1.1\r\nhost: localhost", "404", "\"not_found\""),
        ("DELETE / HTTP/1.1\r\nhost: localhost", "405", "\"method_not_allowed\""),
        ("GET / HTTP/1.1\r\nhost: evil.example", "421", "\"unknown_host\""),
        ("GET / HTTP/1.1\r\nx: y", "400", "\"missing_host\""),
        ("GET /panic HTTP/1.1\r\nhost: localhost", "500", "\"internal\""),
    ];
    for (head, status, code) in cases {
        let answer = stand.converse(format!("{head}\r\nconnection: close\r\n\r\n").as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(code), "{answer}");
        assert!(answer.contains("application/problem+json") && !answer.contains("on purpose"), "{answer}");
        for header in ["content-security-policy: default-src 'none';", "x-frame-options: DENY", "referrer-policy: "] {
            assert!(answer.contains(header), "{header}: {answer}");
        }
    }
    let answers = stand.tally.answers();
    assert_eq!((answers[1], answers[3], answers[4]), (1, 4, 1));
    let allow = stand.converse(format!("DELETE / HTTP/1.1\r\n{HEAD}connection: close\r\n\r\n").as_bytes()).await;
    assert!(allow.to_lowercase().contains("allow: get,head"), "{allow}");
    stand.close().await;
}

#[tokio::test]
async fn a_handler_that_hangs_is_given_up() {
    let stand = stand(4, quick()).await;
    let answer = stand.converse(format!("GET /slow HTTP/1.1\r\n{HEAD}connection: close\r\n\r\n").as_bytes()).await;
    assert!(
        answer.starts_with("HTTP/1.1 503") && answer.contains("\"timed_out\"") && answer.contains("retry-after: 1"),
        "{answer}"
    );
    stand.close().await;
}

#[tokio::test]
async fn slow_headers_and_idle_connections_are_closed() {
    let stand = stand(8, quick()).await;
    let mut sockets = Vec::new();
    for sent in ["", "GET / HT", "GET / HTTP/1.1\r\nhost: local", "GET / HTTP/1.1\r\nhost: localhost\r\nx: y\r\n"] {
        let mut socket = stand.connect().await;
        socket.write_all(sent.as_bytes()).await.unwrap();
        sockets.push(socket);
    }
    // Kept alive after an answer, and then idle.
    let mut idle = stand.connect().await;
    idle.write_all(format!("GET / HTTP/1.1\r\n{HEAD}\r\n").as_bytes()).await.unwrap();
    assert!(read_all(&mut idle).await.ends_with("hello"));
    for socket in &mut sockets {
        read_all(socket).await;
    }
    stand.close().await;
}

#[tokio::test]
async fn slow_oversize_and_broken_bodies_are_refused() {
    let stand = stand(8, quick()).await;
    let head = format!("POST /body HTTP/1.1\r\n{HEAD}content-type: text/yaml\r\n");
    let cases = [
        ("content-length: 5\r\n\r\nab", "408", "body_timeout"),
        ("content-length: 1001\r\n\r\n", "413", "body_too_large"),
        ("content-length: 99999999999999\r\n\r\nx", "413", "body_too_large"),
        ("transfer-encoding: chunked\r\n\r\nzz\r\n", "400", "invalid_body"),
        ("transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", "408", "body_timeout"),
    ];
    for (rest, status, code) in cases {
        let answer = stand.converse(format!("{head}{rest}").as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(code), "{rest:?}: {answer}");
    }
    let many = format!(
        "{head}transfer-encoding: chunked\r\n\r\n{}",
        "3e8\r\n".to_owned() + &"x".repeat(1000) + "\r\n1\r\ny\r\n0\r\n\r\n"
    );
    let answer = stand.converse(many.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    let good = stand.converse(format!("{head}connection: close\r\ncontent-length: 5\r\n\r\nhello").as_bytes()).await;
    assert!(good.ends_with("\r\n\r\n5"), "{good}");
    stand.close().await;
}

/// The answer to a body that is still on its way must not be lost to a reset.
#[tokio::test]
async fn a_client_that_is_still_sending_hears_that_it_is_too_much() {
    let stand = stand(8, Times::default()).await;
    for head in ["content-length: 4000000", "transfer-encoding: chunked"] {
        for _ in 0..20 {
            let socket = stand.connect().await;
            let (mut from, mut to) = socket.into_split();
            let sending = async {
                let head = format!("POST /body HTTP/1.1\r\n{HEAD}content-type: text/yaml\r\n{head}\r\n\r\n3d0900\r\n");
                to.write_all(head.as_bytes()).await?;
                to.write_all(&vec![b'x'; 4_000_000]).await
            };
            let reading = async {
                let mut answer = Vec::new();
                let mut buf = [0; 4096];
                while let Ok(n @ 1..) = from.read(&mut buf).await {
                    answer.extend_from_slice(&buf[..n]);
                }
                String::from_utf8(answer).unwrap()
            };
            let (answer, sent) = timeout(SOON, async { tokio::join!(reading, sending) }).await.unwrap();
            assert!(sent.is_ok(), "a client that fails at writing may never look for the answer: {sent:?}");
            assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("body_too_large"), "{answer:?}");
        }
    }
    stand.close().await;
}

#[tokio::test]
async fn nonsense_and_oversize_heads_are_refused() {
    let stand = stand(8, quick()).await;
    for (sent, status) in [
        ("\u{16}\u{3}\u{1} hello\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/9.9\r\n\r\n".to_owned(), "400"),
        (format!("GET /{} HTTP/1.1\r\n{HEAD}\r\n", "a".repeat(40_000)), "4"),
        (format!("GET / HTTP/1.1\r\n{HEAD}x: {}\r\n\r\n", "a".repeat(40_000)), "431"),
        (format!("GET / HTTP/1.1\r\n{HEAD}{}\r\n", "a: b\r\n".repeat(100)), "431"),
        (format!("POST / HTTP/1.1\r\n{HEAD}content-length: 1\r\ncontent-length: 2\r\n\r\n"), "400"),
        (format!("POST / HTTP/1.1\r\n{HEAD}content-length: -1\r\n\r\n"), "400"),
    ] {
        let answer = stand.converse(sent.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{:?}: {answer:?}", sent.get(..40));
    }
    // Garbage after a good request: the good one is answered, the rest is refused.
    let answer = stand.converse(format!("GET / HTTP/1.1\r\n{HEAD}\r\n\0\0garbage\r\n\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("HTTP/1.1 400"), "{answer}");
    // Pipelined requests are all answered, in order.
    let one = format!("GET / HTTP/1.1\r\n{HEAD}\r\n");
    let answer = stand
        .converse(format!("{}GET /none HTTP/1.1\r\n{HEAD}connection: close\r\n\r\n", one.repeat(20)).as_bytes())
        .await;
    assert_eq!((answer.matches("HTTP/1.1 200").count(), answer.matches("HTTP/1.1 404").count()), (20, 1));
    stand.close().await;
}

#[tokio::test]
async fn half_closed_sockets_are_dropped_at_once() {
    let stand = stand(8, Times::default()).await;
    for sent in [
        "",
        "GET / HTTP/1.1\r\nhost: lo",
        "POST /body HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/yaml\r\ncontent-length: 9\r\n\r\nab",
        "GET /silence HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ] {
        let mut socket = stand.connect().await;
        socket.write_all(sent.as_bytes()).await.unwrap();
        socket.shutdown().await.unwrap();
        read_all(&mut socket).await;
        until(|| stand.tally.connections() == 0).await;
    }
    stand.close().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut() {
    let stand = stand(4, quick()).await;
    let mut socket = stand.connect().await;
    socket.write_all(format!("GET /flood HTTP/1.1\r\n{HEAD}\r\n").as_bytes()).await.unwrap();
    until(|| stand.tally.accepted() == 1).await;
    until(|| stand.tally.connections() == 0).await;
    drop(socket);
    stand.close().await;
}

#[tokio::test]
async fn beyond_the_bound_connections_wait_for_room() {
    let stand = stand(2, Times::default()).await;
    let ask = format!("GET / HTTP/1.1\r\n{HEAD}\r\n");
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut socket = stand.connect().await;
        socket.write_all(ask.as_bytes()).await.unwrap();
        let mut buf = [0; 1024];
        assert!(timeout(SOON, socket.read(&mut buf)).await.unwrap().unwrap() > 0);
        held.push(socket);
    }
    let mut third = stand.connect().await;
    third.write_all(ask.as_bytes()).await.unwrap();
    let mut buf = [0; 1024];
    assert!(timeout(Duration::from_millis(50), third.read(&mut buf)).await.is_err(), "no room, no answer");
    assert_eq!(stand.tally.connections(), 2);
    held.pop();
    assert!(timeout(SOON, third.read(&mut buf)).await.unwrap().unwrap() > 0);
    drop((held, third));
    stand.close().await;
}

#[tokio::test]
async fn a_stop_ends_idle_connections_at_once_and_cuts_the_rest() {
    let stand = stand(8, quick()).await;
    let mut silent = stand.connect().await;
    silent.write_all(format!("GET /silence HTTP/1.1\r\n{HEAD}\r\n").as_bytes()).await.unwrap();
    let mut buf = [0; 1024];
    assert!(timeout(SOON, silent.read(&mut buf)).await.unwrap().unwrap() > 0);
    timeout(SOON, stand.server.close()).await.unwrap();
    assert_eq!(stand.tally.connections(), 0);
    assert_ne!(listening(stand.server.local_addr()).as_ref(), Some(&stand.listener), "nobody listens");
    stand.close().await;
}

#[tokio::test]
async fn ten_thousand_streams_come_and_go() {
    let stand = stand(64, Times::default()).await;
    let files = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let (files_before, tasks_before) = (files(), stand.tasks.alive());
    for _ in 0..10_000 / 50 {
        let mut sockets = Vec::new();
        for _ in 0..50 {
            let mut socket = stand.connect().await;
            socket.write_all(format!("GET /silence HTTP/1.1\r\n{HEAD}\r\n").as_bytes()).await.unwrap();
            sockets.push(socket);
        }
        drop(sockets);
    }
    until(|| stand.tally.accepted() == 10_000 && stand.tally.connections() == 0).await;
    until(|| stand.tasks.alive() == tasks_before).await;
    // Other tests of this process open files too; this many sockets left open would show above them.
    until(|| files() < files_before + 500).await;
    stand.close().await;
}

#[test]
fn loopback_is_loopback() {
    for yes in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
        assert!(is_loopback(yes.parse().unwrap()), "{yes}");
    }
    for no in ["0.0.0.0", "::", "10.0.0.1", "169.254.1.1", "fe80::1"] {
        assert!(!is_loopback(no.parse().unwrap()), "{no}");
    }
}

/// Times so short that a gate can wait for each of them many times over.
fn hasty() -> Times {
    let short = Duration::from_millis(20);
    Times { head: short, body: short, stall: short, ..quick() }
}

staunch_leak::alone! {
    /// Cut by the server's clocks: one that does not read, one whose head and one whose body does not come.
    fn ground_g8_clients_that_are_cut_for_being_slow_leave_nothing() {
        let keep_alive = Duration::from_millis(10);
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().thread_keep_alive(keep_alive).build().unwrap();
        let stand = runtime.block_on(stand(8, hasty()));
        let (handle, metrics) = (runtime.handle().clone(), runtime.metrics());
        let tally = Arc::clone(&stand.tally);
        let options = staunch_leak::Options::default()
            .between_looks(move || handle.block_on(async { tokio::time::sleep(Duration::from_millis(2)).await }))
            .budget(stand.bodies.budget())
            .counter("connections", move || tally.connections())
            .counter("tasks alive", move || metrics.num_alive_tasks() as u64);
        let body = "POST /body HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/yaml\r\ncontent-length: 9\r\n\r\nab";
        let flat = staunch_leak::no_growth(&options, || {
            runtime.block_on(async {
                let accepted = stand.tally.accepted();
                let mut sockets = Vec::new();
                for sent in ["GET /flood HTTP/1.1\r\nhost: localhost\r\n\r\n", "GET / HTTP/1.1\r\nhost: lo", body, ""] {
                    let mut socket = stand.connect().await;
                    socket.write_all(sent.as_bytes()).await.unwrap();
                    sockets.push(socket);
                }
                until(|| stand.tally.accepted() == accepted + 4).await;
                // Whoever was answered is waited for to close in turn, as far as a second goes.
                for mut socket in sockets.drain(1..) {
                    read_all(&mut socket).await;
                }
                until(|| stand.tally.connections() == 0).await;
            });
        });
        flat.unwrap_or_else(|growth| panic!("{growth}"));
        runtime.block_on(stand.close());
    }
}
