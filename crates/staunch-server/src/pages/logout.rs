//! Logging out.

use axum::extract::State;
use axum::response::Response;
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::layout;
use crate::app::App;
use crate::auth::{Caller, Visitor};
use crate::problem::Refusal;

/// Takes the form, whose token the CSRF guard has checked.
pub(super) async fn submit(State(app): State<App>, caller: Caller, visitor: Visitor) -> Result<Response, Refusal> {
    app.auth.logout(&caller, &visitor).await?;
    let mut headers = HeaderMap::new();
    headers.append(SET_COOKIE, app.auth.cookies.no_session());
    // Not "cookies": that would clear those of all servers of this host, on every port and for every sibling domain.
    headers.insert(HeaderName::from_static("clear-site-data"), HeaderValue::from_static("\"storage\""));
    Ok(layout::see_other("/login", headers))
}
