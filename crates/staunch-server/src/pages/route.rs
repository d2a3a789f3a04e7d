//! The pages' paths. Each stands in the access table too.

use axum::Router;
use axum::routing::{get, post};

use super::{account, asset, home, login, logout, memory, setup};
use crate::app::App;

/// All pages.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(home::show))
        .route("/login", get(login::show).post(login::submit))
        .route("/setup", get(setup::show).post(setup::submit))
        .route("/logout", post(logout::submit))
        .route("/account", get(account::show))
        .route("/account/password", post(account::change_password))
        .route("/account/sessions/revoke", post(account::revoke_sessions))
        .route("/account/tokens", post(account::create_token))
        .route("/account/tokens/revoke", post(account::revoke_token))
        .route("/memory", get(memory::show))
        .route("/assets/{*path}", get(asset::show))
}
