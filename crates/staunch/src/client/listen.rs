//! Listening to a run without telling anybody: as a client does that watches, or that goes away.

use std::io::BufReader;

use super::http::Client;
use super::sse::Frames;
use super::topics::Topics;
use crate::exit::Exit;
use crate::failure::Failure;

impl Client {
    /// Listens to the events of a run and to what these steps say, and hangs up after `most` events or when the run is over. Whether it
    /// was over.
    pub(crate) fn listen(&self, run: &str, steps: &[&str], most: usize) -> Result<bool, Failure> {
        let topics = Topics::of_run(run, steps.iter().map(|step| (*step).to_owned()).collect());
        let body = self.events(&topics.names(), &topics.places())?;
        let mut frames = Frames::new(BufReader::new(body));
        for _ in 0..most {
            let frame = frames
                .next()
                .map_err(|error| Failure::new(Exit::Unreachable, format!("the stream of {run} broke: {error}")))?;
            match frame {
                Some(frame) if frame.event == "end" => return Ok(true),
                Some(_) => {}
                None => {
                    return Err(Failure::new(Exit::Unreachable, format!("the stream of {run} ended before the run")));
                }
            }
        }
        Ok(false)
    }
}
