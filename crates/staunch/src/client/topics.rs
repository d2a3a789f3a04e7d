//! Which topics one live stream has: there may be more steps than a stream has room for.

use std::collections::{BTreeMap, BTreeSet};

use crate::news::News;

/// Logs in one stream beside the run itself: a server takes 16 topics by default.
const LOGS_MAX: usize = 15;

/// The place before the first byte of an attempt, as the server writes places; attempt 0 is before any.
fn start_of(attempt: u32) -> String {
    format!("{attempt}.0.0")
}

/// The topics of a stream, and how far each was read. A stream's event id names the place of every topic, in the order in which
/// they were asked for, so that topics can come and go between two connections and nothing is told twice.
pub(super) struct Topics {
    run: String,
    /// The place in the run's events, unless only a log is wanted.
    events: Option<String>,
    /// The steps whose logs are wanted and that are not over, in the file's order.
    unsettled: Vec<String>,
    /// The steps whose logs are in the stream, each with the place in it.
    logs: Vec<(String, String)>,
    /// Steps that have started without a place in the stream.
    late: BTreeSet<String>,
    /// Steps whose output up to this attempt was told at its end.
    heard: BTreeMap<String, u32>,
}

impl Topics {
    /// The events of a run, and what these steps say.
    pub(super) fn of_run(run: &str, steps: Vec<String>) -> Self {
        let mut topics = Self {
            run: run.to_owned(),
            events: Some("0".to_owned()),
            unsettled: steps,
            logs: Vec::new(),
            late: BTreeSet::new(),
            heard: BTreeMap::new(),
        };
        topics.fill();
        topics
    }

    /// Only what one step says.
    pub(super) fn of_step(run: &str, step: String) -> Self {
        let logs = vec![(step, start_of(0))];
        Self {
            run: run.to_owned(),
            events: None,
            unsettled: Vec::new(),
            logs,
            late: BTreeSet::new(),
            heard: BTreeMap::new(),
        }
    }

    /// The topics, as a request names them.
    pub(super) fn names(&self) -> String {
        let events = self.events.iter().map(|_| format!("run:{}", self.run));
        let logs = self.logs.iter().map(|(step, _)| format!("log:{}:{step}", self.run));
        events.chain(logs).collect::<Vec<_>>().join(",")
    }

    /// The place of each, as the id of an event that was the last one seen.
    pub(super) fn places(&self) -> String {
        let logs = self.logs.iter().map(|(_, place)| place.as_str());
        self.events.as_deref().into_iter().chain(logs).collect::<Vec<_>>().join(",")
    }

    /// Minds the id of an event.
    pub(super) fn seen(&mut self, id: &str) {
        let places: Vec<&str> = id.split(',').collect();
        let own = self.events.as_mut().into_iter().chain(self.logs.iter_mut().map(|(_, place)| place));
        let own: Vec<&mut String> = own.collect();
        // An id of another form is of a server that we do not know; going on from the last place known tells something twice
        // rather than not at all.
        if own.len() == places.len() {
            own.into_iter().zip(places).for_each(|(own, place)| place.clone_into(own));
        }
    }

    /// Minds what was told. Whether this is the end of a step whose output was not in the stream.
    pub(super) fn told(&mut self, news: &News) -> bool {
        match news {
            News::Started { step, .. } => {
                if self.unsettled.contains(step) && !self.has(step) {
                    self.late.insert(step.clone());
                }
                false
            }
            News::Ended { step, attempt, .. } => {
                let unheard = self.late.remove(step);
                if unheard {
                    self.heard.insert(step.clone(), *attempt);
                }
                unheard
            }
            News::Settled { step, .. } => {
                self.unsettled.retain(|other| other != step);
                self.heard.remove(step);
                false
            }
            _ => false,
        }
    }

    /// Makes room for steps that came late, in place of those that are over. Whether the topics are others now.
    pub(super) fn change(&mut self) -> bool {
        let over = self.logs.iter().any(|(step, _)| !self.unsettled.contains(step));
        let change = over && !self.late.is_empty();
        if change {
            self.logs.retain(|(step, _)| self.unsettled.contains(step));
            self.fill();
        }
        change
    }

