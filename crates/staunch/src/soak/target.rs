//! The server that is soaked: soak's own, or one that runs already.

use std::collections::BTreeMap;
use std::time::Duration;

use super::load;
use super::own::{Own, USER};
use super::workflows;
use crate::client::Client;
use crate::failure::Failure;

/// A server.
pub(super) enum Target {
    /// Started by soak, and stopped by it.
    Own(Own),
    /// Somebody's: it is asked and left as it was.
    Foreign(Client),
}

impl Target {
    /// A client with a connection of its own.
    pub(super) fn client(&self) -> Result<Client, Failure> {
        match self {
            Self::Own(own) => own.client(),
            Self::Foreign(client) => Ok(client.fresh()),
        }
    }

    /// As the load asks it.
    pub(super) fn for_load<'a>(&'a self, client: &'a (dyn Fn() -> Result<Client, Failure> + Sync)) -> load::Target<'a> {
        let login = match self {
            Self::Own(own) => Some((USER, own.password())),
            Self::Foreign(_) => None,
        };
        load::Target { client, login }
    }

    /// Whether all that happens on it is soak's doing.
    pub(super) fn is_own(&self) -> bool {
        matches!(self, Self::Own(_))
    }

    /// How long it may take to come to rest: its own threads leave after 10 s without work, soak's server's after less, and there is a
    /// sweep a second.
    pub(super) fn settles_in(&self) -> Duration {
        match self {
            Self::Own(_) => Duration::from_secs(4),
            Self::Foreign(_) => Duration::from_secs(20),
        }
    }

    /// Why a request failed: perhaps the server is dead.
    pub(super) fn explain(&mut self, failure: Failure) -> Failure {
        match self {
            Self::Own(own) => own.explain(failure),
            Self::Foreign(_) => failure,
        }
    }

    /// Stops what soak started, and demands a clean close.
    pub(super) fn close(self) -> Result<(), Failure> {
        match self {
            Self::Own(mut own) => own.stop(),
            Self::Foreign(_) => Ok(()),
        }
    }

    /// Refuses a server that lacks the workflows of the load.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let known: Vec<String> = self.client()?.workflows()?.items.into_iter().map(|workflow| workflow.name).collect();
        let missing: Vec<&str> = workflows::ALL
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| !known.iter().any(|known| known == name))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(Failure::not_found(format!("the server does not have these workflows: {}", missing.join(", ")))
            .hint("write them into its workflows directory: staunch soak --write-workflows DIR"))
    }

    /// Runs that ended in this life, by the outcome's word.
    pub(super) fn outcomes(client: &Client) -> Result<BTreeMap<String, u64>, Failure> {
        Ok(ended(&client.metrics()?))
    }
}

fn ended(metrics: &str) -> BTreeMap<String, u64> {
    let samples = metrics.lines().filter_map(|line| {
        let rest = line.strip_prefix("staunch_runs_ended_total{outcome=\"")?;
        let (outcome, value) = rest.split_once("\"} ")?;
        Some((outcome.to_owned(), value.trim().parse::<u64>().ok()?))
    });
    samples.filter(|(_, runs)| *runs > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::ended;

    #[test]
    fn outcomes_are_read_from_the_metrics() {
        let metrics = "# TYPE staunch_runs_ended counter\nstaunch_runs_ended_total{outcome=\"succeeded\"} 12\n\
                       staunch_runs_ended_total{outcome=\"failed\"} 0\nother{outcome=\"failed\"} 3\n";
        assert_eq!(ended(metrics), [("succeeded".to_owned(), 12)].into());
    }
}
