//! Users come, log in, make tokens and go: every operation on accounts, and what must be true afterwards wherever it was cut.

use std::time::Duration;

use staunch_store::{
    Accounts, AuditEntry, AuditQuery, NewToken, PasswordHash, Role, SessionBegun, SessionRow, SetupOpened,
    SetupRedeemed, Sqlite, Store, StoreError, TokenCreated, TokenRow, UserChange, UserChanged, UserCreated,
    UserDeleted, UserRow,
};

use super::world::{World, rows};
use crate::conformance::accounts::{ABSOLUTE, actor, key, new_session, new_token, new_user};
use crate::conformance::block_on;
use crate::sqlite::killed::assert_whole;

const HOUR: Duration = Duration::from_secs(3_600);

/// The first admin: by the ticket, or who has been for long.
async fn first_admin(store: &Sqlite, world: &World) -> Result<UserRow, StoreError> {
    let (ticket, ada) = (key(90), new_user("ada", Role::Admin));
    if let SetupOpened::Opened { .. } = world.step(|| store.open_setup(ticket, HOUR, actor())).await? {
        let redeemed = world.step(|| store.redeem_setup(ticket, ada.clone(), actor())).await?;
        assert!(matches!(redeemed, SetupRedeemed::Created(_)), "{redeemed:?}");
        world.ack("admin");
    }
    assert!(world.step(|| store.has_admin()).await?);
    Ok(world.step(|| store.credentials("ada")).await?.unwrap().user)
}

/// A second user, who changes.
async fn second_user(store: &Sqlite, world: &World) -> Result<UserRow, StoreError> {
    let bob = new_user("bob", Role::Viewer);
    let made = world.step(|| store.create_user(bob.clone(), actor())).await?;
    let UserCreated::Created(row) = made else { panic!("not made: {made:?}") };
    let password = Some(PasswordHash::new("$argon2id$another"));
    let change = UserChange { role: Some(Role::Operator), password, ..UserChange::default() };
    let changed = world.step(|| store.change_user(row.id, change.clone(), actor())).await?;
    let UserChanged::Changed { user, .. } = changed else { panic!("not changed: {changed:?}") };
    assert_eq!(world.step(|| store.users(None, 10)).await?.items.len(), 2);
    assert_eq!(world.step(|| store.user(row.id)).await?.as_ref(), Some(&user));
    Ok(user)
}

async fn begin(store: &Sqlite, world: &World, user: &UserRow, number: u64) -> Result<SessionRow, StoreError> {
    let begun = world.step(|| store.begin_session(new_session(user, number), actor())).await?;
    let SessionBegun::Begun(row) = begun else { panic!("session {number} was not begun: {begun:?}") };
    world.ack(format_args!("lives {number}"));
    Ok(row)
}

/// Sessions of each fate: used, rotated, ended, revoked, and all at once. The first and the fourth live.
pub(crate) async fn sessions(store: &Sqlite, world: &World, ada: &UserRow) -> Result<(), StoreError> {
    begin(store, world, ada, 1).await?;
    assert!(world.step(|| store.touch_session(key(1))).await?);
    assert!(world.step(|| store.session(key(1))).await?.is_some());
    begin(store, world, ada, 3).await?;
    world.ack("dies 3");
    assert!(world.step(|| store.rotate_session(key(3), key(4), actor())).await?);
    world.ack("dead 3");
    world.ack("lives 4");
    begin(store, world, ada, 5).await?;
    world.ack("dies 5");
    assert!(world.step(|| store.end_session(key(5), actor())).await?);
    world.ack("dead 5");
    let row = begin(store, world, ada, 6).await?;
    world.ack("dies 6");
    assert!(world.step(|| store.revoke_session(ada.id, row.handle, actor())).await?);
    world.ack("dead 6");
    assert_eq!(world.step(|| store.sessions(ada.id)).await?.len(), 2);
    Ok(())
}

async fn create(store: &Sqlite, world: &World, token: NewToken) -> Result<TokenRow, StoreError> {
    let made = world.step(|| store.create_token(token.clone(), actor())).await?;
    let TokenCreated::Created(row) = made else { panic!("not made: {made:?}") };
    Ok(row)
}

/// Tokens: one is used and expires one day, one is revoked.
pub(crate) async fn tokens(store: &Sqlite, world: &World, ada: &UserRow) -> Result<(), StoreError> {
    let token = create(store, world, NewToken { ttl: Some(HOUR), ..new_token(ada, 101) }).await?;
    world.ack("works 101");
    assert!(world.step(|| store.token(key(101))).await?.is_some());
    assert!(world.step(|| store.touch_token(token.id)).await?);
    let token = create(store, world, new_token(ada, 102)).await?;
    world.ack("works 102");
    assert_eq!(world.step(|| store.tokens(ada.id)).await?.len(), 2);
    world.ack("dies 102");
    assert!(world.step(|| store.revoke_token(token.id, Some(ada.id), actor())).await?);
    world.ack("broken 102");
    Ok(())
}

