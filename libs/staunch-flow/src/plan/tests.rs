//! Tests of the plan, by what they are about.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::notation::{check, event, perform, plan, workflow};
use super::{Effect, Ended, Event, Plan, Rerun, StepState, Why};
use crate::outcome::{Outcome, RunOutcome};
use crate::workflow::{Inputs, Need, StepIndex};

mod cancel;
mod conditions;
mod deadline;
mod forgiveness;
mod kept;
mod launch;
mod order;
mod retry;
mod size;
mod taint;
