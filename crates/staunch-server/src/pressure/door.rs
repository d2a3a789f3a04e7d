//! What a request meets while memory is scarce.

use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::CONNECTION;
use http::{HeaderValue, Method};
use staunch_engine::Level;

use crate::app::App;
use crate::problem::{Code, Refusal};

/// When to ask again. Pressure is measured four times a second and seldom lasts; who comes back in a hurry makes it last.
const AGAIN: Duration = Duration::from_secs(5);

/// What takes memory while its client waits: a password's hash (19 MiB), a stream, the plan of an earlier run, the parse of a text.
const REFUSED: [(Method, &str); 12] = [
    (Method::POST, "/login"),
    (Method::POST, "/setup"),
    (Method::POST, "/account/password"),
    (Method::POST, "/account/tokens"),
    (Method::POST, "/api/v1/login"),
    (Method::POST, "/api/v1/setup"),
    (Method::PUT, "/api/v1/me/password"),
    (Method::POST, "/api/v1/users"),
    (Method::PATCH, "/api/v1/users/{name}"),
    (Method::GET, "/api/v1/events"),
    (Method::POST, "/api/v1/workflows/validate"),
    (Method::POST, RERUN),
];
const RERUN: &str = "/api/v1/runs/{id}/rerun";
const SUBMIT: &str = "/api/v1/workflows/{name}/runs";

/// From which level on a route is refused.
fn refused_from(method: &Method, path: &str) -> Option<Level> {
    // A HEAD does what a GET does.
    let method = if method == Method::HEAD { &Method::GET } else { method };
    if method == Method::POST && path == SUBMIT {
        return Some(Level::Shed);
    }
    REFUSED.iter().any(|(its, route)| its == method && *route == path).then_some(Level::Refuse)
}

/// The middleware. It stands before everything that costs: who is refused here has not even been looked at.
pub(crate) async fn pass(State(app): State<App>, request: Request, next: Next) -> Response {
    let level = app.engine.pressure().level();
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str).unwrap_or_default();
    let makes_run = request.method() == Method::POST && [SUBMIT, RERUN].contains(&path);
    let refused = refused_from(request.method(), path).is_some_and(|from| level >= from);
    let mut response = if refused {
        Refusal::new(Code::MemoryPressure).retry_after(AGAIN).into_response()
    } else {
        next.run(request).await
    };
    if makes_run && let Some(refusal) = response.extensions().get::<Refusal>() {
        app.rejected.note(refusal.code());
    }
    if level >= Level::Slow {
        // What a connection holds is given back with its answer.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::access::TABLE;

    #[test]
    fn what_is_refused_stands_in_the_access_table() {
        let stands = |method: &Method, path: &str| TABLE.iter().any(|row| row.method == *method && row.path == path);
        for (method, path) in &REFUSED {
            assert!(stands(method, path), "{method} {path}");
            assert_eq!(refused_from(method, path), Some(Level::Refuse));
        }
        assert!(stands(&Method::POST, SUBMIT));
        assert_eq!(refused_from(&Method::POST, SUBMIT), Some(Level::Shed));
        assert_eq!(refused_from(&Method::HEAD, "/api/v1/events"), Some(Level::Refuse));
        // What helps to see and to mend is never refused.
        for (method, path) in
            [(Method::GET, "/metrics"), (Method::GET, "/livez"), (Method::POST, "/api/v1/runs/{id}/cancel")]
        {
            assert!(stands(&method, path));
            assert_eq!(refused_from(&method, path), None, "{path}");
        }
    }
}
