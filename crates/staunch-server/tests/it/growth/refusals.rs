//! Each kind of refusal: whoever is turned away leaves nothing behind.

use serde_json::json;
use staunch_engine::Limits;
use staunch_server::{Rates, ServerConfig};

use super::world::World;
use crate::accounts::{PASSWORD, Person, generous};
use crate::client::{call, converse};

const JSON: (&str, &str) = ("content-type", "application/json");
const INPUT: &str = "inputs: { n: { type: number, required: true } }\nsteps: [{ id: only, run: 'true' }]";

staunch_leak::alone! {
    fn ground_g8_no_refusal_keeps_anything() {
        let world = World::new(&[("input", INPUT)]);
        let at = world.bed.address();
        let root = world.root.clone();
        let (cookie, csrf) = (root.cookie.clone().unwrap(), root.csrf.clone().unwrap());
        let (cookie, csrf) = (("cookie", cookie.as_str()), ("x-csrf-token", csrf.as_str()));
        let path = "/api/v1/workflows/input/runs";
        let large = format!(r#"{{"inputs":{{"n":"{}"}}}}"#, "x".repeat(300 << 10));
        let long = format!("GET / HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "a".repeat(40_000));
        world.flat_at_once("refusals", async || {
            let nobody = Person::nobody();
            nobody.get(at, "/api/v1/me").await.problem(401, "unauthenticated");
            Person::token("stn_wrong").get(at, "/api/v1/me").await.problem(401, "invalid_token");
            root.get(at, "/api/v2/runs").await.problem(404, "not_found");
            call(at, "DELETE", "/api/v1/runs", &[cookie, csrf], "").await.problem(405, "method_not_allowed");
            call(at, "POST", path, &[cookie, csrf, JSON], large.clone()).await.problem(413, "body_too_large");
            call(at, "POST", path, &[cookie, csrf, ("content-type", "text/plain")], "x").await
                .problem(415, "unsupported_media_type");
            call(at, "POST", path, &[cookie, csrf, JSON], "{").await.problem(400, "invalid_body");
            call(at, "POST", path, &[cookie, csrf, JSON], r#"{"inputs":{"m":1}}"#).await.problem(422, "invalid_inputs");
            // Cross-site: no token, a wrong one, another site, and a form that says so too late.
            call(at, "POST", path, &[cookie, JSON], "{}").await.problem(403, "csrf_token_missing");
            call(at, "POST", path, &[cookie, JSON, ("x-csrf-token", &"A".repeat(43))], "{}").await
                .problem(403, "csrf_token_invalid");
            call(at, "POST", path, &[cookie, csrf, JSON, ("origin", "http://evil.example")], "{}").await
                .problem(403, "bad_origin");
            let form = ("content-type", "application/x-www-form-urlencoded");
            call(at, "POST", path, &[cookie, form], "a=b".repeat(500)).await.problem(403, "csrf_token_missing");
            let twice = [("cookie", cookie.1), ("cookie", cookie.1)];
            call(at, "GET", "/api/v1/me", &twice, "").await.problem(400, "duplicate_credentials");
            // Before any handler.
            for (sent, status) in [
                ("GET / HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n", "421"),
                ("\u{16}\u{3}\u{1} hello\r\n\r\n", "400"),
                (long.as_str(), "431"),
            ] {
                let answer = converse(at, sent.as_bytes()).await;
                assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer:?}");
            }
        });
        world.flat("a role that is too small", async || {
            let made = root.make_token(at, "read").await;
            let reader = Person::token(made["token"].as_str().unwrap());
            reader.post(at, path, &json!({})).await.problem(403, "forbidden");
            let path = format!("/api/v1/me/tokens/{}", made["id"].as_str().unwrap());
            assert_eq!(root.call(at, "DELETE", &path, None).await.status, 204);
        });
        world.close();
    }

    /// A thousand callers' worth of denials, by address and by name; the tables are as large as they were.
    fn ground_g8_whoever_asks_too_often_keeps_nothing() {
        let slow = "1/1h".parse().unwrap();
        let rates = Rates { api: slow, account: slow, ..generous() };
        let world = World::configured(&[], Limits::default(), ServerConfig { rates, ..ServerConfig::default() });
        let at = world.bed.address();
        let body = json!({"name": "mallory", "password": PASSWORD});
        world.block_on(async {
            Person::nobody().get(at, "/api/v1/me").await;
            Person::nobody().post(at, "/api/v1/login", &body).await.problem(401, "login_failed");
        });
        world.flat_at_once("too many requests", async || {
            Person::nobody().get(at, "/api/v1/me").await.problem(429, "quota_exceeded");
            Person::nobody().post(at, "/api/v1/login", &body).await.problem(429, "quota_exceeded");
        });
        world.close();
    }
}
