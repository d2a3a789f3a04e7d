//! Logs as pages and as downloads.

use staunch_engine::Limits;

use crate::bed::Bed;

const LINES: &str = "
steps:
  - id: count
    run: seq 1 5000
  - id: both
    run: printf 'out\\n'; printf 'err\\n' >&2
  - id: bytes
    run: printf 'a\\377b\\342'
  - id: quiet
    run: 'true'
";

#[tokio::test]
async fn a_log_is_read_page_by_page_by_tail_and_whole() {
    let bed = Bed::new(&[("lines", LINES)]).await;
    let run = bed.run("lines").await;
    bed.ended(&run).await;
    let expected: String = (1..=5000).map(|n| format!("{n}\n")).collect();
    let log = format!("/api/v1/runs/{run}/steps/count/log");
    let (mut text, mut pages, mut path) = (String::new(), 0, format!("{log}?limit=1000"));
    loop {
        let page = bed.get(&path).await.json();
        pages += 1;
        for record in page["records"].as_array().unwrap() {
            text.push_str(record["text"].as_str().unwrap());
        }
        if page["end"] == true {
            break;
        }
        path = format!("{log}?limit=1000&cursor={}", page["next"].as_str().unwrap());
    }
    assert!(text == expected && pages > 20, "{pages} pages");

    let tail = bed.get(&format!("{log}?tail=3")).await.json();
    let tail: String = tail["records"].as_array().unwrap().iter().map(|r| r["text"].as_str().unwrap()).collect();
    assert!(tail.ends_with("4998\n4999\n5000\n") && tail.len() < 200, "{tail:?}");

    let raw = bed.get(&format!("{log}/raw")).await;
    assert!(raw.body == expected.as_bytes());
    assert_eq!(raw.header("content-disposition"), format!("attachment; filename=\"{run}-count-1.log\""));

    let both = format!("/api/v1/runs/{run}/steps/both/log");
    assert_eq!(bed.get(&format!("{both}/raw?stream=stderr")).await.body, "err\n");
    assert_eq!(bed.get(&format!("{both}/raw?stream=stdout")).await.body, "out\n");
    let bytes = format!("/api/v1/runs/{run}/steps/bytes/log");
    assert_eq!(&bed.get(&format!("{bytes}/raw")).await.body[..], b"a\xffb\xe2");
    let page = bed.get(&bytes).await.json();
    let text: String = page["records"].as_array().unwrap().iter().map(|r| r["text"].as_str().unwrap()).collect();
    assert_eq!(text, "a\u{fffd}b\u{fffd}");
    let quiet = bed.get(&format!("/api/v1/runs/{run}/steps/quiet/log")).await.json();
    assert_eq!((&quiet["records"], &quiet["end"]), (&serde_json::json!([]), &serde_json::json!(true)));
    bed.close().await;
}

#[tokio::test]
async fn a_capped_log_says_what_is_missing() {
    let limits = Limits { log_bytes_max: 256 << 10, ..Limits::default() };
    let bed = Bed::with(&[("much", "steps: [{ id: much, run: seq 1 300000 }]")], limits).await;
    let run = bed.run("much").await;
    bed.ended(&run).await;
    let log = format!("/api/v1/runs/{run}/steps/much/log");
    let (mut bytes, mut gap, mut path) = (0, 0, log.clone());
    loop {
        let page = bed.get(&path).await.json();
        bytes +=
            page["records"].as_array().unwrap().iter().map(|r| r["text"].as_str().unwrap().len() as u64).sum::<u64>();
        gap += page["gap"].as_u64().unwrap();
        if page["end"] == true {
            break;
        }
        path = format!("{log}?cursor={}", page["next"].as_str().unwrap());
    }
    let whole: u64 = (1..=300_000u32).map(|n| n.to_string().len() as u64 + 1).sum();
    assert!(gap > 0 && bytes + gap == whole, "{bytes} + {gap} of {whole}");
    let raw = bed.get(&format!("{log}/raw")).await;
    let text = std::str::from_utf8(&raw.body).unwrap();
    assert!(text.starts_with("1\n2\n") && text.ends_with("\n300000\n"));
    assert!(text.contains(&format!("[... {gap} bytes left out ...]")));
    bed.close().await;
}

#[tokio::test]
async fn a_step_that_has_not_begun_has_a_place_to_wait_at() {
    let bed = Bed::new(&[("wait", "steps: [{ id: nap, run: sleep 1000 }, { id: later, run: echo hi }]")]).await;
    let run = bed.run("wait").await;
    let log = format!("/api/v1/runs/{run}/steps/later/log");
    let page = bed.get(&log).await.json();
    assert_eq!((&page["records"], &page["end"]), (&serde_json::json!([]), &serde_json::json!(false)));
    let again = bed.get(&format!("{log}?cursor={}", page["next"].as_str().unwrap())).await;
    assert_eq!(again.json(), page);
    bed.get(&format!("{log}?attempt=2")).await.problem(404, "unknown_attempt");
    assert_eq!(bed.get(&format!("{log}/raw")).await.body, "");
    bed.close().await;
}