/// What expired goes.
pub(crate) async fn expire(store: &Sqlite, world: &World) -> Result<(), StoreError> {
    world.advance(ABSOLUTE);
    world.ack("forgetting");
    while world.step(|| store.sweep_accounts(100)).await?.more {}
    let usage = world.step(|| store.account_usage()).await?;
    assert_eq!((usage.sessions, usage.tokens, usage.tickets), (0, 0, 0));
    Ok(())
}

/// A user comes, and goes with all that is theirs.
pub(crate) async fn a_user(store: &Sqlite, world: &World) -> Result<(), StoreError> {
    let bob = second_user(store, world).await?;
    world.ack("leaves bob");
    begin(store, world, &bob, 7).await?;
    world.ack("dies 7");
    assert_eq!(world.step(|| store.revoke_sessions(bob.id, None, actor())).await?, 1);
    world.ack("dead 7");
    begin(store, world, &bob, 8).await?;
    create(store, world, new_token(&bob, 103)).await?;
    world.ack("dies 8");
    assert_eq!(world.step(|| store.delete_user(bob.id, actor())).await?, UserDeleted::Deleted);
    world.ack("dead 8");
    world.ack("broken 103");
    Ok(())
}

pub(crate) async fn audit(store: &Sqlite, world: &World) -> Result<(), StoreError> {
    let entry = AuditEntry { actor: actor(), action: "test.done", about: "this".to_owned(), detail: "that".to_owned() };
    world.step(|| store.audit(entry.clone())).await?;
    let lines = world.step(|| store.audit_log(AuditQuery { limit: 10, ..AuditQuery::default() })).await?;
    assert_eq!(lines.items[0].action, "test.done");
    Ok(())
}

/// All of it. Afterwards there is the admin, and the last lines of the audit log.
pub(crate) async fn whole_life(store: &Sqlite, world: &World) -> Result<(), StoreError> {
    let ada = first_admin(store, world).await?;
    sessions(store, world, &ada).await?;
    tokens(store, world, &ada).await?;
    a_user(store, world).await?;
    audit(store, world).await?;
    expire(store, world).await
}

/// The admin that each round of a gate needs.
pub(crate) async fn admin(store: &Sqlite, world: &World) -> UserRow {
    first_admin(store, world).await.unwrap()
}

/// After a run of the scenario, however it ended: what was acknowledged is there; and then everything goes that may.
pub(crate) fn check(world: &World) {
    let acks = world.acks();
    block_on(async {
        let store = world.opening().open().unwrap();
        for ack in acks.iter().filter(|_| !acks.iter().any(|ack| ack == "forgetting")) {
            promised(&store, ack, &acks).await;
        }
        if let Some(bob) = store.credentials("bob").await.unwrap() {
            assert_eq!(store.delete_user(bob.user.id, actor()).await.unwrap(), UserDeleted::Deleted);
        }
        // A token that never expires goes with its owner or when it is revoked.
        if let Some(token) = store.token(key(102)).await.unwrap() {
            assert!(store.revoke_token(token.token.id, None, actor()).await.unwrap());
        }
        expire(&store, world).await.unwrap();
        store.close().await;
    });
    assert_whole(&world.database());
    assert_eq!(world.files(), ["lock", "staunch.db"]);
    let most = |table: &str| if table == "audit" { 3 } else { u64::from(table == "user") };
    let rows = rows(&world.database());
    assert!(rows.iter().all(|(table, rows)| *rows <= most(table)), "nobody owns these: {rows:?}");
    world.clear();
}

/// `lives` and `dead` are sessions, `works` and `broken` tokens. What `dies` was tried to be ended, and may be.
async fn promised(store: &Sqlite, ack: &str, acks: &[String]) {
    let (what, name) = ack.split_once(' ').unwrap_or((ack, ""));
    if matches!(what, "lives" | "works") && acks.contains(&format!("dies {name}")) {
        return;
    }
    let number = || key(name.parse().unwrap());
    match what {
        "admin" => assert!(store.has_admin().await.unwrap()),
        "lives" => assert!(store.session(number()).await.unwrap().is_some(), "lost: {ack}"),
        "dead" => assert!(store.session(number()).await.unwrap().is_none(), "back: {ack}"),
        "works" => assert!(store.token(number()).await.unwrap().is_some(), "lost: {ack}"),
        "broken" => assert!(store.token(number()).await.unwrap().is_none(), "back: {ack}"),
        _ => {}
    }
}
