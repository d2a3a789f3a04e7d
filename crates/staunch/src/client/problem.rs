//! Turns a refusal of the server into a failure of the command.

use staunch_server::wire::Problem;
use ureq::Body;
use ureq::http::{Response, StatusCode};

use crate::exit::Exit;
use crate::failure::Failure;

/// A problem document is not larger than this, in bytes.
const PROBLEM_BYTES_MAX: u64 = 1 << 20;

/// Problems whose detail says nothing without the title before it. Most are whole sentences.
const LEANING: [&str; 6] =
    ["forbidden", "invalid_password", "sessions_full", "streams_full", "tokens_full", "users_full"];

/// The failure behind an answer that is not a success. `nobody`: the request had no credentials.
pub(super) fn failure(base: &str, answer: Response<Body>, nobody: bool) -> Failure {
    let status = answer.status();
    let wait = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut body = answer.into_body();
    let problem: Option<Problem> = body.with_config().limit(PROBLEM_BYTES_MAX).read_json().ok();
    let Some(problem) = problem else {
        // Something between us and a server, or no Staunch server at all.
        let failure = Failure::new(exit(status, ""), format!("{base} answered {status}"));
        return allowed(status, "", "", nobody).into_iter().fold(failure, Failure::hint);
    };
    let mut message = match problem.detail {
        Some(detail) if LEANING.contains(&problem.code.as_str()) => format!("{}: {detail}", problem.title),
        detail => detail.unwrap_or(problem.title),
    };
    for error in &problem.errors {
        let place = match (error.line, error.column, &error.pointer) {
            (Some(line), Some(column), _) => format!("line {line}, column {column}: "),
            (_, _, Some(pointer)) => format!("{}: ", pointer.rsplit('/').next().unwrap_or(pointer)),
            _ => String::new(),
        };
        message.push_str(&format!("\n  {place}{}", error.message));
        if let Some(help) = &error.help {
            message.push_str(&format!(" ({help})"));
        }
    }
    let failure = Failure::new(exit(status, &problem.code), message);
    match wait {
        Some(seconds) if status != StatusCode::OK => failure.hint(format!("try again in {seconds} s")),
        _ => {
            let path = problem.instance.as_deref().unwrap_or_default();
            allowed(status, &problem.code, path, nobody).into_iter().fold(failure, Failure::hint)
        }
    }
}

/// What to do about a request that is not allowed.
fn allowed(status: StatusCode, code: &str, path: &str, nobody: bool) -> Option<&'static str> {
    match (status.as_u16(), code) {
        // The password was wrong, and that is all there is to say.
        (401, "login_failed") => None,
        (401, _) if nobody => Some(
            "the server wants a token: `staunch token create NAME --login USER` makes one; give it in $STAUNCH_TOKEN or by --token-file \
             (if there is no user yet, open the link first that the server printed and keeps in `setup-link` in its data directory)",
        ),
        (401, _) => Some("the token is mistyped, expired or revoked, or its user is kept out"),
        (403, "password_needed") if path.ends_with("/me/tokens") => {
            Some("only a token of scope admin makes tokens by itself; --login NAME asks for the password")
        }
        (403, "forbidden") if path.ends_with("/me/tokens") => Some(
            "a token makes no other that may do more, and one that only looks makes none: --login NAME asks for the password; and none may do \
             more than its user's role",
        ),
        (403, "forbidden") => Some("the token's scope or its user's role is too small for this"),
        (409, "no_session") => {
            Some("`staunch user create NAME --role admin` makes the first user; then try again with --login NAME")
        }
        _ => None,
    }
}

/// The exit code for a status; `code` tells a wrong workflow from a wrong request.
fn exit(status: StatusCode, code: &str) -> Exit {
    match status.as_u16() {
        400 | 413 | 415 | 422 if code.contains("workflow") => Exit::InvalidWorkflow,
        400 | 413 | 415 | 422 => Exit::Usage,
        401 | 403 => Exit::NotAllowed,
        404 => Exit::NotFound,
        429 | 503 | 507 => Exit::Refused,
        502 | 504 => Exit::Unreachable,
        _ => Exit::Failed,
    }
}
