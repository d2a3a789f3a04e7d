//! What a kind of problem means.

use crate::ask::Segments;
use crate::problem::{Code, Refusal};

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
