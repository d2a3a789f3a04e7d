//! The audit log.

use staunch_store::{
    AccountLimits, Actor, AuditEntry, AuditQuery, AuditRow, PasswordHash, Role, SetupRedeemed, UserChange, UserId, Via,
};

use super::subject::{LIMITS, MS, Make, Subject, actor, key, new_token, new_user};

fn entry(action: &'static str, about: &str) -> AuditEntry {
    AuditEntry { actor: actor(), action, about: about.to_owned(), detail: "why".to_owned() }
}

async fn list(s: &Subject, query: AuditQuery) -> (Vec<AuditRow>, bool) {
    let page = s.accounts.audit_log(query).await.unwrap();
    (page.items, page.more)
}

pub(crate) async fn every_change_is_told_once_and_by_whom(make: Make) {
    let s = make(LIMITS);
    let ttl = std::time::Duration::from_secs(60);
    s.accounts.open_setup(key(1), ttl, Actor::server()).await.unwrap();
    let redeemed = s.accounts.redeem_setup(key(1), new_user("root", Role::Admin), actor()).await.unwrap();
    let SetupRedeemed::Created(root) = redeemed else { panic!("{redeemed:?}") };
    let by_root = Actor { user: Some(root.id), name: root.name.clone(), address: "::1".to_owned(), via: Via::Session };
    let ada = s.user("ada", Role::Viewer).await;
    s.advance(MS);
    let change = UserChange {
        role: Some(Role::Operator),
        disabled: Some(false),
        password: Some(PasswordHash::new("$secret")),
        keep: None,
    };
    s.accounts.change_user(ada.id, change, by_root.clone()).await.unwrap();
    let ada = s.now(&ada).await;
    let (one, two, three) = (s.begun(&ada, 1).await, s.begun(&ada, 2).await, s.begun(&ada, 3).await);
    assert!(s.accounts.rotate_session(key(1), key(4), actor()).await.unwrap());
    assert!(s.accounts.touch_session(key(4)).await.unwrap());
    assert!(s.accounts.end_session(key(4), actor()).await.unwrap());
    assert!(s.accounts.revoke_session(ada.id, two.handle, by_root.clone()).await.unwrap());
    assert_eq!(s.accounts.revoke_sessions(ada.id, None, by_root.clone()).await.unwrap(), 1);
    let token = s.token(new_token(&ada, 9)).await;
    assert!(s.accounts.touch_token(token.id).await.unwrap());
    assert!(s.accounts.revoke_token(token.id, None, by_root.clone()).await.unwrap());
    s.accounts.delete_user(ada.id, by_root.clone()).await.unwrap();

    let (lines, more) = list(&s, AuditQuery { limit: 200, ..AuditQuery::default() }).await;
    let said: Vec<_> = lines
        .iter()
        .rev()
        .map(|l| format!("{} {} {} {} | {}", l.actor.name, l.actor.via.word(), l.action, l.about, l.detail))
        .collect();
    let (root_id, ada_id, one, two, three) = (root.id, ada.id, one.handle, two.handle, three.handle);
    let wanted = [
        "server server setup.opened  | ".to_owned(),
        format!("somebody cli setup.redeemed root | {root_id}"),
        "somebody cli user.created ada | viewer".to_owned(),
        "root session user.changed ada | role viewer to operator, password".to_owned(),
        format!("somebody cli session.begun ada | {one}"),
        format!("somebody cli session.begun ada | {two}"),
        format!("somebody cli session.begun ada | {three}"),
        format!("somebody cli session.rotated {one} | "),
        format!("somebody cli session.ended {one} | "),
        format!("root session session.revoked ada | {two}"),
        "root session session.revoked ada | 1 sessions".to_owned(),
        format!("somebody cli token.created {} | token 9 of ada, scope run", token.id),
        format!("root session token.revoked {} | token 9 of ada", token.id),
        format!("root session user.deleted ada | {ada_id}"),
    ];
    assert_eq!((said, more), (wanted.to_vec(), false));
    assert_eq!(lines[0].actor, by_root);
    assert!(lines.iter().rev().is_sorted_by_key(|line| (line.n, line.at)));
    assert_eq!(lines[0].at.0 - lines[13].at.0, 1);
}

