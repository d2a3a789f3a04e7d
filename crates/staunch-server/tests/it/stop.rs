//! The stop: streams first, then what is in work, and nothing is left.

use serde_json::json;
use tokio::time::{Instant, timeout};

use crate::bed::{Bed, LONG};
use crate::client::Live;

#[tokio::test]
async fn a_stop_ends_streams_at_once_and_a_later_life_goes_on() {
    let bed =
        Bed::new(&[("quick", "steps: [{ id: only, run: 'true' }]"), ("nap", "steps: [{ id: nap, run: sleep 1000 }]")])
            .await;
    let run = bed.run("nap").await;
    bed.until(&run, |detail| detail["steps"][0]["state"] == "running").await;
    let mut live = Live::open(bed.address(), &format!("run:{run},log:{run}:nap"), None).await.unwrap();
    live.until(|event| event.name == "step.started").await;
    bed.post(&format!("/api/v1/runs/{run}/cancel"), &json!({"force": true})).await;
    let second = bed.run("quick").await;
    bed.ended(&second).await;
    let other = Live::open(bed.address(), &format!("run:{second}"), None).await.unwrap().rest().await;
    assert_eq!(other.last().unwrap().name, "end");
    bed.ended(&run).await;
    live.rest().await;

    let nap = bed.run("nap").await;
    let mut open = Live::open(bed.address(), &format!("run:{nap}"), None).await.unwrap();
    open.until(|event| event.name == "step.started").await;
    bed.post(&format!("/api/v1/runs/{nap}/cancel"), &json!({"force": true})).await;
    let mut idle = Live::open(bed.address(), &format!("run:{nap}"), None).await.unwrap();
    idle.rest().await;
    let before = Instant::now();
    timeout(LONG, bed.close()).await.unwrap();
    assert!(before.elapsed() < LONG / 2);
    // Without an `end`, unless its run ended just before: the client will come again.
    while let Some(event) = open.next().await {
        assert!(event.name.starts_with("run.") || event.name.starts_with("step.") || event.name == "end", "{event:?}");
    }
}
