//! The way to the first admin.

use std::sync::Arc;
use std::time::Duration;

use staunch_store::{AccountLimits, Role, SetupOpened, SetupRedeemed, UserChange, UserDeleted};

use super::subject::{LIMITS, MS, Make, Subject, actor, key, new_user};

const TTL: Duration = Duration::from_secs(3_600);

async fn open(s: &Subject, number: u64) -> SetupOpened {
    s.accounts.open_setup(key(number), TTL, actor()).await.unwrap()
}

async fn redeem(s: &Subject, number: u64, name: &str) -> SetupRedeemed {
    s.accounts.redeem_setup(key(number), new_user(name, Role::Viewer), actor()).await.unwrap()
}

pub(crate) async fn there_is_no_admin_until_a_ticket_is_redeemed(make: Make) {
    let s = make(LIMITS);
    assert_eq!(redeem(&s, 1, "root").await, SetupRedeemed::Unknown, "nothing is open");
    assert!(matches!(open(&s, 1).await, SetupOpened::Opened { .. }));
    assert!(!s.accounts.has_admin().await.unwrap());
    assert_eq!(redeem(&s, 2, "root").await, SetupRedeemed::Unknown, "a stranger's ticket");
    assert_eq!((s.usage().await.users, s.usage().await.tickets), (0, 1));
    let SetupRedeemed::Created(root) = redeem(&s, 1, "root").await else { panic!("it is the ticket") };
    assert_eq!((root.name.as_str(), root.role, root.disabled), ("root", Role::Admin, false));
    assert!(s.accounts.has_admin().await.unwrap());
    assert_eq!(s.accounts.credentials("root").await.unwrap().unwrap().user, root);
    assert_eq!((s.usage().await.users, s.usage().await.tickets), (1, 0));
}

pub(crate) async fn a_ticket_is_good_once(make: Make) {
    let s = make(LIMITS);
    open(&s, 1).await;
    assert!(matches!(redeem(&s, 1, "root").await, SetupRedeemed::Created(_)));
    assert_eq!(redeem(&s, 1, "second").await, SetupRedeemed::AdminExists);
    assert!(s.accounts.credentials("second").await.unwrap().is_none());
}

pub(crate) async fn a_ticket_expires_at_its_time_and_not_before(make: Make) {
    let s = make(LIMITS);
    open(&s, 1).await;
    s.advance(TTL);
    assert_eq!(redeem(&s, 1, "root").await, SetupRedeemed::Expired);
    assert_eq!(redeem(&s, 2, "root").await, SetupRedeemed::Unknown);
    open(&s, 3).await;
    s.advance(TTL - MS);
    assert!(matches!(redeem(&s, 3, "root").await, SetupRedeemed::Created(_)));
}

pub(crate) async fn a_newer_ticket_replaces_the_older(make: Make) {
    let s = make(LIMITS);
    open(&s, 1).await;
    open(&s, 2).await;
    assert_eq!(s.usage().await.tickets, 1);
    assert_eq!(redeem(&s, 1, "root").await, SetupRedeemed::Unknown);
    assert!(matches!(redeem(&s, 2, "root").await, SetupRedeemed::Created(_)));
}

pub(crate) async fn sixteen_at_once_have_one_winner(make: Make) {
    let s = make(LIMITS);
    open(&s, 1).await;
    let mut all = tokio::task::JoinSet::new();
    for i in 0..16 {
        let accounts = Arc::clone(&s.accounts);
        let user = new_user(&format!("root-{i}"), Role::Admin);
        all.spawn(async move { accounts.redeem_setup(key(1), user, actor()).await.unwrap() });
    }
    let (won, lost): (Vec<_>, Vec<_>) =
        all.join_all().await.into_iter().partition(|end| matches!(end, SetupRedeemed::Created(_)));
    assert_eq!((won.len(), lost.len()), (1, 15));
    assert!(lost.iter().all(|end| *end == SetupRedeemed::AdminExists), "{lost:?}");
    assert_eq!(s.usage().await.users, 1);
}

pub(crate) async fn no_ticket_is_opened_while_there_is_an_admin(make: Make) {
    let s = make(LIMITS);
    open(&s, 1).await;
    let root = s.user("root", Role::Admin).await;
    assert_eq!(open(&s, 2).await, SetupOpened::AdminExists);
    assert_eq!(redeem(&s, 1, "other").await, SetupRedeemed::AdminExists, "an admin came another way");
    // Who is disabled is no admin, but the last one cannot be.
    let other = s.user("other", Role::Admin).await;
    s.changed(&other, UserChange { disabled: Some(true), ..UserChange::default() }).await;
    assert_eq!(s.accounts.delete_user(root.id, actor()).await.unwrap(), UserDeleted::LastAdmin);
    assert_eq!(open(&s, 2).await, SetupOpened::AdminExists);
}

pub(crate) async fn a_taken_name_and_a_full_table_keep_the_ticket(make: Make) {
    let s = make(AccountLimits { users_max: 1, ..LIMITS });
    open(&s, 1).await;
    let viewer = s.user("root", Role::Viewer).await;
    assert_eq!(redeem(&s, 1, "Root").await, SetupRedeemed::NameTaken);
    assert_eq!(redeem(&s, 1, "admin").await, SetupRedeemed::Full { limit: 1 });
    assert_eq!(s.accounts.delete_user(viewer.id, actor()).await.unwrap(), UserDeleted::Deleted);
    assert!(matches!(redeem(&s, 1, "admin").await, SetupRedeemed::Created(_)));
}
