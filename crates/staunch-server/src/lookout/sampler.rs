//! The task that looks, each second, until the stop.

use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::rare::Rare;
use crate::app::App;

/// A look at what costs more is followed by a pause of so many times its length.
const REST: u32 = 2_000;
/// But not longer: one look that took a second, on a disk that was busy, must not leave rows and files unseen for half an hour. With it
/// looking costs more than half a thousandth only where each look takes longer than 150 ms.
const REST_MAX: Duration = Duration::from_secs(300);

/// Looks until it is told to stop.
pub(crate) async fn watch(app: App, stop: CancellationToken) {
    if cfg!(staunch_unaccounted) {
        return stop.cancelled().await;
    }
    let lookout = &app.lookout;
    let mut ticks = tokio::time::interval(lookout.config.census);
    // After a pause one census is enough: there is nothing to make up for.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut rare_at, mut judge_at) = (Instant::now(), Instant::now() + lookout.config.judge);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        lookout.census(&app);
        if Instant::now() >= rare_at {
            let rare = Rare::look(lookout, &app, None).await;
            rare_at = Instant::now() + lookout.config.rare.max(rest(rare.took) / lookout.config.hurry);
            lookout.remember(rare, runs(&app));
        }
        if Instant::now() >= judge_at {
            lookout.judge(app.engine.tasks()).await;
            judge_at = Instant::now() + lookout.config.judge;
        }
        lookout.profile(&app).await;
    }
}

/// How long it is not looked at what costs more, after a look that took so long.
fn rest(took: Duration) -> Duration {
    took.saturating_mul(REST).min(REST_MAX)
}

fn runs(app: &App) -> u64 {
    app.engine.stats().runs_ended_total.values().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_grows_with_the_look_and_has_a_bound() {
        let ms = Duration::from_millis;
        assert_eq!([ms(1), ms(149), ms(150), ms(151)].map(rest), [ms(2_000), ms(298_000), REST_MAX, REST_MAX]);
        assert_eq!(rest(Duration::MAX), REST_MAX);
    }
}
