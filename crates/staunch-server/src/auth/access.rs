//! Who may do what: one table, each route once. A route that does not stand in it is refused.

use std::collections::HashMap;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CACHE_CONTROL, LOCATION, SET_COOKIE};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};
use staunch_store::Role;

use super::caller::Caller;
use crate::app::App;
use crate::ask::encode;
use crate::pages::is_page;
use crate::problem::{Code, Refusal};
use crate::rate::Rule;

/// What it takes to be let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing, and credentials are not even looked at: the process must say that it lives whatever is sent, and files of the
    /// user interface are the same for all. No rate limit either.
    Nothing,
    /// Nothing, and credentials are not looked at, because this is where one comes to get some.
    Fresh,
    /// Nothing; but who calls is found out.
    Public,
    /// This role or a higher one.
    Role(Role),
    /// Any role, and more than a token that only looks: whoever found such a token must not end its user's sessions nor revoke their
    /// other tokens, and must not guess their password, which would use up their tries.
    Own,
}

/// One route.
#[derive(Debug)]
pub(crate) struct Row {
    /// Its method; HEAD goes with GET.
    pub(crate) method: Method,
    /// Its path, as the router matches it.
    pub(crate) path: &'static str,
    /// What it takes.
    pub(crate) need: Need,
    /// The rate limit of its own, by address.
    pub(crate) rule: Option<Rule>,
}

/// Where a request stands.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// At a route.
    Row(&'static Row),
    /// At a path that has routes of other methods only.
    Method,
    /// At a route that was forgotten in the table.
    Forgotten,
    /// Nowhere.
    Nowhere,
}

const VIEWER: Need = Need::Role(Role::Viewer);
const OPERATOR: Need = Need::Role(Role::Operator);
const ADMIN: Need = Need::Role(Role::Admin);

macro_rules! rows {
    ($($method:ident $path:literal $need:expr $(, $rule:ident)?;)+) => {
        /// The table.
        pub(crate) static TABLE: &[Row] = &[$(Row {
            method: Method::$method,
            path: $path,
            need: $need,
            rule: rows!(@rule $($rule)?),
        },)+];
    };
    (@rule) => { None };
    (@rule $rule:ident) => { Some(Rule::$rule) };
}

rows! {
    GET "/livez" Need::Nothing;
    GET "/readyz" Need::Nothing;
    GET "/assets/{*path}" Need::Nothing;

    GET "/login" Need::Public;
    POST "/login" Need::Fresh, Login;
    GET "/setup" Need::Public;
    POST "/setup" Need::Fresh, Register;
    POST "/api/v1/login" Need::Fresh, Login;
    POST "/api/v1/setup" Need::Fresh, Register;
    GET "/api/v1/openapi.json" Need::Public;
    GET "/problems/{code}" Need::Public;

    GET "/" VIEWER;
    GET "/account" VIEWER;
    POST "/account/password" VIEWER;
    POST "/account/sessions/revoke" VIEWER;
    POST "/account/tokens" VIEWER;
    POST "/account/tokens/revoke" VIEWER;
    GET "/memory" VIEWER;
    GET "/metrics" VIEWER;
    POST "/logout" VIEWER;
    POST "/api/v1/logout" VIEWER;
    GET "/api/v1/me" VIEWER;
    GET "/api/v1/csrf" VIEWER;
    PUT "/api/v1/me/password" Need::Own;
    GET "/api/v1/me/sessions" VIEWER;
    DELETE "/api/v1/me/sessions" Need::Own;
    DELETE "/api/v1/me/sessions/{handle}" Need::Own;
    GET "/api/v1/me/tokens" VIEWER;
    POST "/api/v1/me/tokens" Need::Own;
    DELETE "/api/v1/me/tokens/{id}" Need::Own;
    GET "/api/v1/workflows" VIEWER;
    POST "/api/v1/workflows/validate" VIEWER;
    GET "/api/v1/workflows/{name}" VIEWER;
    GET "/api/v1/runs" VIEWER;
    GET "/api/v1/runs/{id}" VIEWER;
    GET "/api/v1/runs/{id}/events" VIEWER;
    GET "/api/v1/runs/{id}/steps/{step}/log" VIEWER;
    GET "/api/v1/runs/{id}/steps/{step}/log/raw" VIEWER;
    GET "/api/v1/events" VIEWER;
    GET "/api/v1/memory" VIEWER;

    POST "/api/v1/workflows/{name}/runs" OPERATOR;
    POST "/api/v1/runs/{id}/cancel" OPERATOR;
    POST "/api/v1/runs/{id}/rerun" OPERATOR;

    GET "/api/v1/users" ADMIN;
    POST "/api/v1/users" ADMIN;
    GET "/api/v1/users/{name}" ADMIN;
    PATCH "/api/v1/users/{name}" ADMIN;
    DELETE "/api/v1/users/{name}" ADMIN;
    GET "/api/v1/users/{name}/sessions" ADMIN;
    DELETE "/api/v1/users/{name}/sessions" ADMIN;
    GET "/api/v1/users/{name}/tokens" ADMIN;
    DELETE "/api/v1/users/{name}/tokens/{id}" ADMIN;
    GET "/api/v1/audit" ADMIN;
}

/// The table, by path.
#[derive(Debug)]
pub(crate) struct Access(HashMap<&'static str, Vec<&'static Row>>);

