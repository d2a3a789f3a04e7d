//! Listening to a run without telling anybody: as a client does that watches, or that goes away.

use std::io::{BufRead, BufReader};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::http::Client;
use super::sse::{Frames, PING};
use super::topics::Topics;
use crate::exit::Exit;
use crate::failure::Failure;

/// A run of which nothing is heard for so long but that the server is there is stuck: four of the server's pings.
const STUCK: Duration = Duration::from_secs(60);

impl Client {
    /// Listens to the events of a run and to what these steps say, and hangs up after `most` events or when the run is over. Whether it
    /// was over. Pings are no events.
    ///
    /// # Errors
    /// The stream breaks, somebody wants to stop, or nothing happens for a minute. All of it is seen when a frame comes, a ping too.
    pub(crate) fn listen(&self, run: &str, steps: &[&str], most: usize, stop: &AtomicBool) -> Result<bool, Failure> {
        let topics = Topics::of_run(run, steps.iter().map(|step| (*step).to_owned()).collect());
        let body = self.events(&topics.names(), &topics.places())?;
        Listening { run, most, stop }.hear(Frames::new(BufReader::new(body)), Instant::now)
    }
}

/// To what, for how long, and who may end it.
struct Listening<'a> {
    run: &'a str,
    most: usize,
    stop: &'a AtomicBool,
}

impl Listening<'_> {
    fn hear<R: BufRead>(&self, mut frames: Frames<R>, now: impl Fn() -> Instant) -> Result<bool, Failure> {
        let Self { run, most, stop } = self;
        let (mut heard, mut since) = (0, now());
        while heard < *most {
            // A flag alone, and nothing that it guards.
            if stop.load(Ordering::Relaxed) {
                return Err(Failure::new(Exit::Interrupted, "stopped"));
            }
            let frame = frames
                .next()
                .map_err(|error| Failure::new(Exit::Unreachable, format!("the stream of {run} broke: {error}")))?;
            match frame {
                Some(frame) if frame.event == "end" => return Ok(true),
                Some(frame) if frame.event == PING => {
                    if now().saturating_duration_since(since) >= STUCK {
                        let seconds = STUCK.as_secs();
                        let message = format!("nothing has happened in {run} for {seconds} s, and it is not over");
                        return Err(Failure::new(Exit::TimedOut, message));
                    }
                }
                Some(_) => (heard, since) = (heard + 1, now()),
                None => {
                    return Err(Failure::new(Exit::Unreachable, format!("the stream of {run} ended before the run")));
                }
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// What comes of a stream in which so many seconds pass before each look at the clock; at most three events are wanted.
    fn heard(text: &str, seconds: u64, stop: bool) -> Result<bool, Exit> {
        let (begun, looks) = (Instant::now(), Cell::new(0));
        let now = || {
            let look = looks.replace(looks.get() + 1);
            begun + Duration::from_secs(seconds) * look
        };
        let stop = AtomicBool::new(stop);
        let listening = Listening { run: "7", most: 3, stop: &stop };
        listening.hear(Frames::new(text.as_bytes()), now).map_err(|failure| failure.exit)
    }

    #[test]
    fn a_run_that_is_stuck_is_not_listened_to_for_ever() {
        // A letter a frame: a ping, an event, the end.
        let of = |letters: &str, seconds, stop| {
            let frame = |letter| match letter {
                'p' => ": ping\n\n",
                'e' => "data: a\n\n",
                _ => "event: end\ndata: {}\n\n",
            };
            heard(&letters.chars().map(frame).collect::<String>(), seconds, stop)
        };
        assert_eq!(of("ee.", 0, false), Ok(true));
        // Pings are not among the events that are wanted.
        assert_eq!(of("pppppee.", 0, false), Ok(true));
        assert_eq!(of("epppppee", 0, false), Ok(false));
        // Three quarters of a minute, and a minute, of nothing but pings.
        assert_eq!(of("ppp.", 15, false), Ok(true));
        assert_eq!(of("pppp.", 15, false), Err(Exit::TimedOut));
        // An event begins the minute anew.
        assert_eq!(of("pppeppp.", 15, false), Ok(true));
        assert_eq!(of("e.", 0, true), Err(Exit::Interrupted));
        assert_eq!(of("ep", 0, false), Err(Exit::Unreachable));
    }
}
