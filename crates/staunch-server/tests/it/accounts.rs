//! A bed with accounts, and somebody who calls it: with a session, with a token, with nothing.

use std::net::SocketAddr;

use serde_json::{Value, json};
use staunch_engine::Limits;
use staunch_server::{Quota, Rates, ServerConfig, open_setup};

use crate::bed::Bed;
use crate::client::{Answer, call};

/// A password that everybody has here.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// Somebody who calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Person {
    pub(crate) cookie: Option<String>,
    pub(crate) csrf: Option<String>,
    pub(crate) bearer: Option<String>,
}

/// Rates that no test meets by chance.
pub(crate) fn generous() -> Rates {
    let much: Quota = "100000/1m".parse().unwrap();
    Rates { login: much, account: much, register: much, password: much, email: much, api: much, api_token: much }
}

/// A closed server with the admin `root`, and no rate that matters.
pub(crate) async fn closed(workflows: &[(&str, &str)]) -> (Bed, Person) {
    closed_with(workflows, Limits::default(), ServerConfig { rates: generous(), ..ServerConfig::default() }).await
}

/// A closed server with the admin `root`.
pub(crate) async fn closed_with(workflows: &[(&str, &str)], limits: Limits, config: ServerConfig) -> (Bed, Person) {
    let bed = Bed::configured(workflows, limits, config).await;
    let ticket = open_setup(&*bed.accounts).await.unwrap().expect("there is no admin yet");
    let body = json!({"ticket": ticket.fragment(), "name": "root", "password": PASSWORD});
    let answer = bed.post("/api/v1/setup", &body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    (bed, Person::of(&answer))
}

impl Person {
    /// Nobody.
    pub(crate) fn nobody() -> Self {
        Self::default()
    }

    /// Whoever got this answer to a login.
    pub(crate) fn of(answer: &Answer) -> Self {
        let cookie = cookie(answer).expect("a cookie is set");
        Self {
            cookie: Some(cookie),
            csrf: Some(answer.json()["csrf_token"].as_str().unwrap().to_owned()),
            bearer: None,
        }
    }

    /// Whoever has a token.
    pub(crate) fn token(text: &str) -> Self {
        Self { bearer: Some(text.to_owned()), ..Self::default() }
    }

    /// Logs in.
    pub(crate) async fn login(at: SocketAddr, name: &str) -> Self {
        let answer = login(at, name, PASSWORD).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        Self::of(&answer)
    }

    /// Sends a request, with all that is needed.
    pub(crate) async fn call(&self, at: SocketAddr, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.call_with(at, method, path, &[], body).await
    }

    /// As [`Person::call`], with further headers.
    pub(crate) async fn call_with(
        &self,
        at: SocketAddr,
        method: &str,
        path: &str,
        more: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Answer {
        let bearer = self.bearer.as_ref().map(|token| format!("Bearer {token}"));
        let mut headers = more.to_vec();
        headers.extend(self.cookie.as_deref().map(|cookie| ("cookie", cookie)));
        headers.extend(self.csrf.as_deref().map(|token| ("x-csrf-token", token)));
        headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
        if body.is_some() {
            headers.push(("content-type", "application/json"));
        }
        call(at, method, path, &headers, body.map(Value::to_string).unwrap_or_default()).await
    }

    /// GET.
    pub(crate) async fn get(&self, at: SocketAddr, path: &str) -> Answer {
        self.call(at, "GET", path, None).await
    }

    /// POST.
    pub(crate) async fn post(&self, at: SocketAddr, path: &str, body: &Value) -> Answer {
        self.call(at, "POST", path, Some(body)).await
    }

    /// Makes a user with [`PASSWORD`].
    pub(crate) async fn user(&self, at: SocketAddr, name: &str, role: &str) {
        let body = json!({"name": name, "role": role, "password": PASSWORD, "current_password": PASSWORD});
        let answer = self.post(at, "/api/v1/users", &body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }

    /// Makes a token of one's own, and returns the answer's body.
    pub(crate) async fn make_token(&self, at: SocketAddr, scope: &str) -> Value {
        let body = json!({"name": "t", "scope": scope, "current_password": PASSWORD});
        let answer = self.post(at, "/api/v1/me/tokens", &body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()
    }
}

/// Tries to log in.
pub(crate) async fn login(at: SocketAddr, name: &str, password: &str) -> Answer {
    Person::nobody().post(at, "/api/v1/login", &json!({"name": name, "password": password})).await
}

/// The cookie that an answer sets, as `name=value`; `None` if it sets none or takes it away.
pub(crate) fn cookie(answer: &Answer) -> Option<String> {
    let pair = answer.header("set-cookie").split(';').next().unwrap_or_default();
    (!pair.is_empty() && !pair.ends_with('=')).then(|| pair.to_owned())
}
