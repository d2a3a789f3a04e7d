//! What happens to a run while somebody follows it, wherever it runs.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use staunch_flow::{Outcome, RunOutcome, Why};
use staunch_server::wire::{LogStream, in_words};

/// One piece of news about a run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum News {
    /// An attempt of a step has started.
    Started {
        /// The step's id.
        step: String,
        /// Which attempt, from 1.
        attempt: u32,
    },
    /// A step said something.
    Output {
        /// The step's id.
        step: String,
        /// Which stream.
        stream: LogStream,
        /// What it said; need not be a line.
        bytes: Vec<u8>,
    },
    /// Some of what was said is not here.
    LeftOut {
        /// The step's id, if it is only one.
        step: Option<String>,
        /// What is missing, in words.
        what: String,
    },
    /// An attempt is over; the step may be tried again.
    Ended {
        /// The step's id.
        step: String,
        /// Which attempt, from 1.
        attempt: u32,
        /// How.
        outcome: Outcome,
    },
    /// A step will be tried again.
    Retrying {
        /// The step's id.
        step: String,
        /// The attempt to come, from 2.
        attempt: u32,
        /// After this long.
        delay: Duration,
    },
    /// A step is over for good.
    Settled {
        /// The step's id.
        step: String,
        /// How.
        outcome: Outcome,
        /// Why, where the outcome alone does not say.
        why: Option<String>,
    },
    /// The run is over; nothing follows.
    Over(RunOutcome),
}

/// The news in an event of a run, if people need to know. `ids` are the ids of the steps, for bodies that name a step by
/// its place.
pub(crate) fn of_event(name: &str, body: &Value, ids: &[String]) -> Option<News> {
    let step = || match body.get("step")? {
        Value::String(id) => Some(id.clone()),
        place => ids.get(usize::try_from(place.as_u64()?).ok()?).cloned(),
    };
    let attempt = || u32::try_from(body.get("attempt")?.as_u64()?).ok();
    let outcome = || Outcome::deserialize(body.get("outcome")?).ok();
    match name {
        "step.started" => Some(News::Started { step: step()?, attempt: attempt()? }),
        "step.ended" => Some(News::Ended { step: step()?, attempt: attempt()?, outcome: outcome()? }),
        "step.retrying" => {
            let delay = Duration::from_millis(body.get("delay_ms").and_then(Value::as_u64).unwrap_or(0));
            Some(News::Retrying { step: step()?, attempt: attempt()?, delay })
        }
        "step.settled" => Some(News::Settled { step: step()?, outcome: outcome()?, why: why(body) }),
        "run.ended" => Some(News::Over(RunOutcome::deserialize(body.get("outcome")?).ok()?)),
        // Others come and go; what they mean shows in those above.
        _ => None,
    }
}

/// Why a step was settled, in words: as the server says it, or as the engine records it.
fn why(body: &Value) -> Option<String> {
    match body.get("why") {
        Some(Value::String(words)) => Some(words.clone()),
        _ => Why::deserialize(body.get("reason")?).ok().map(|why| in_words(&why)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_step_may_be_named_by_its_id_or_its_place() {
        let ids = ["a".to_owned(), "b".to_owned()];
        let started = |step: Value| of_event("step.started", &json!({ "step": step, "attempt": 1 }), &ids);
        assert_eq!(started(json!("x")), Some(News::Started { step: "x".to_owned(), attempt: 1 }));
        assert_eq!(started(json!(1)), Some(News::Started { step: "b".to_owned(), attempt: 1 }));
        assert_eq!(started(json!(2)), None);
        assert_eq!(started(json!(-1)), None);
        assert_eq!(started(json!(null)), None);
    }

    #[test]
    fn a_reason_is_told_in_words_whoever_says_it() {
        for body in [
            json!({ "step": "b", "outcome": "skipped", "why": "the run was cancelled" }),
            json!({ "step": "b", "outcome": "skipped", "reason": { "why": "run_cancelled" } }),
        ] {
            let why = Some("the run was cancelled".to_owned());
            let settled = News::Settled { step: "b".to_owned(), outcome: Outcome::Skipped, why };
            assert_eq!(of_event("step.settled", &body, &[]), Some(settled));
        }
    }

    #[test]
    fn what_is_not_known_is_no_news() {
        assert_eq!(of_event("run.dreaming", &json!({}), &[]), None);
        assert_eq!(of_event("run.ended", &json!({ "outcome": "bored" }), &[]), None);
        assert_eq!(of_event("step.ended", &json!([]), &[]), None);
    }
}
