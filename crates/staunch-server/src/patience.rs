//! How long the store is waited for by what must go on without it: metrics, and the watch.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::timeout;

/// The store answers in milliseconds. Prometheus waits for ten seconds in all, and asks for three things of the store.
const STORE_MAX: Duration = Duration::from_secs(2);

/// What was asked for, unless that fails or takes too long: a store that is closed, broken or hangs must not take along what does not
/// need it. `what` is for the log.
pub(crate) async fn in_time<T, E: Display>(what: &str, asked: impl Future<Output = Result<T, E>>) -> Option<T> {
    match timeout(STORE_MAX, asked).await {
        Ok(Ok(answer)) => Some(answer),
        Ok(Err(error)) => {
            tracing::warn!("{what} cannot be told: {error}");
            None
        }
        Err(_) => {
            tracing::warn!("{what} cannot be told: the store has not answered in {} s", STORE_MAX.as_secs());
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_store_that_hangs_is_not_waited_for() {
        let begun = Instant::now();
        assert_eq!(in_time("rows", ready(Ok::<_, &str>(5))).await, Some(5));
        assert_eq!(in_time("rows", ready(Err::<u64, _>("closed"))).await, None);
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert_eq!(in_time("rows", pending::<Result<u64, &str>>()).await, None);
        assert_eq!(begun.elapsed(), STORE_MAX);
    }
}
