//! The stop: streams first, then what is in work, and nothing is left.

use std::time::Duration;

use tokio::time::Instant;

use crate::bed::Bed;
use crate::client::{Live, names};

/// What a connection in work is given at a stop before it is cut.
const DRAIN: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_stop_ends_streams_at_once_and_not_by_cutting_them() {
    let bed = Bed::new(&[("nap", "steps: [{ id: nap, run: sleep 1000 }]")]).await;
    let run = bed.run("nap").await;
    let mut live = Live::open(bed.address(), &format!("run:{run},log:{run}:nap"), None).await.unwrap();
    let first = live.until(|event| event.name == "step.started").await;
    assert_eq!(names(&first), ["run.started", "step.started"]);
    // An idle connection, kept alive, is ended too.
    let idle = tokio::net::TcpStream::connect(bed.address()).await.unwrap();
    let before = Instant::now();
    bed.close().await;
    assert!(before.elapsed() < DRAIN, "it took {:?}", before.elapsed());
    // The run is not over, so there is no `end`: the client will come again.
    while let Some(event) = live.next().await {
        assert_ne!(event.name, "end");
    }
    drop(idle);
}
