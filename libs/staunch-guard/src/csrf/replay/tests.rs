//! Tests of the body made whole again.
#![expect(clippy::unwrap_used, reason = "tests")]

use http_body_util::BodyExt;
use staunch_bounded::Budget;

use super::*;
use crate::csrf::fakes::{Chunks, block_on};

fn trailers() -> HeaderMap {
    HeaderMap::from_iter([(http::HeaderName::from_static("x-sum"), http::HeaderValue::from_static("7"))])
}

/// Reads `begun` bytes at least, as the guard does, and resumes.
fn resumed(mut body: Chunks, begun: usize, charge: Charge) -> Replay<Chunks> {
    let mut read = Begun::default();
    let mut seen_trailers = None;
    let mut ended = false;
    while read.seen().len() < begun || begun == usize::MAX {
        match block_on(body.frame()) {
            None => {
                ended = true;
                break;
            }
            Some(frame) => match frame.unwrap().into_data() {
                Ok(chunk) => read.push(chunk),
                Err(frame) => seen_trailers = frame.into_trailers().ok(),
            },
        }
    }
    Replay::resumed(read, seen_trailers, ended, body, charge)
}

#[test]
fn bytes_trailers_and_sizes_are_the_same_wherever_reading_stopped() {
    let text: Vec<u8> = (0..100).collect();
    let budget = Budget::root("test", 1000);
    for size in [1, 7, 100, 1000] {
        for begun in [0, 1, 50, 99, 100, usize::MAX] {
            let exact = resumed(Chunks::new(&text, size), begun, budget.try_reserve(10).unwrap());
            assert_eq!(exact.size_hint().exact(), Some(100), "{size} {begun}");
            assert_eq!(block_on(exact.collect()).unwrap().to_bytes(), text, "{size} {begun}");

            let body = Chunks::new(&text, size).trailers(trailers());
            let body = resumed(body, begun, budget.try_reserve(10).unwrap());
            assert!(body.size_hint().lower() <= 100 && !body.is_end_stream());
            let collected = block_on(body.collect()).unwrap();
            assert_eq!(collected.trailers(), Some(&trailers()), "{size} {begun}");
            assert_eq!(collected.to_bytes(), text, "{size} {begun}");
        }
    }
    assert_eq!(budget.used(), 0);
}

#[test]
fn an_empty_body_that_was_read_to_its_end_is_at_its_end() {
    let budget = Budget::root("test", 1000);
    let body = resumed(Chunks::new(b"", 1), usize::MAX, Charge::nothing(&budget));
    assert!(body.is_end_stream());
    assert_eq!(body.size_hint().exact(), Some(0));
    assert_eq!(block_on(body.collect()).unwrap().to_bytes(), "");
}

#[test]
fn an_error_after_the_beginning_still_comes() {
    let budget = Budget::root("test", 1000);
    let mut body = resumed(Chunks::new(b"abcd", 2).breaks(), 2, Charge::nothing(&budget));
    assert_eq!(block_on(body.frame()).unwrap().unwrap().into_data().unwrap(), "ab");
    assert_eq!(block_on(body.frame()).unwrap().unwrap().into_data().unwrap(), "cd");
    assert!(block_on(body.frame()).unwrap().is_err());
}
