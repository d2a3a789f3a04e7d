//! The live stream.

use std::time::Duration;

use serde_json::json;
use staunch_engine::Limits;
use staunch_server::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::accounts::{Person, closed_with, generous};
use crate::bed::{Bed, until};
use crate::client::{Event, Live, names, text};

/// Talks, waits for a file, and talks on: what is read before the file is there was read live.
fn talks(directory: &std::path::Path) -> String {
    let go = directory.join("go").display().to_string();
    format!(
        "steps:\n  - id: talk\n    run: |\n      echo one\n      printf '\\342'\n      while [ ! -e '{go}' ]; do sleep 0.01; done\n      printf '\\202\\254\\n'\n      echo two >&2\n  - id: after\n    run: echo three\n"
    )
}

async fn open(bed: &Bed, topics: &str) -> Live {
    Live::open(bed.address(), topics, None).await.unwrap_or_else(|answer| panic!("{answer:?}"))
}

#[tokio::test]
async fn a_running_step_is_followed_from_its_first_line_to_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let bed = Bed::new(&[("talks", &talks(directory.path()))]).await;
    let run = bed.run("talks").await;
    let topics = format!("run:{run},log:{run}:talk,log:{run}:after");
    let mut live = open(&bed, &topics).await;
    let mut events = live.until(|event| text(std::slice::from_ref(event), "talk").contains("one")).await;
    // A second client that comes late sees the same from the start.
    let mut late = open(&bed, &topics).await;
    late.until(|event| text(std::slice::from_ref(event), "talk").contains("one")).await;
    drop(late);
    std::fs::write(directory.path().join("go"), "").unwrap();
    events.extend(live.rest().await);
    assert_eq!(text(&events, "talk"), "one\n€\ntwo\n", "a split character is whole");
    assert_eq!(text(&events, "after"), "three\n");
    let names = names(&events);
    assert_eq!(names.first(), Some(&"run.started"));
    assert_eq!(names[names.len() - 2..], ["run.ended", "end"]);
    all_output_comes_before_the_end(&events, &["talk", "after"]);
    let end = events.last().unwrap();
    assert_eq!(end.body, json!({"topics": topics.split(',').collect::<Vec<_>>()}));
    let started = events.iter().find(|event| event.name == "step.started").unwrap();
    assert_eq!((&started.body["body"]["step"], &started.body["run"]), (&json!("talk"), &json!(run)));
    bed.close().await;
}

fn all_output_comes_before_the_end(events: &[Event], steps: &[&str]) {
    for step in steps {
        let ended = events.iter().position(|e| e.name == "step.ended" && e.body["body"]["step"] == *step).unwrap();
        assert!(events[ended..].iter().all(|e| e.name != "log" || e.body["step"] != *step), "{step}: {events:#?}");
    }
}

#[tokio::test]
async fn a_client_that_is_cut_again_and_again_loses_and_repeats_nothing() {
    let script =
        "for i in $(seq 1 400); do echo \"line $i\"; done; printf '\\360\\237'; sleep 0.1; printf '\\246\\200\\n'";
    let workflow = format!("steps:\n  - id: a\n    run: {}\n  - id: b\n    run: seq 1 200\n", json!(script));
    let bed = Bed::new(&[("long", &workflow)]).await;
    let run = bed.run("long").await;
    let topics = format!("log:{run}:b,run:{run},log:{run}:a");
    let mut events: Vec<Event> = Vec::new();
    let mut cuts = 0;
    'again: loop {
        let after = events.last().map(|event| event.id.clone());
        let mut live = Live::open(bed.address(), &topics, after.as_deref()).await.unwrap();
        for _ in 0..3 {
            let event = live.next().await.expect("there is more");
            let end = event.name == "end";
            events.push(event);
            if end {
                break 'again;
            }
        }
        cuts += 1;
    }
    assert!(cuts > 1, "it was cut {cuts} times");
    let lines: String = (1..=400).map(|i| format!("line {i}\n")).collect();
    assert_eq!(text(&events, "a"), format!("{lines}🦀\n"));
    assert_eq!(text(&events, "b"), (1..=200).map(|i| format!("{i}\n")).collect::<String>());
    let seqs: Vec<_> = events.iter().filter_map(|event| event.body["seq"].as_u64()).collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>(), "each event once, in order");
    all_output_comes_before_the_end(&events, &["a", "b"]);
    // After the end there is only the end.
    let after = events.last().unwrap().id.clone();
    let again = Live::open(bed.address(), &topics, Some(&after)).await.unwrap().rest().await;
    assert_eq!(names(&again), ["end"]);
    assert_eq!(text(&again, "a"), "");
    bed.close().await;
}

