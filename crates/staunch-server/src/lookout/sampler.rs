//! The task that looks, each second, until the stop.

use std::time::Instant;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::rare::Rare;
use crate::app::App;

/// A look at what costs more is followed by a pause of so many times its length.
const REST: u32 = 2_000;

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
            let rare = Rare::look(lookout, &app).await;
            rare_at = Instant::now() + lookout.config.rare.max(rare.took * REST / lookout.config.hurry);
            lookout.remember(rare, runs(&app));
        }
        if Instant::now() >= judge_at {
            lookout.judge(app.engine.tasks()).await;
            judge_at = Instant::now() + lookout.config.judge;
        }
        lookout.profile(&app).await;
    }
}

fn runs(app: &App) -> u64 {
    app.engine.stats().runs_ended_total.values().sum()
}
