//! Users.

use std::sync::Arc;

use staunch_store::{
    AccountLimits, PasswordHash, Role, SessionBegun, StoreError, UserChange, UserChanged, UserCreated, UserDeleted,
    UserId,
};

use super::subject::{LIMITS, MS, Make, actor, key, new_session, new_token, new_user};

fn none() -> UserChange {
    UserChange::default()
}

fn role(role: Role) -> UserChange {
    UserChange { role: Some(role), ..none() }
}

fn disabled(disabled: bool) -> UserChange {
    UserChange { disabled: Some(disabled), ..none() }
}

fn password(phc: &str) -> UserChange {
    UserChange { password: Some(PasswordHash::new(phc)), ..none() }
}

pub(crate) async fn a_user_reads_back(make: Make) {
    let s = make(LIMITS);
    let row = s.user("Ada", Role::Operator).await;
    assert_eq!((row.name.as_str(), row.role, row.disabled), ("Ada", Role::Operator, false));
    assert_eq!(row.password_changed_at, row.created_at);
    assert_eq!(s.accounts.user(row.id).await.unwrap().unwrap(), row);
    let found = s.accounts.credentials("Ada").await.unwrap().unwrap();
    assert_eq!((&found.user, found.password.as_str()), (&row, "$argon2id$of-Ada"));
    assert!(s.accounts.user(UserId::generate()).await.unwrap().is_none());
    assert!(s.accounts.credentials("nobody").await.unwrap().is_none());
    assert!(s.accounts.credentials("").await.unwrap().is_none());
    let text = row.id.to_string();
    assert!(text.starts_with("usr_") && text.parse() == Ok(row.id), "{text}");
}

pub(crate) async fn names_that_differ_in_case_are_the_same(make: Make) {
    let s = make(LIMITS);
    let row = s.user("Änne", Role::Viewer).await;
    for name in ["Änne", "änne", "ÄNNE"] {
        assert_eq!(
            s.accounts.create_user(new_user(name, Role::Viewer), actor()).await.unwrap(),
            UserCreated::NameTaken
        );
        assert_eq!(s.accounts.credentials(name).await.unwrap().unwrap().user, row);
    }
    assert_eq!(s.usage().await.users, 1);
    s.accounts.delete_user(row.id, actor()).await.unwrap();
    s.user("änne", Role::Viewer).await;
}

pub(crate) async fn names_and_passwords_are_bounded(make: Make) {
    let s = make(LIMITS);
    for (bytes, taken) in [(0, false), (1, true), (127, true), (128, true), (129, false)] {
        let made = s.accounts.create_user(new_user(&"n".repeat(bytes), Role::Viewer), actor()).await;
        assert_eq!(made.is_ok(), taken, "a name of {bytes} bytes: {made:?}");
    }
    for (bytes, taken) in [(0, false), (1, true), (511, true), (512, true), (513, false)] {
        let mut user = new_user(&format!("p{bytes}"), Role::Viewer);
        user.password = PasswordHash::new("p".repeat(bytes));
        let made = s.accounts.create_user(user, actor()).await;
        assert_eq!(made.is_ok(), taken, "a password of {bytes} bytes: {made:?}");
        if let Err(error) = made {
            assert!(!error.to_string().contains("pp"), "what may be a secret is not repeated: {error}");
        }
    }
    let row = s.user("ada", Role::Viewer).await;
    let refused = s.accounts.change_user(row.id, password(&"p".repeat(513)), actor()).await;
    assert!(matches!(refused, Err(StoreError::Failed(_))), "{refused:?}");
    assert_eq!(s.now(&row).await, row);
}

pub(crate) async fn users_are_bounded_below_at_over_and_back(make: Make) {
    let s = make(AccountLimits { users_max: 3, ..LIMITS });
    let mut rows = Vec::new();
    for name in ["a", "b", "c"] {
        rows.push(s.user(name, Role::Viewer).await);
    }
    let one_more = s.accounts.create_user(new_user("d", Role::Viewer), actor()).await.unwrap();
    assert_eq!(one_more, UserCreated::Full { limit: 3 });
    assert_eq!(s.usage().await.users, 3);
    s.accounts.delete_user(rows[1].id, actor()).await.unwrap();
    rows[1] = s.user("d", Role::Viewer).await;
    for row in rows {
        assert_eq!(s.accounts.delete_user(row.id, actor()).await.unwrap(), UserDeleted::Deleted);
    }
    assert_eq!(s.usage().await.users, 0);
}

