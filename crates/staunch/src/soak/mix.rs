//! What happens in a cycle, and what is to come of it.

use std::collections::BTreeMap;

use crate::cli::{Mix, Share};
use crate::failure::Failure;

/// The kinds of a load, in the order in which they come round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Load {
    shares: Vec<Share>,
    /// Whether the server is to be restarted.
    pub(super) restart: bool,
}

/// How many runs end how, by the outcome's word.
pub(super) type Outcomes = BTreeMap<&'static str, u64>;

impl Mix {
    /// All of them.
    const ALL: [Self; 13] = [
        Self::Small,
        Self::Ok,
        Self::Fail,
        Self::Kill,
        Self::Timeout,
        Self::Cancel,
        Self::Disconnect,
        Self::Big,
        Self::Rerun,
        Self::Bad,
        Self::Login,
        Self::Token,
        Self::Restart,
    ];

    /// Whether only a server of soak's own can be asked for it.
    const fn needs_own(self) -> bool {
        matches!(self, Self::Login | Self::Token | Self::Restart)
    }

    /// Its word.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Ok => "ok",
            Self::Fail => "fail",
            Self::Kill => "kill",
            Self::Timeout => "timeout",
            Self::Cancel => "cancel",
            Self::Disconnect => "disconnect",
            Self::Big => "big",
            Self::Rerun => "rerun",
            Self::Bad => "bad",
            Self::Login => "login",
            Self::Token => "token",
            Self::Restart => "restart",
        }
    }

    /// The runs it makes.
    const fn runs(self) -> u32 {
        match self {
            Self::Bad | Self::Login | Self::Token | Self::Restart => 0,
            Self::Small
            | Self::Ok
            | Self::Fail
            | Self::Kill
            | Self::Timeout
            | Self::Cancel
            | Self::Disconnect
            | Self::Big => 1,
            Self::Rerun => 2,
        }
    }
}

impl Load {
    /// As asked, or all that the server can do.
    ///
    /// # Errors
    /// Nothing of it is a run, or a foreign server would have to be restarted.
    pub(super) fn of(asked: &[Share], own: bool) -> Result<Self, Failure> {
        if let Some(share) = asked.iter().find(|share| share.kind.needs_own() && !own) {
            let message =
                format!("`{}` needs a server that soak starts itself: leave --server away", share.kind.word());
            return Err(Failure::usage(message));
        }
        let all = || Mix::ALL.into_iter().filter(|kind| own || !kind.needs_own());
        let mut shares: Vec<Share> = match asked {
            [] => all().map(|kind| Share { kind, times: 1 }).collect(),
            asked => asked.to_vec(),
        };
        let restart = shares.iter().any(|share| share.kind == Mix::Restart);
        shares.retain(|share| share.kind != Mix::Restart);
        if shares.iter().all(|share| share.kind.runs() == 0) {
            return Err(Failure::usage("nothing in the mix is a run: add `ok` to it"));
        }
        Ok(Self { shares, restart })
    }

    /// Round after round of it, from the first kind on.
    pub(super) fn rounds(&self) -> Rounds {
        Rounds(self.round().into_iter().cycle())
    }

    /// Each kind as often as it is to come, spread evenly: whoever has waited longest for its share comes next.
    fn round(&self) -> Vec<Mix> {
        let all: i64 = self.shares.iter().map(|share| i64::from(share.times)).sum();
        let mut due = vec![0_i64; self.shares.len()];
        let next = |_| {
            due.iter_mut().zip(&self.shares).for_each(|(due, share)| *due += i64::from(share.times));
            // The first of equals, so that a round begins as it was written.
            let place = (0..due.len()).rev().max_by_key(|place| due[*place])?;
            due[place] -= all;
            Some(self.shares[place].kind)
        };
        (0..all).filter_map(next).collect()
    }

    /// In words, as it could be asked.
    pub(super) fn words(&self) -> String {
        let share = |share: &Share| match share.times {
            1 => share.kind.word().to_owned(),
            times => format!("{}:{times}", share.kind.word()),
        };
        let restart = self.restart.then(|| Mix::Restart.word().to_owned());
        let words: Vec<String> = self.shares.iter().map(share).chain(restart).collect();
        words.join(",")
    }
}

/// Rounds of a load. A cycle may be shorter than a round, so the next goes on where it stopped: else what comes seldom would never come.
pub(super) struct Rounds(std::iter::Cycle<std::vec::IntoIter<Mix>>);

impl Rounds {
    /// What is done in the next cycle until it has made so many runs.
    pub(super) fn jobs(&mut self, runs: u32) -> Vec<Mix> {
        let (mut made, mut jobs) = (0, Vec::new());
        while made < runs {
            // There is always one more, and a load has a run somewhere.
            let Some(kind) = self.0.next() else { break };
            made += kind.runs();
            jobs.push(kind);
        }
        jobs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_makes_as_many_runs_as_asked_or_one_more() {
        let load = Load::of(&[], true).expect("a load");
        assert!(load.restart && load.words().ends_with("token,restart"));
        for runs in [1, 2, 7, 8, 9, 100] {
            let made: u32 = load.rounds().jobs(runs).into_iter().map(Mix::runs).sum();
            assert!((runs..=runs + 1).contains(&made), "{runs}: {made}");
        }
        let jobs = Load::of(&shares("fail,bad,rerun"), true).expect("a load").rounds().jobs(4);
        assert_eq!(jobs, [Mix::Fail, Mix::Bad, Mix::Rerun, Mix::Fail]);
    }

    #[test]
    fn a_cycle_goes_on_in_the_round_where_the_last_one_stopped() {
        let mut rounds = Load::of(&shares("ok:5,bad,big"), true).expect("a load").rounds();
        let cycles: Vec<Vec<&str>> = (0..4).map(|_| rounds.jobs(2).into_iter().map(Mix::word).collect()).collect();
        assert_eq!(cycles, [vec!["ok", "ok"], vec!["bad", "ok", "big"], vec!["ok", "ok"], vec!["ok", "ok"]]);
    }

    fn shares(words: &str) -> Vec<Share> {
        words.split(',').map(|word| word.parse().expect(word)).collect()
    }

    #[test]
    fn shares_are_kept_and_spread() {
        let load = Load::of(&shares("ok:4,fail:2,bad"), true).expect("a load");
        let words: Vec<&str> = load.round().into_iter().map(Mix::word).collect();
        assert_eq!(words, ["ok", "fail", "ok", "bad", "ok", "fail", "ok"]);
        assert_eq!(load.words(), "ok:4,fail:2,bad");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert!(Load::of(&shares("bad,login,restart"), true).is_err());
        for own_only in ["ok,login", "ok,token", "ok,restart"] {
            assert!(Load::of(&shares(own_only), false).is_err());
        }
        assert_eq!(
            Load::of(&[], false).expect("a load").words(),
            "small,ok,fail,kill,timeout,cancel,disconnect,big,rerun,bad"
        );
    }
}
