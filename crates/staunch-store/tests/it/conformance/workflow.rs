//! Publishing and retiring.

use std::sync::Arc;
use std::time::Duration;

use staunch_store::{NewRevision, RevisionId, StoreError};

use super::subject::{self, LIMITS, Make, Subject, new_run};

async fn publish(s: &Subject, text: &str, file: Option<&str>) -> Result<RevisionId, StoreError> {
    let file = file.map(str::to_owned);
    s.store.publish(NewRevision { name: "w".to_owned(), text: Arc::from(text), file }).await
}

pub(crate) async fn a_published_text_is_current_and_can_be_read(make: Make) {
    let s = make(LIMITS);
    let id = publish(&s, "text", Some("w.yaml")).await.unwrap();
    assert_eq!(id, RevisionId::of(b"text"));
    assert_eq!(s.store.revision(id).await.unwrap().as_deref(), Some("text"));
    let rows = s.store.workflows().await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].name.as_str(), rows[0].revision, rows[0].file.as_deref()), ("w", id, Some("w.yaml")));
    assert!(rows[0].last_run.is_none());
}

pub(crate) async fn publishing_twice_changes_nothing(make: Make) {
    let s = make(LIMITS);
    publish(&s, "text", None).await.unwrap();
    let before = s.store.workflows().await.unwrap();
    s.advance(Duration::from_secs(5));
    publish(&s, "text", None).await.unwrap();
    let after = s.store.workflows().await.unwrap();
    assert_eq!(after.len(), 1);
    assert_eq!(before[0].updated_at, after[0].updated_at);
}

pub(crate) async fn publishing_anew_keeps_the_old_text(make: Make) {
    let s = make(LIMITS);
    let old = publish(&s, "old", None).await.unwrap();
    let before = s.store.workflows().await.unwrap()[0].updated_at;
    s.advance(Duration::from_secs(5));
    let new = publish(&s, "new", None).await.unwrap();
    let row = s.store.workflows().await.unwrap().remove(0);
    assert_eq!(row.revision, new);
    assert!(row.updated_at > before);
    assert_eq!(s.store.revision(old).await.unwrap().as_deref(), Some("old"));
}

pub(crate) async fn a_file_that_moved_is_told(make: Make) {
    let s = make(LIMITS);
    publish(&s, "text", Some("a.yaml")).await.unwrap();
    publish(&s, "text", Some("b.yaml")).await.unwrap();
    assert_eq!(s.store.workflows().await.unwrap()[0].file.as_deref(), Some("b.yaml"));
}

pub(crate) async fn a_retired_name_is_gone_but_its_text_still_runs(make: Make) {
    let s = make(LIMITS);
    let id = s.publish("w").await;
    assert!(s.store.retire("w").await.unwrap());
    assert!(!s.store.retire("w").await.unwrap(), "there is none any more");
    assert!(s.store.workflows().await.unwrap().is_empty());
    assert_eq!(s.store.revision(id).await.unwrap().as_deref(), Some(subject::text("w").as_str()));
    s.store.submit(new_run("w", &[0]), None).await.unwrap();
}

pub(crate) async fn names_are_listed_in_order_with_their_newest_run(make: Make) {
    let s = make(LIMITS);
    s.submit("b", &[0]).await;
    let newest = s.submit("b", &[0]).await;
    s.publish("a").await;
    let rows = s.store.workflows().await.unwrap();
    assert_eq!(rows.iter().map(|r| r.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(rows.iter().map(|r| r.last_run).collect::<Vec<_>>(), [None, Some(newest)]);
}

pub(crate) async fn an_unknown_revision_is_none(make: Make) {
    let s = make(LIMITS);
    assert!(s.store.revision(RevisionId::of(b"never seen")).await.unwrap().is_none());
}

pub(crate) async fn a_text_is_refused_over_its_bound_and_taken_at_it(make: Make) {
    let mut limits = LIMITS;
    limits.revision_bytes_max = 10;
    let s = make(limits);
    publish(&s, "123456789", None).await.unwrap();
    let at = publish(&s, "1234567890", None).await.unwrap();
    let over = publish(&s, "12345678901", None).await.unwrap_err();
    assert!(matches!(over, StoreError::Full { limit: 10, .. }), "{over}");
    assert_eq!(s.store.workflows().await.unwrap()[0].revision, at, "what was refused changed nothing");
}
