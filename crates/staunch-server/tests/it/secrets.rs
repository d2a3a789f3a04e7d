//! Secrets stand in no log, in no answer but the one that gives them out, and in no `Debug`; and every answer has its headers.

use std::io;
use std::sync::{Arc, Mutex};

use serde_json::json;
use staunch_server::wire::{LoggedIn, LoginRequest, NewUser, Secret, User};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::accounts::{PASSWORD, Person, closed, login};
use crate::bed::Bed;
use staunch_server::open_setup;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn the_log_of_a_life_has_no_secret_in_it() {
    let log = Log::default();
    let heard = || tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE);
    // With a second one alive, what other tests' threads come upon first is not taken for what nobody wants to hear.
    let second = tracing::Dispatch::new(heard().with_writer(io::sink).finish());
    // One thread serves and asks, so its subscriber hears all but the store's own threads, which know fingerprints only.
    let guard = tracing::subscriber::set_default(heard().with_writer(log.clone()).finish());
    let bed = Bed::new(&[]).await;
    let at = bed.address();
    let ticket = open_setup(&*bed.accounts).await.unwrap().unwrap();
    let body = json!({"ticket": ticket.fragment(), "name": "root", "password": PASSWORD});
    let root = Person::of(&bed.post("/api/v1/setup", &body).await);
    let token = root.make_token(at, "admin").await["token"].as_str().unwrap().to_owned();
    let other = Person::login(at, "root").await;
    login(at, "root", "a wrong password of mine").await.problem(401, "login_failed");
    Person::token(&token).get(at, "/api/v1/users").await;
    let change = json!({"current_password": PASSWORD, "new_password": "a better horse battery"});
    let changed = root.call(at, "PUT", "/api/v1/me/password", Some(&change)).await;
    assert_eq!(changed.status, 204);
    let rotated = crate::accounts::cookie(&changed).unwrap();
    let audit = Person::token(&token).get(at, "/api/v1/audit?limit=200").await;
    bed.close().await;
    drop((guard, second));

    let log = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(log.contains("/api/v1/me/password"), "the log was heard: {log}");
    let value = |pair: &str| pair.split_once('=').unwrap().1.to_owned();
    let cookies = [root.cookie.as_deref().unwrap(), other.cookie.as_deref().unwrap(), &rotated].map(value);
    let secrets = [PASSWORD, "a better horse battery", "a wrong password of mine", ticket.fragment(), &token];
    let tokens = [root.csrf.as_deref().unwrap(), other.csrf.as_deref().unwrap()];
    let audit = String::from_utf8_lossy(&audit.body).into_owned();
    for secret in secrets.into_iter().chain(tokens).chain(cookies.iter().map(String::as_str)) {
        for (place, text) in [("log", &log), ("audit log", &audit)] {
            assert!(!text.contains(secret), "{secret:?} stands in the {place}");
        }
    }
    assert!(!log.contains("$argon2"), "hashes are nobody's business either");
}

#[test]
fn secrets_show_nothing_of_themselves() {
    let password = Secret::new(PASSWORD);
    let login = LoginRequest { name: "ada".into(), password: password.clone() };
    let user = NewUser { name: "ada".into(), password: password.clone(), ..NewUser::default() };
    let ada = User {
        name: "ada".into(),
        role: staunch_server::wire::Role::Viewer,
        disabled: false,
        created_at: String::new(),
        password_changed_at: String::new(),
    };
    let begun = LoggedIn { user: ada, csrf_token: password, expires_at: String::new() };
    let shown = format!("{login:?} {user:?} {begun:?}");
    assert!(!shown.contains("horse") && shown.contains("Secret(..)"), "{shown}");
}

#[tokio::test]
async fn every_answer_has_its_headers() {
    let (bed, root) = closed(&[]).await;
    let at = bed.address();
    let answers = [
        (200, root.get(at, "/api/v1/runs").await),
        (200, root.get(at, "/").await),
        (404, root.get(at, "/no/such/path").await),
        (404, bed.get("/no/such/path").await),
        (401, bed.get("/api/v1/runs").await),
        (403, root.call_with(at, "POST", "/api/v1/logout", &[("origin", "null")], None).await),
        (405, root.call(at, "PUT", "/metrics", None).await),
    ];
    for (status, answer) in &answers {
        assert_eq!(answer.status, *status, "{answer:?}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "strict-origin-when-cross-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("origin-agent-cluster", "?1"),
        ] {
            assert_eq!(answer.header(name), value, "{status} {name}");
        }
        assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"), "{answer:?}");
        assert!(answer.header("permissions-policy").contains("camera=()"), "{answer:?}");
        assert_eq!(answer.header("strict-transport-security"), "", "this is plain HTTP");
        assert_eq!(answer.header("cache-control"), "no-store", "{answer:?}");
        assert_eq!(answer.header("server"), "");
    }
    bed.close().await;
}
