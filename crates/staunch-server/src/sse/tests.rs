//! Topics, places and framing.
#![expect(clippy::unwrap_used, reason = "tests")]

use serde_json::json;
use staunch_store::RunId;

use super::page::Page;
use super::topic::{Mark, Topic, places};
use crate::cursor::LogCursor;
use crate::problem::Code;

fn code(topics: &str, after: Option<&str>) -> Code {
    places(topics, after, 16).unwrap_err().code()
}

#[test]
fn topics_are_parsed_each_at_its_place() {
    let run = RunId::generate();
    let topics = format!("run:{run},log:{run}:build");
    let fresh = places(&topics, None, 2).unwrap();
    assert_eq!(
        fresh,
        [(Topic::Run(run), Mark::Event(0)), (Topic::Log(run, "build".to_owned()), Mark::Log(LogCursor::default()))]
    );
    assert_eq!(fresh[1].0.to_string(), format!("log:{run}:build"));
    let resumed = places(&topics, Some("17,2.1.4096"), 2).unwrap();
    assert_eq!(resumed[0].1, Mark::Event(17));
    assert_eq!(resumed[1].1, Mark::Log("2.1.4096".parse().unwrap()));
}

#[test]
fn topics_that_make_no_sense_are_refused() {
    let run = RunId::generate();
    for bad in ["", "run", "run:", "log", &format!("log:{run}"), &format!("log:{run}:"), "memory:x", "Run:x"] {
        assert!(matches!(code(bad, None), Code::InvalidTopics | Code::InvalidId), "{bad:?}");
    }
    assert_eq!(code(&format!("run:{run},run:{run}"), None), Code::InvalidTopics);
    assert_eq!(code(&format!("run:{run},"), None), Code::InvalidTopics);
    assert_eq!(code("run:run_1", None), Code::InvalidId);
    for bad in ["", "x", "-1", "1,2", "1,", "1.1.1", "18446744073709551616"] {
        assert_eq!(code(&format!("run:{run}"), Some(bad)), Code::InvalidCursor, "{bad:?}");
    }
    assert_eq!(code(&format!("run:{run},log:{run}:a"), Some("1")), Code::InvalidCursor);
}

#[test]
fn topics_have_a_bound() {
    let topics = |n: usize| (0..n).map(|_| format!("run:{}", RunId::generate())).collect::<Vec<_>>().join(",");
    assert_eq!(places(&topics(15), None, 16).unwrap().len(), 15);
    assert_eq!(places(&topics(16), None, 16).unwrap().len(), 16);
    assert_eq!(code(&topics(17), None), Code::InvalidTopics);
}

#[test]
fn an_event_is_framed_with_the_places_after_it() {
    let mut page = Page::new(vec![Mark::Event(0), Mark::Log(LogCursor::default())], 1000);
    page.retry(1000);
    page.event("step.started", 0, Mark::Event(5), &json!({"text": "a\nb\r\u{2028}\0"}));
    page.mark(1, Mark::Log(LogCursor::start(2, 1)));
    page.say("end", &json!({}));
    page.ping();
    let text = String::from_utf8(page.take().to_vec()).unwrap();
    assert_eq!(
        text,
        "retry: 1000\n\nevent: step.started\nid: 5,0.0.0\ndata: {\"text\":\"a\\nb\\r\u{2028}\\u0000\"}\n\n\
         event: end\nid: 5,2.1.0\ndata: {}\n\n: ping\n\n"
    );
    assert!(page.is_empty());
}

#[test]
fn a_page_is_full_at_its_bound() {
    let mut page = Page::new(vec![], 16);
    page.ping();
    assert!(!page.is_full());
    page.ping();
    assert!(page.is_full());
    page.take();
    assert!(!page.is_full());
}
