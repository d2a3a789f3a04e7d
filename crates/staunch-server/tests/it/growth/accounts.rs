//! Whoever comes and goes, and what they change of themselves and of others.

use serde_json::json;
use staunch_server::open_setup;

use super::world::World;
use crate::accounts::{PASSWORD, Person, cookie, login};

const NEW_PASSWORD: &str = "a better horse battery";

staunch_leak::alone! {
    fn ground_g8_a_login_and_a_logout_keep_nothing() {
        let world = World::new(&[]);
        let at = world.bed.address();
        world.flat("login, use, logout", async || {
            let person = Person::login(at, "root").await;
            assert_eq!(person.get(at, "/api/v1/me").await.status, 200);
            assert_eq!(person.get(at, "/api/v1/csrf?fresh=1").await.status, 200);
            assert_eq!(person.call(at, "POST", "/api/v1/logout", None).await.status, 204);
            person.get(at, "/api/v1/me").await.problem(401, "session_expired");
        });
        world.flat("login that fails", async || {
            login(at, "root", "wrong horse battery").await.problem(401, "login_failed");
            login(at, "nobody", PASSWORD).await.problem(401, "login_failed");
        });
        world.close();
    }

    fn ground_g8_tokens_and_sessions_that_are_revoked_keep_nothing() {
        let world = World::new(&[]);
        let at = world.bed.address();
        let admin = world.block_on(world.root.make_token(at, "admin"));
        let admin = Person::token(admin["token"].as_str().unwrap());
        world.flat("a token: made, used, revoked", async || {
            let made = admin.post(at, "/api/v1/me/tokens", &json!({"name": "t", "scope": "read"})).await.json();
            let token = Person::token(made["token"].as_str().unwrap());
            assert_eq!(token.get(at, "/api/v1/me").await.status, 200);
            let path = format!("/api/v1/me/tokens/{}", made["id"].as_str().unwrap());
            assert_eq!(admin.call(at, "DELETE", &path, None).await.status, 204);
            token.get(at, "/api/v1/me").await.problem(401, "invalid_token");
            admin.call(at, "DELETE", &path, None).await.problem(404, "unknown_token");
        });
        world.flat("sessions: begun, one revoked, all others revoked", async || {
            let one = Person::login(at, "root").await;
            let two = Person::login(at, "root").await;
            let handle = one.get(at, "/api/v1/me").await.json()["session"]["handle"].as_str().unwrap().to_owned();
            let path = format!("/api/v1/me/sessions/{handle}");
            assert_eq!(world.root.call(at, "DELETE", &path, None).await.status, 204);
            assert_eq!(world.root.call(at, "DELETE", "/api/v1/me/sessions", None).await.json()["ended"], 1);
            two.get(at, "/api/v1/me").await.problem(401, "session_expired");
        });
        world.close();
    }

    fn ground_g8_users_that_come_and_go_keep_nothing() {
        let world = World::new(&[]);
        let at = world.bed.address();
        world.flat("a user: made, changed, removed with all they had", async || {
            let root = &world.root;
            root.user(at, "ada", "operator").await;
            let ada = Person::login(at, "ada").await;
            let token = ada.make_token(at, "run").await;
            let path = format!("/api/v1/users/ada/tokens/{}", token["id"].as_str().unwrap());
            assert_eq!(root.call(at, "DELETE", &path, None).await.status, 204);
            let viewer = json!({"role": "viewer"});
            assert_eq!(root.call(at, "PATCH", "/api/v1/users/ada", Some(&viewer)).await.status, 200);
            assert_eq!(root.call(at, "DELETE", "/api/v1/users/ada/sessions", None).await.status, 200);
            assert_eq!(root.call(at, "DELETE", "/api/v1/users/ada", None).await.status, 204);
            root.get(at, "/api/v1/users/ada").await.problem(404, "unknown_user");
        });
        world.close();
    }

    fn ground_g8_a_password_that_is_changed_keeps_nothing() {
        let world = World::new(&[]);
        let at = world.bed.address();
        let path = "/api/v1/me/password";
        world.flat("to another password and back", async || {
            let person = Person::login(at, "root").await;
            let there = json!({"current_password": PASSWORD, "new_password": NEW_PASSWORD});
            let changed = person.call(at, "PUT", path, Some(&there)).await;
            assert_eq!(changed.status, 204, "{changed:?}");
            let rotated = Person { cookie: cookie(&changed), ..Person::default() };
            let csrf = rotated.get(at, "/api/v1/csrf").await.json()["token"].as_str().unwrap().to_owned();
            let rotated = Person { csrf: Some(csrf), ..rotated };
            let back = json!({"current_password": NEW_PASSWORD, "new_password": PASSWORD});
            let changed = rotated.call(at, "PUT", path, Some(&back)).await;
            let last = Person { cookie: cookie(&changed), ..Person::default() };
            let csrf = last.get(at, "/api/v1/csrf").await.json()["token"].as_str().unwrap().to_owned();
            let last = Person { csrf: Some(csrf), ..last };
            assert_eq!(last.call(at, "POST", "/api/v1/logout", None).await.status, 204);
        });
        world.close();
    }

    fn ground_g8_a_setup_that_is_refused_keeps_nothing() {
        let world = World::new(&[]);
        let at = world.bed.address();
        let body = json!({"ticket": "A".repeat(43), "name": "eve", "password": PASSWORD});
        world.flat("a ticket that is not good", async || {
            Person::nobody().post(at, "/api/v1/setup", &body).await.problem(403, "setup_refused");
            assert!(open_setup(&*world.bed.accounts).await.unwrap().is_none());
        });
        world.close();
    }
}
