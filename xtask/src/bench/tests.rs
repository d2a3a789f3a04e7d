//! The instruments, checked before anything is measured with them.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;
use std::time::Duration;

use super::accounting::flags_without;
use super::client::Client;
use super::dag::{self, Shape};
use super::serve::sum_of;
use super::spawn;

/// A server that answers each request on one connection with the next of these texts, then closes; returns what it was asked.
fn canned(answers: &'static [&'static str]) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = String::new();
        for answer in answers {
            let mut bytes = [0; 4096];
            let length = stream.read(&mut bytes).unwrap();
            asked += std::str::from_utf8(&bytes[..length]).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        }
        asked
    });
    (address, server)
}

#[test]
fn a_client_keeps_its_connection() {
    let (address, server) = canned(&[
        "HTTP/1.1 201 Created\r\nContent-Length: 8\r\n\r\n{\"id\":1}",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\n{\"a\r\n4\r\n\":2}\r\n0\r\n\r\n",
        "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nfull",
    ]);
    let mut client = Client::connect(address).unwrap();
    assert_eq!(client.post("/runs", "{}").unwrap().json().unwrap()["id"], 1);
    assert_eq!(client.get("/runs").unwrap().json().unwrap()["a"], 2);
    let refused = client.get("/runs").unwrap();
    assert_eq!((refused.status, refused.body.as_str()), (503, "full"));
    assert!(refused.json().unwrap_err().to_string().contains("503: full"));
    assert!(client.get("/runs").is_err(), "the connection is gone");
    let asked = server.join().unwrap();
    assert!(
        asked.starts_with("POST /runs HTTP/1.1\r\n") && asked.contains("content-length: 2\r\n\r\n{}GET /runs"),
        "{asked}"
    );
}

#[test]
fn events_are_lines_however_they_are_chunked() {
    let (address, server) = canned(&[
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nevent: a\n\r\n5\r\ndata:\r\n4\r\n b\r\n\r\n0\r\n\r\n",
    ]);
    let mut events = Client::connect(address).unwrap().events("/events").unwrap();
    assert_eq!(events.line().unwrap().as_deref(), Some("event: a"));
    assert_eq!(events.line().unwrap().as_deref(), Some("data: b"));
    assert_eq!(events.line().unwrap(), None);
    server.join().unwrap();
}

#[test]
fn a_refused_event_stream_is_an_error() {
    let (address, server) = canned(&["HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"]);
    let refused = Client::connect(address).unwrap().events("/events");
    assert!(refused.is_err_and(|error| error.to_string().contains("404")));
    server.join().unwrap();
}

#[test]
fn samples_are_summed_by_name_and_label() {
    let page = "# HELP runs Ended.\nruns{outcome=\"failed\"} 1\nruns{outcome=\"succeeded\"} 41\nruns_open 7\nbare 3\n";
    assert_eq!(sum_of(page, "runs", ""), 42.0);
    assert_eq!(sum_of(page, "runs", "succeeded"), 41.0);
    assert_eq!(sum_of(page, "bare", ""), 3.0);
    assert_eq!(sum_of(page, "gone", ""), 0.0);
}

#[test]
fn the_graphs_are_equal() {
    assert_eq!(dag::workflow(Shape::Wide, 1), "name: dag\nsteps:\n  - needs: []\n    run: \"true\"\n");
    assert_eq!(dag::workflow(Shape::Chain, 2).matches("run:").count(), 2);
    assert!(dag::ninja(Shape::Wide, 2).ends_with("build never/1: t\nbuild never/2: t\n"));
    assert!(dag::ninja(Shape::Chain, 2).ends_with("build never/1: t\nbuild never/2: t never/1\n"));
    assert!(dag::makefile(Shape::Wide, 2).ends_with("t1:\n\t@true;\nt2:\n\t@true;\n"));
    assert!(dag::makefile(Shape::Chain, 2).ends_with("t1:\n\t@true;\nt2: t1\n\t@true;\n"));
}

#[test]
fn the_floor_starts_as_many_as_it_says_and_sees_failures() {
    assert!(spawn::spawn_loop(spawn::TRUE, 5, 2).unwrap() > Duration::ZERO);
    assert!(spawn::spawn_loop(&["/bin/sh", "-c", "exit 3"], 1, 1).is_err());
    assert!(spawn::spawn_loop(&["/no/such/program"], 1, 1).is_err());
}

#[test]
fn a_build_that_counts_nothing_has_the_callers_flags_too() {
    let flags = |encoded: Option<&str>, plain: Option<&str>| {
        flags_without(encoded.map(str::to_owned), plain.map(str::to_owned)).replace('\x1f', "|")
    };
    assert_eq!(flags(None, None), "--cfg|staunch_unaccounted");
    assert_eq!(flags(None, Some(" -C  target-cpu=native ")), "-C|target-cpu=native|--cfg|staunch_unaccounted");
    // Encoded ones win, and may have blanks in them.
    assert_eq!(flags(Some("-C\x1flink-arg=a b"), Some("-O")), "-C|link-arg=a b|--cfg|staunch_unaccounted");
    assert_eq!(flags(Some(""), Some("-O")), "--cfg|staunch_unaccounted");
}

#[test]
fn a_binary_of_somebody_elses_has_no_build_without() {
    let refused = super::start::run(&["accounting", "--binary", "/bin/true"]).unwrap_err().to_string();
    assert!(refused.contains("accounting takes no --binary"), "{refused}");
}