#[tokio::test]
async fn retries_go_on_in_the_same_topic() {
    let workflow = "
steps:
  - id: flaky
    run: echo \"try $STAUNCH_ATTEMPT\"; test \"$STAUNCH_ATTEMPT\" = 3
    retry: { attempts: 3, delay: 10ms, backoff: 1, jitter: false }
";
    let bed = Bed::new(&[("flaky", workflow)]).await;
    let run = bed.run("flaky").await;
    let events = open(&bed, &format!("log:{run}:flaky")).await.rest().await;
    assert_eq!(text(&events, "flaky"), "try 1\ntry 2\ntry 3\n");
    let attempts: Vec<_> = events.iter().filter_map(|event| event.body["attempt"].as_u64()).collect();
    assert_eq!(attempts, [1, 2, 3]);
    // The same once more, when all is over.
    let again = open(&bed, &format!("run:{run},log:{run}:flaky")).await.rest().await;
    assert_eq!(text(&again, "flaky"), "try 1\ntry 2\ntry 3\n");
    all_output_comes_before_the_end(&again, &["flaky"]);
    bed.close().await;
}

#[tokio::test]
async fn a_step_that_never_ran_has_a_log_that_is_over() {
    let bed = Bed::new(&[("skips", "steps: [{ id: bad, run: exit 1 }, { id: after, run: echo never }]")]).await;
    let run = bed.run("skips").await;
    let events = open(&bed, &format!("log:{run}:after")).await.rest().await;
    assert_eq!(names(&events), ["end"]);
    assert_eq!(text(&events, "after"), "");
    bed.close().await;
}

#[tokio::test]
async fn output_that_fell_out_is_a_gap() {
    let limits = Limits { log_bytes_max: 256 << 10, ..Limits::default() };
    let bed = Bed::with(&[("much", "steps: [{ id: much, run: seq 1 300000 }]")], limits).await;
    let run = bed.run("much").await;
    bed.ended(&run).await;
    let events = open(&bed, &format!("log:{run}:much")).await.rest().await;
    let gaps: Vec<_> = events.iter().filter(|event| event.name == "gap").collect();
    assert_eq!(gaps.len(), 1);
    assert_eq!(gaps[0].body["topic"], format!("log:{run}:much"));
    let whole: u64 = (1..=300_000u32).map(|n| n.to_string().len() as u64 + 1).sum();
    assert_eq!(text(&events, "much").len() as u64 + gaps[0].body["bytes"].as_u64().unwrap(), whole);
    bed.close().await;
}

#[tokio::test]
async fn streams_that_make_no_sense_are_refused_before_they_begin() {
    let bed = Bed::new(&[("one", "steps: [{ id: only, run: 'true' }]")]).await;
    let run = bed.run("one").await;
    let none = "run_00000000000000000000000000";
    let many: Vec<_> = (0..17).map(|i| format!("log:{run}:s{i}")).collect();
    for (topics, after, status, code) in [
        (format!("run:{none}"), None, 404, "unknown_run"),
        (format!("run:{run},log:{none}:a"), None, 404, "unknown_run"),
        (format!("log:{run}:nothing"), None, 404, "unknown_step"),
        ("run:nonsense".to_owned(), None, 400, "invalid_id"),
        ("memory".to_owned(), None, 400, "invalid_topics"),
        (format!("run:{run},run:{run}"), None, 400, "invalid_topics"),
        (many.join(","), None, 400, "invalid_topics"),
        (format!("run:{run}"), Some("x"), 400, "invalid_cursor"),
        (format!("run:{run}"), Some("1,2"), 400, "invalid_cursor"),
    ] {
        let Err(answer) = Live::open(bed.address(), &topics, after).await else { panic!("{topics} was opened") };
        answer.problem(status, code);
    }
    bed.get("/api/v1/events").await.problem(400, "invalid_query");
    assert_eq!(bed.engine.feed().len(), 0);
    bed.close().await;
}