pub(crate) async fn users_are_listed_by_name_page_by_page(make: Make) {
    let s = make(LIMITS);
    for name in ["Delta", "alpha", "Charlie", "bravo", "écho"] {
        s.user(name, Role::Viewer).await;
    }
    let mut names = Vec::new();
    let mut after: Option<String> = None;
    for wanted in [2, 2, 1] {
        let page = s.accounts.users(after.as_deref(), 2).await.unwrap();
        assert_eq!((page.items.len(), page.more), (wanted, wanted == 2));
        names.extend(page.items.into_iter().map(|row| row.name));
        after = names.last().cloned();
    }
    assert_eq!(names, ["alpha", "bravo", "Charlie", "Delta", "écho"]);
    for i in 0..200 {
        s.user(&format!("user-{i}"), Role::Viewer).await;
    }
    let page = s.accounts.users(None, u32::MAX).await.unwrap();
    assert_eq!((page.items.len(), page.more), (200, true));
}

pub(crate) async fn a_change_changes_what_it_names(make: Make) {
    let s = make(LIMITS);
    let row = s.user("ada", Role::Viewer).await;
    s.advance(MS);
    let (now, _) = s.changed(&row, role(Role::Operator)).await;
    assert_eq!((now.role, now.disabled, now.password_changed_at), (Role::Operator, false, row.created_at));
    let (now, _) = s.changed(&row, password("$new")).await;
    assert_eq!((now.role, now.password_changed_at.0), (Role::Operator, row.created_at.0 + 1));
    let (again, _) = s.changed(&row, password("$newer")).await;
    assert!(again.password_changed_at > now.password_changed_at, "twice in one millisecond is two times");
    assert_eq!(s.accounts.credentials("ada").await.unwrap().unwrap().password.as_str(), "$newer");
    let (now, _) = s.changed(&row, disabled(true)).await;
    assert!(now.disabled);
    assert_eq!(s.now(&row).await, now);
    let unknown = s.accounts.change_user(UserId::generate(), disabled(true), actor()).await.unwrap();
    assert_eq!(unknown, UserChanged::Unknown);
}

pub(crate) async fn a_password_ends_all_sessions_but_the_one_kept(make: Make) {
    let s = make(LIMITS);
    let (ada, bob) = (s.user("ada", Role::Viewer).await, s.user("bob", Role::Viewer).await);
    let kept = s.begun(&ada, 1).await;
    s.begun(&ada, 2).await;
    let theirs = s.begun(&bob, 3).await;
    let change = UserChange { keep: Some(kept.handle), ..password("$new") };
    assert_eq!(s.changed(&ada, change).await.1, 1);
    assert_eq!((s.lives(1).await, s.lives(2).await, s.lives(3).await), (true, false, true));
    // Somebody else's session is not kept for one, and not ended.
    let change = UserChange { keep: Some(theirs.handle), ..password("$newer") };
    assert_eq!(s.changed(&ada, change).await.1, 1);
    assert_eq!((s.lives(1).await, s.lives(3).await), (false, true));
    assert_eq!(s.usage().await.sessions, 1);
}

pub(crate) async fn another_role_ends_sessions_and_tokens_live_on(make: Make) {
    let s = make(LIMITS);
    let ada = s.user("ada", Role::Viewer).await;
    s.begun(&ada, 1).await;
    s.token(new_token(&ada, 2)).await;
    assert_eq!(s.changed(&ada, role(Role::Operator)).await.1, 1);
    assert!(!s.lives(1).await);
    let live = s.accounts.token(key(2)).await.unwrap().unwrap();
    assert_eq!(live.user.role, Role::Operator, "a token sees what its user may do now");
}

pub(crate) async fn being_disabled_ends_the_kept_session_too(make: Make) {
    let s = make(LIMITS);
    let ada = s.user("ada", Role::Viewer).await;
    let session = s.begun(&ada, 1).await;
    let change = UserChange { keep: Some(session.handle), ..disabled(true) };
    assert_eq!(s.changed(&ada, change).await.1, 1);
    assert!(!s.lives(1).await && !s.accounts.touch_session(key(1)).await.unwrap());
    assert_eq!(s.begin(&ada, 2).await, SessionBegun::Refused);
    s.changed(&ada, disabled(false)).await;
    assert!(!s.lives(1).await, "what was ended stays so");
    s.begun(&ada, 2).await;
}

pub(crate) async fn what_is_no_change_ends_nothing_and_is_not_told(make: Make) {
    let s = make(LIMITS);
    let ada = s.user("ada", Role::Viewer).await;
    s.begun(&ada, 1).await;
    let told = s.told().await;
    for change in [none(), role(Role::Viewer), disabled(false)] {
        assert_eq!(s.changed(&ada, change).await, (ada.clone(), 0));
    }
    assert!(s.lives(1).await);
    assert_eq!(s.told().await, told);
}

pub(crate) async fn of_many_first_admins_one_is_made(make: Make) {
    let s = make(LIMITS);
    s.accounts.open_setup(key(1), MS * 60_000, actor()).await.unwrap();
    assert_eq!(s.usage().await.tickets, 1);
    let first = |name: &str| s.accounts.create_first_admin(new_user(name, Role::Viewer), actor());
    let (one, two, three) = tokio::join!(first("a"), first("b"), first("c"));
    let made = [one.unwrap(), two.unwrap(), three.unwrap()];
    let admins = made.iter().filter(|made| matches!(made, UserCreated::Created(row) if row.role == Role::Admin));
    assert_eq!(admins.count(), 1, "{made:?}");
    assert_eq!(made.iter().filter(|made| **made == UserCreated::AdminExists).count(), 2);
    assert_eq!((s.usage().await.users, s.usage().await.tickets), (1, 0), "no ticket stays behind them");
}

