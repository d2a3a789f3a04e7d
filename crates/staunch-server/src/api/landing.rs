//! What a person sees who opens the server in a browser, and what a kind of problem means.

use axum::response::{Html, IntoResponse, Response};
use http::header::CONTENT_SECURITY_POLICY;

use crate::ask::Segments;
use crate::problem::{Code, Refusal};

const PAGE: &str = "<!doctype html>
<html lang=\"en\">
<head><meta charset=\"utf-8\"><title>Staunch</title></head>
<body>
<h1>Staunch</h1>
<p>A workflow server in which nothing leaks. It is up. This is its HTTP API.</p>
<ul>
<li><a href=\"/api/v1/workflows\">Workflows</a></li>
<li><a href=\"/api/v1/runs\">Runs</a></li>
<li><a href=\"/readyz?verbose=1\">Health</a></li>
<li><a href=\"/metrics\">Metrics</a></li>
<li><a href=\"/api/v1/openapi.json\">OpenAPI document</a></li>
</ul>
<p>From a terminal: <code>staunch run NAME</code>, <code>staunch runs</code>, <code>staunch logs RUN -f</code>.</p>
</body>
</html>
";

/// The landing page.
pub(super) async fn landing() -> Response {
    ([(CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'")], Html(PAGE)).into_response()
}

/// What a kind of problem means and what to do about it: where the `type` of a problem points.
#[utoipa::path(
    get, path = "/problems/{code}", tag = "health",
    params(("code" = String, Path, description = "The `code` of a problem.")),
    responses((status = 200, description = "In words.", body = String), super::openapi::Problems),
)]
pub(super) async fn explain_problem(Segments(word): Segments<String>) -> Result<String, Refusal> {
    let code = Code::of(&word).ok_or_else(|| Refusal::new(Code::NotFound))?;
    Ok(format!("{} ({}): {}.\n\n{}\n", code.word(), code.status(), code.title(), code.help()))
}