impl Access {
    /// Of [`TABLE`].
    pub(crate) fn new() -> Self {
        let mut paths: HashMap<_, Vec<_>> = HashMap::new();
        for row in TABLE {
            paths.entry(row.path).or_default().push(row);
        }
        Self(paths)
    }

    /// Where a request stands, by the route that the router found.
    pub(crate) fn place(&self, request: &Parts) -> Place {
        let Some(path) = request.extensions.get::<MatchedPath>() else { return Place::Nowhere };
        let Some(rows) = self.0.get(path.as_str()) else { return Place::Forgotten };
        let method = if request.method == Method::HEAD { &Method::GET } else { &request.method };
        rows.iter().find(|row| row.method == *method).map_or(Place::Method, |row| Place::Row(row))
    }

    /// The methods of a path, as `Allow` has them.
    fn allowed(&self, path: &str) -> String {
        let methods = self.0.get(path).into_iter().flatten().flat_map(|row| {
            let head = (row.method == Method::GET).then_some("HEAD");
            std::iter::once(row.method.as_str()).chain(head)
        });
        methods.collect::<Vec<_>>().join(",")
    }
}

/// The middleware: lets a request to its handler, or says what is lacking.
pub(crate) async fn pass(State(app): State<App>, caller: Caller, request: Request, next: Next) -> Response {
    let place = request.extensions().get::<Place>().copied().unwrap_or(Place::Forgotten);
    let need = match place {
        Place::Nowhere => Need::Public,
        Place::Row(row) => row.need,
        Place::Method => return method_not_allowed(&app, &request),
        Place::Forgotten => {
            tracing::error!(path = request.uri().path(), "a route stands in no row of the access table: it is refused");
            return Refusal::new(Code::Forbidden).into_response();
        }
    };
    let least = match need {
        Need::Role(least) => least,
        Need::Own if caller.only_looks() => {
            let why = "it takes a session, or a token that may do more than look";
            return Refusal::new(Code::Forbidden).detail(why).into_response();
        }
        Need::Own => Role::Viewer,
        Need::Nothing | Need::Fresh | Need::Public => return next.run(request).await,
    };
    match caller.role() {
        Some(role) if role >= least => next.run(request).await,
        Some(role) => {
            let why = format_args!("it takes the role {}, and this is {}", least.word(), role.word());
            Refusal::new(Code::Forbidden).detail(why).into_response()
        }
        None if wants_page(&request) => to_login(&app, &caller, &request),
        None => {
            let code = if caller.expired { Code::SessionExpired } else { Code::Unauthenticated };
            Refusal::new(code).into_response()
        }
    }
}

fn method_not_allowed(app: &App, request: &Request) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str).unwrap_or_default();
    let refusal = Refusal::new(Code::MethodNotAllowed);
    match HeaderValue::from_str(&app.auth.access.allowed(path)) {
        Ok(allowed) => refusal.header(ALLOW, allowed).into_response(),
        Err(_) => refusal.into_response(),
    }
}

/// Whether a person looks for a page.
fn wants_page(request: &Request) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD) && is_page(request.uri().path(), request.headers())
}

fn to_login(app: &App, caller: &Caller, request: &Request) -> Response {
    let next = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let location = if next == "/" { "/login".to_owned() } else { format!("/login?next={}", encode(next)) };
    let mut response =
        (StatusCode::SEE_OTHER, [(LOCATION, location), (CACHE_CONTROL, "no-store".to_owned())]).into_response();
    if caller.expired {
        response.headers_mut().append(SET_COOKIE, app.auth.cookies.no_session());
    }
    response
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Routes that are no part of the API, and so not of its document.
    const PAGES: [(&str, &str); 14] = [
        ("get", "/"),
        ("get", "/account"),
        ("post", "/account/password"),
        ("post", "/account/sessions/revoke"),
        ("post", "/account/tokens"),
        ("post", "/account/tokens/revoke"),
        ("get", "/assets/{*path}"),
        ("get", "/login"),
        ("get", "/memory"),
        ("post", "/login"),
        ("post", "/logout"),
        ("get", "/setup"),
        ("post", "/setup"),
        ("get", "/problems/{code}"),
    ];

    #[test]
    fn each_route_stands_in_the_table_once_and_no_other() {
        let document: serde_json::Value = serde_json::from_str(&crate::openapi()).unwrap();
        let mut routes: BTreeSet<(String, String)> =
            PAGES.iter().map(|(method, path)| ((*method).to_owned(), (*path).to_owned())).collect();
        for (path, operations) in document["paths"].as_object().unwrap() {
            routes.extend(operations.as_object().unwrap().keys().map(|method| (method.clone(), path.clone())));
        }
        let rows: Vec<_> =
            TABLE.iter().map(|row| (row.method.as_str().to_ascii_lowercase(), row.path.to_owned())).collect();
        let once: BTreeSet<_> = rows.iter().cloned().collect();
        assert_eq!(once.len(), rows.len(), "a row stands there twice");
        assert_eq!(once, routes);
    }

    #[test]
    fn whatever_changes_something_takes_a_role_or_a_rate() {
        for row in TABLE {
            let open = matches!(row.need, Need::Nothing | Need::Public | Need::Fresh);
            assert!(row.method == Method::GET || !open || row.rule.is_some(), "{row:?}");
        }
    }
}
