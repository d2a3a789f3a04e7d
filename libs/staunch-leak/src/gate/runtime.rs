//! Bodies on a Tokio runtime.

use std::rc::Rc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use super::growth::{Flat, Growth};
use super::no_growth;
use super::options::{BETWEEN_LOOKS, Options, Pause};

/// How long a thread of the blocking pool waits for more work. Ten seconds by default, for which a gate would have to wait.
const KEEP_ALIVE: Duration = Duration::from_millis(10);

/// A runtime in the calling thread, with time and I/O, whose blocking threads leave after 10 ms.
///
/// One thread is right for a gate: with more, whether each has been warmed up is up to chance. Give [`no_growth_async`] a
/// runtime with more where they are the point, and enough warm-ups. The runtime's table of blocking threads grows by how many
/// happen to overlap, so a body that blocks had better make its own runtime each time, under plain [`no_growth`].
///
/// # Panics
/// If the system has no more descriptors.
pub fn current_thread() -> Runtime {
    let runtime = Builder::new_current_thread().enable_all().thread_keep_alive(KEEP_ALIVE).build();
    runtime.expect("the system has descriptors for a runtime")
}

/// [`no_growth`] of an async body on a runtime, whose alive tasks are compared too. The runtime is shut down afterwards.
///
/// # Errors
/// [`Growth`]. A task that stayed shows as `tasks alive` and by the site where it was spawned.
///
/// # Panics
/// As [`no_growth`].
///
/// ```
/// #[global_allocator]
/// static COUNTING: staunch_leak::Counting = staunch_leak::Counting::new();
///
/// use staunch_leak::{Options, gate::{current_thread, no_growth_async}};
/// let flat = no_growth_async(Options::default(), current_thread(), async || tokio::task::yield_now().await);
/// assert_eq!(flat.unwrap().rounds, 20);
/// ```
pub fn no_growth_async(options: Options, runtime: Runtime, mut body: impl AsyncFnMut()) -> Result<Flat, Growth> {
    let metrics = runtime.metrics();
    let settle_max = options.settle_max;
    let runtime = Rc::new(runtime);
    let turning = Rc::clone(&runtime);
    let mut options = options.counter("tasks alive", move || metrics.num_alive_tasks() as u64);
    // A runtime in the calling thread runs its tasks only while somebody waits on it.
    options.pause = Pause(Box::new(move || turning.block_on(async { tokio::time::sleep(BETWEEN_LOOKS).await })));
    let found = no_growth(&options, || runtime.block_on(body()));
    drop(options);
    // A blocking task may never end; the gate has seen its thread by now and must not wait for it for ever.
    if let Ok(runtime) = Rc::try_unwrap(runtime) {
        runtime.shutdown_timeout(settle_max);
    }
    found
}
