//! The pages of the user interface. There are none yet.

use axum::Router;

use crate::app::App;

/// The routes of pages: `/login`, `/setup`, `/logout`, `/assets/...`. Each must stand in the access table.
pub(crate) fn routes() -> Router<App> {
    Router::new()
}