    /// Fills the room there is: first with steps that have started, then with those that will.
    fn fill(&mut self) {
        let late = self.unsettled.iter().filter(|step| self.late.contains(*step));
        let other = self.unsettled.iter().filter(|step| !self.late.contains(*step) && !self.has(step));
        let room = LOGS_MAX.saturating_sub(self.logs.len());
        let new: Vec<_> = late
            .chain(other)
            .take(room)
            .map(|step| (step.clone(), start_of(self.heard.get(step).map_or(0, |attempt| attempt + 1))))
            .collect();
        new.iter().for_each(|(step, _)| {
            self.late.remove(step);
        });
        self.logs.extend(new);
    }

    fn has(&self, step: &str) -> bool {
        self.logs.iter().any(|(other, _)| other == step)
    }
}

#[cfg(test)]
mod tests {
    use staunch_flow::Outcome;

    use super::*;

    fn steps(count: usize) -> Vec<String> {
        (1..=count).map(|number| format!("s{number}")).collect()
    }

    fn started(step: &str) -> News {
        News::Started { step: step.to_owned(), attempt: 1 }
    }

    fn ended(step: &str) -> News {
        News::Ended { step: step.to_owned(), attempt: 1, outcome: Outcome::Succeeded }
    }

    fn settled(step: &str) -> News {
        News::Settled { step: step.to_owned(), outcome: Outcome::Succeeded, why: None }
    }

    #[test]
    fn a_small_run_has_all_its_steps_in_the_stream() {
        let mut topics = Topics::of_run("r", steps(2));
        assert_eq!((topics.names(), topics.places()), ("run:r,log:r:s1,log:r:s2".into(), "0,0.0.0,0.0.0".into()));
        topics.seen("7,1.1.40,0.0.0");
        assert_eq!(topics.places(), "7,1.1.40,0.0.0");
        assert!(!topics.told(&started("s1")) && !topics.told(&ended("s1")));
        assert!(!topics.told(&settled("s1")) && !topics.change());
        topics.seen("unknown");
        assert_eq!(topics.places(), "7,1.1.40,0.0.0");
    }

    #[test]
    fn a_late_step_takes_the_place_of_one_that_is_over_and_the_others_keep_theirs() {
        let mut topics = Topics::of_run("r", steps(20));
        assert_eq!(topics.logs.len(), LOGS_MAX);
        topics.told(&started("s16"));
        assert!(!topics.change(), "nothing is over");
        topics.seen(&format!("9{}", ",1.1.5".repeat(LOGS_MAX)));
        topics.told(&settled("s1"));
        assert!(topics.change());
        assert!(topics.names().ends_with("log:r:s15,log:r:s16"), "{}", topics.names());
        assert!(topics.places().starts_with("9,1.1.5,") && topics.places().ends_with(",1.1.5,0.0.0"));
        assert!(!topics.told(&ended("s16")), "its output was in the stream");
        assert!(!topics.change(), "nobody waits");
    }

    #[test]
    fn a_step_that_never_was_in_the_stream_is_told_at_its_end() {
        let mut topics = Topics::of_run("r", steps(16));
        topics.told(&started("s16"));
        assert!(topics.told(&ended("s16")));
        assert!(!topics.told(&ended("s16")), "once");
    }

    #[test]
    fn what_was_told_at_the_end_of_an_attempt_is_not_told_again_in_the_stream() {
        let mut topics = Topics::of_run("r", steps(16));
        topics.told(&started("s16"));
        assert!(topics.told(&ended("s16")));
        topics.told(&News::Started { step: "s16".to_owned(), attempt: 2 });
        topics.told(&settled("s1"));
        assert!(topics.change());
        assert!(topics.places().ends_with(",2.0.0"), "{}", topics.places());
        topics.told(&settled("s16"));
        assert!(topics.heard.is_empty());
    }

    #[test]
    fn one_step_alone() {
        let topics = Topics::of_step("r", "build".to_owned());
        assert_eq!((topics.names(), topics.places()), ("log:r:build".into(), "0.0.0".into()));
    }
}