#[tokio::test]
async fn streams_have_a_bound_and_come_back_to_zero() {
    let limits = Limits { streams_max: 2, ..Limits::default() };
    let bed = Bed::with(&[("nap", "steps: [{ id: nap, run: sleep 1000 }]")], limits).await;
    let run = bed.run("nap").await;
    let topics = format!("run:{run}");
    let (one, two) = (open(&bed, &topics).await, open(&bed, &topics).await);
    let Err(refused) = Live::open(bed.address(), &topics, None).await else { panic!("a third was opened") };
    refused.problem(503, "streams_full");
    assert_eq!(refused.header("retry-after"), "5");
    drop(one);
    let third = timeout(crate::bed::LONG, async {
        loop {
            match Live::open(bed.address(), &topics, None).await {
                Ok(live) => return live,
                Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    });
    drop((two, third.await.expect("the place is free again")));
    until("nobody watches", || bed.engine.feed().is_empty()).await;
    bed.close().await;
}

#[tokio::test]
async fn one_user_has_a_quarter_of_all_streams() {
    let limits = Limits { streams_max: 8, ..Limits::default() };
    let config = ServerConfig { rates: generous(), ..ServerConfig::default() };
    let (bed, root) = closed_with(&[("nap", "steps: [{ id: nap, run: sleep 1000 }]")], limits, config).await;
    let at = bed.address();
    root.user(at, "vi", "viewer").await;
    let vi = Person::login(at, "vi").await;
    let answer = root.post(at, "/api/v1/workflows/nap/runs", &json!({})).await.json();
    let topics = format!("run:{}", answer["id"].as_str().unwrap());
    let bearer = format!("Bearer {}", vi.make_token(at, "read").await["token"].as_str().unwrap());
    let (by_cookie, by_token) = ([("cookie", vi.cookie.as_deref().unwrap())], [("authorization", bearer.as_str())]);
    let one = Live::open_as(at, &topics, None, &by_cookie).await.unwrap();
    let two = Live::open_as(at, &topics, None, &by_token).await.unwrap();
    for headers in [&by_cookie, &by_token] {
        let Err(refused) = Live::open_as(at, &topics, None, headers).await else { panic!("a third was opened") };
        assert_eq!(refused.problem(503, "streams_full")["detail"], "at most 2 of one user may be open");
        assert_eq!(refused.header("retry-after"), "5");
    }
    let others = Live::open_as(at, &topics, None, &[("cookie", root.cookie.as_deref().unwrap())]).await.unwrap();
    drop(one);
    let third = timeout(crate::bed::LONG, async {
        loop {
            match Live::open_as(at, &topics, None, &by_cookie).await {
                Ok(live) => return live,
                Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    });
    drop((two, others, third.await.expect("the place is free again")));
    until("nobody watches", || bed.engine.feed().is_empty()).await;
    bed.close().await;
}

/// A client that asks, hears and vanishes, ten thousand times: what it held is given back each time.
#[tokio::test]
async fn ten_thousand_streams_come_and_go() {
    let bed = Bed::new(&[("nap", "steps: [{ id: nap, run: echo hi; sleep 1000 }]")]).await;
    let run = bed.run("nap").await;
    bed.until(&run, |detail| detail["steps"][0]["state"] == "running").await;
    let files = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    // That the run was submitted is still being written to the audit log, maybe.
    until("nothing is under way", || alive(&bed, "connection") + alive(&bed, "account") == 0).await;
    let tasks = || bed.engine.tasks().alive_by_kind().collect::<Vec<_>>();
    let (tasks_before, files_before) = (tasks(), files());
    let request = format!("GET /api/v1/events?topics=run:{run},log:{run}:nap HTTP/1.1\r\nhost: localhost\r\n\r\n");
    for round in 0..200 {
        let mut sockets = Vec::new();
        for _ in 0..50 {
            let mut socket = TcpStream::connect(bed.address()).await.unwrap();
            socket.write_all(request.as_bytes()).await.unwrap();
            sockets.push(socket);
        }
        // Some wait until they are answered; most vanish wherever their stream stands.
        if round % 10 == 0 {
            sockets[0].readable().await.unwrap();
        }
        drop(sockets);
    }
    until("nobody watches", || bed.engine.feed().is_empty()).await;
    until("the tasks are as before", || tasks() == tasks_before).await;
    // What runs on a thread that may block is of no kind.
    let of_kinds = || tasks().iter().map(|(_, count)| count).sum::<u64>();
    until("no thread works", || bed.engine.tasks().alive() as u64 == of_kinds()).await;
    // Other tests open files of their own meanwhile; ten thousand, or a hundred, would show.
    until("the files are as before", || files() < files_before + 100).await;
    let metrics = bed.get("/metrics").await;
    let metrics = std::str::from_utf8(&metrics.body).unwrap();
    assert!(metrics.contains("\nstaunch_streams 0\n"), "{metrics}");
    bed.close().await;
}

/// Tasks of a kind.
fn alive(bed: &Bed, kind: &str) -> u64 {
    bed.engine.tasks().alive_by_kind().find(|(each, _)| *each == kind).unwrap().1
}

#[tokio::test]
async fn a_run_of_an_older_revision_is_followed_by_its_own_steps() {
    let bed = Bed::new(&[("old", "steps: [{ id: first, run: echo 1 }, { id: second, run: echo 2 }]")]).await;
    let run = bed.run("old").await;
    bed.ended(&run).await;
    bed.write("old", "steps: [{ id: other, run: echo 3 }]").await;
    let events = open(&bed, &format!("run:{run},log:{run}:second")).await.rest().await;
    assert_eq!(text(&events, "second"), "2\n");
    let page = bed.get(&format!("/api/v1/runs/{run}/events")).await.json();
    let started: Vec<_> = page["items"].as_array().unwrap().iter().filter(|e| e["name"] == "step.started").collect();
    assert_eq!((&started[0]["body"]["step"], &started[1]["body"]["step"]), (&json!("first"), &json!("second")));
    let Err(refused) = Live::open(bed.address(), &format!("log:{run}:other"), None).await else { panic!("opened") };
    refused.problem(404, "unknown_step");
    bed.close().await;
}

#[tokio::test]
async fn a_stream_is_resumed_in_a_later_life_of_the_server() {
    let directory = tempfile::tempdir().unwrap();
    let bed = Bed::new(&[("talks", &talks(directory.path()))]).await;
    let run = bed.run("talks").await;
    let topics = format!("run:{run},log:{run}:talk");
    let mut live = open(&bed, &topics).await;
    let events = live.until(|event| text(std::slice::from_ref(event), "talk").contains("one")).await;
    let after = events.last().unwrap().id.clone();
    // The stop ends the stream without an `end`: the run is not over.
    let bed = bed.reopen().await;
    while let Some(event) = live.next().await {
        assert_ne!(event.name, "end");
    }
    std::fs::write(directory.path().join("go"), "").unwrap();
    let later = Live::open(bed.address(), &topics, Some(&after)).await.unwrap().rest().await;
    // The attempt began anew: its new log is told from the start, behind a gap that says so.
    let gap = later.iter().position(|event| event.name == "gap").unwrap();
    assert!(later[gap].body["reason"].as_str().unwrap().contains("anew"), "{later:#?}");
    assert_eq!(text(&later[gap..], "talk"), "one\n€\ntwo\n");
    let known = events.iter().filter_map(|event| event.body["seq"].as_u64()).max().unwrap();
    let seqs: Vec<_> = later.iter().filter_map(|event| event.body["seq"].as_u64()).collect();
    assert_eq!(seqs, (known + 1..=known + seqs.len() as u64).collect::<Vec<_>>(), "no event is lost or told twice");
    assert_eq!(later.last().unwrap().name, "end");
    bed.close().await;
}

/// The one test that waits for a clock: fifteen seconds is what proxies are promised.
#[tokio::test]
async fn a_quiet_stream_shows_that_it_lives() {
    let bed = Bed::new(&[("nap", "steps: [{ id: nap, run: sleep 1000 }]")]).await;
    let run = bed.run("nap").await;
    let mut socket = TcpStream::connect(bed.address()).await.unwrap();
    let request = format!("GET /api/v1/events?topics=run:{run} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    let ping = async {
        let mut buf = [0; 1024];
        while !text.contains(": ping\n\n") {
            let n = socket.read(&mut buf).await.unwrap();
            assert!(n > 0, "closed after {text}");
            text.push_str(std::str::from_utf8(&buf[..n]).unwrap());
        }
    };
    timeout(crate::bed::LONG, ping).await.expect("a ping comes");
    bed.close().await;
}