pub(crate) async fn what_changes_nothing_is_not_told(make: Make) {
    let s = make(AccountLimits { users_max: 1, sessions_max: 0, tokens_per_user_max: 0, ..LIMITS });
    let root = s.user("root", Role::Admin).await;
    let told = s.told().await;
    s.accounts.open_setup(key(1), MS, actor()).await.unwrap();
    s.accounts.redeem_setup(key(1), new_user("other", Role::Admin), actor()).await.unwrap();
    s.accounts.create_user(new_user("ROOT", Role::Admin), actor()).await.unwrap();
    s.accounts.create_user(new_user("other", Role::Admin), actor()).await.unwrap();
    s.change(&root, UserChange { role: Some(Role::Viewer), ..UserChange::default() }).await;
    s.accounts.delete_user(root.id, actor()).await.unwrap();
    s.begin(&root, 1).await;
    s.accounts.end_session(key(1), actor()).await.unwrap();
    s.accounts.rotate_session(key(1), key(2), actor()).await.unwrap();
    s.accounts.revoke_sessions(root.id, None, actor()).await.unwrap();
    s.create_token(new_token(&root, 1)).await;
    s.accounts.revoke_token(staunch_store::TokenId::generate(), None, actor()).await.unwrap();
    assert_eq!(s.told().await, told);
    assert_eq!(s.usage().await.audit_rows, 1);
}

pub(crate) async fn lines_are_bounded_below_at_and_over_and_the_newest_stay(make: Make) {
    let s = make(AccountLimits { audit_rows_max: 3, ..LIMITS });
    for (i, wanted) in [1, 2, 3, 3, 3].into_iter().enumerate() {
        s.accounts.audit(entry("run.submitted", &i.to_string())).await.unwrap();
        assert_eq!(s.usage().await.audit_rows, wanted);
    }
    assert_eq!(s.told().await, ["run.submitted 2", "run.submitted 3", "run.submitted 4"]);
    // Those that come with a change count too.
    s.user("ada", Role::Viewer).await;
    assert_eq!(s.told().await, ["run.submitted 3", "run.submitted 4", "user.created ada"]);
    let (lines, _) = list(&s, AuditQuery { limit: 200, ..AuditQuery::default() }).await;
    assert_eq!(lines.iter().map(|line| line.n).collect::<Vec<_>>(), [6, 5, 4], "numbers go on");
}

pub(crate) async fn lines_are_listed_page_by_page_and_by_what_they_name(make: Make) {
    let s = make(LIMITS);
    let users = [UserId::generate(), UserId::generate()];
    for i in 0..30 {
        let user = [None, Some(users[0]), Some(users[1])][i % 3];
        let action = if i % 2 == 0 { "run.submitted" } else { "login.failed" };
        let actor = Actor { user, ..actor() };
        let entry = AuditEntry { actor, action, about: i.to_string(), detail: String::new() };
        s.accounts.audit(entry).await.unwrap();
    }
    let matches = |user: Option<UserId>, action: Option<&str>| -> Vec<String> {
        let of = |i: &usize| user.is_none_or(|user| [None, Some(users[0]), Some(users[1])][i % 3] == Some(user));
        let does = |i: &usize| action.is_none_or(|action| (action == "run.submitted") == i.is_multiple_of(2));
        (0..30).rev().filter(of).filter(does).map(|i| i.to_string()).collect()
    };
    for user in [None, Some(users[0]), Some(users[1])] {
        for action in [None, Some("run.submitted"), Some("login.failed")] {
            let (mut seen, mut before) = (Vec::new(), None);
            loop {
                let query = AuditQuery { user, action: action.map(str::to_owned), before, limit: 4 };
                let (lines, more) = list(&s, query).await;
                before = lines.last().map(|line| line.n);
                seen.extend(lines.into_iter().map(|line| line.about));
                if !more {
                    break;
                }
            }
            assert_eq!(seen, matches(user, action), "{user:?} {action:?}");
        }
    }
    let nothing = AuditQuery { action: Some("no.such".to_owned()), limit: 4, ..AuditQuery::default() };
    assert_eq!(list(&s, nothing).await, (vec![], false));
}

pub(crate) async fn a_page_has_at_most_200(make: Make) {
    let s = make(LIMITS);
    for i in 0..201 {
        s.accounts.audit(entry("run.submitted", &i.to_string())).await.unwrap();
    }
    let (lines, more) = list(&s, AuditQuery { limit: u32::MAX, ..AuditQuery::default() }).await;
    assert_eq!((lines.len(), more), (200, true));
}

pub(crate) async fn texts_are_cut_to_their_bounds(make: Make) {
    let s = make(LIMITS);
    let long = "ü".repeat(5_000);
    let actor = Actor { user: None, name: long.clone(), address: long.clone(), via: Via::Anonymous };
    let entry = AuditEntry { actor, action: "login.failed", about: long.clone(), detail: long };
    s.accounts.audit(entry).await.unwrap();
    let (lines, _) = list(&s, AuditQuery { limit: 1, ..AuditQuery::default() }).await;
    let bytes = [&lines[0].actor.name, &lines[0].actor.address, &lines[0].about, &lines[0].detail].map(String::len);
    assert_eq!(bytes, [128, 64, 200, 500]);
    assert_eq!(lines[0].actor.via, Via::Anonymous);
}