pub(crate) async fn the_last_admin_stays(make: Make) {
    let s = make(LIMITS);
    let root = s.user("root", Role::Admin).await;
    s.user("viewer", Role::Viewer).await;
    let off = s.user("off", Role::Admin).await;
    s.changed(&off, disabled(true)).await;
    s.begun(&root, 1).await;
    for change in [
        role(Role::Operator),
        disabled(true),
        UserChange { password: Some(PasswordHash::new("$x")), ..role(Role::Viewer) },
    ] {
        assert_eq!(s.change(&root, change).await, UserChanged::LastAdmin);
    }
    assert_eq!(s.accounts.delete_user(root.id, actor()).await.unwrap(), UserDeleted::LastAdmin);
    assert_eq!(s.now(&root).await, root);
    assert!(s.lives(1).await, "nothing was changed");
    s.changed(&root, password("$new")).await;

    // As soon as there is another one, they may go; and one who is disabled may go always.
    s.changed(&off, disabled(false)).await;
    s.changed(&root, role(Role::Viewer)).await;
    assert_eq!(s.change(&off, disabled(true)).await, UserChanged::LastAdmin);
    let third = s.user("third", Role::Admin).await;
    s.changed(&third, disabled(true)).await;
    assert_eq!(s.accounts.delete_user(third.id, actor()).await.unwrap(), UserDeleted::Deleted);
}

pub(crate) async fn two_admins_who_remove_each_other_leave_one(make: Make) {
    let s = make(LIMITS);
    for round in 0..4 {
        let (a, b) = (s.user(&format!("a{round}"), Role::Admin).await, s.user(&format!("b{round}"), Role::Admin).await);
        // Whoever is left of the round before goes first.
        for row in s.accounts.users(None, 200).await.unwrap().items {
            if row.id != a.id && row.id != b.id {
                s.accounts.delete_user(row.id, actor()).await.unwrap();
            }
        }
        let mut all = tokio::task::JoinSet::new();
        for (i, row) in [&a, &b].into_iter().cycle().take(8).enumerate() {
            let (accounts, id) = (Arc::clone(&s.accounts), row.id);
            all.spawn(async move {
                match i {
                    0 | 1 => drop(accounts.delete_user(id, actor()).await.unwrap()),
                    2 | 3 => drop(accounts.change_user(id, disabled(true), actor()).await.unwrap()),
                    _ => drop(accounts.change_user(id, role(Role::Viewer), actor()).await.unwrap()),
                }
            });
        }
        all.join_all().await;
        assert!(s.accounts.has_admin().await.unwrap());
    }
}

pub(crate) async fn a_user_goes_with_all_that_is_theirs(make: Make) {
    let s = make(LIMITS);
    let (ada, bob) = (s.user("ada", Role::Viewer).await, s.user("bob", Role::Viewer).await);
    for number in 0..3 {
        s.begun(&ada, number).await;
        s.token(new_token(&ada, 100 + number)).await;
    }
    s.begun(&bob, 10).await;
    s.token(new_token(&bob, 110)).await;
    assert_eq!(s.accounts.delete_user(ada.id, actor()).await.unwrap(), UserDeleted::Deleted);
    assert_eq!(s.accounts.delete_user(ada.id, actor()).await.unwrap(), UserDeleted::Unknown);
    assert!(s.accounts.user(ada.id).await.unwrap().is_none());
    assert!(!s.lives(0).await && !s.works(100).await);
    assert!(s.lives(10).await && s.works(110).await, "others keep theirs");
    let usage = s.usage().await;
    assert_eq!((usage.users, usage.sessions, usage.tokens), (1, 1, 1));
    assert!(s.told().await.contains(&"user.created ada".to_owned()), "what was done stays in the audit log");
}

pub(crate) async fn nothing_secret_is_shown(make: Make) {
    let s = make(LIMITS);
    let user = new_user("ada", Role::Viewer);
    let row = s.user("ada", Role::Viewer).await;
    let found = s.accounts.credentials("ada").await.unwrap().unwrap();
    let shown = format!("{user:?} {found:?} {:?} {:?}", new_session(&row, 1), new_token(&row, 2));
    assert!(shown.contains("PasswordHash(..)") && shown.contains("Fingerprint(..)"), "{shown}");
    assert!(!shown.contains("argon2id"), "{shown}");
    for number in [1, 2] {
        let bytes = format!("{:?}", key(number).0);
        assert!(!shown.contains(bytes.trim_matches(['[', ']'])), "{shown}");
    }
}
