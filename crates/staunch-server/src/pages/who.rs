//! Who is logged in, as pages say it.

use super::layout::Who;
use super::veil::Veil;
use crate::app::App;
use crate::auth::Caller;
use crate::problem::Refusal;
use crate::wire::Secret;

/// What [`Who`] borrows.
#[derive(Debug)]
pub(super) struct Names {
    name: String,
    role: &'static str,
    token: Secret,
}

impl Names {
    /// The caller's, if they have a session. All pages of a session show its newest secret, each in another mask, so that no page
    /// makes another's forms worthless.
    pub(super) fn of(app: &App, caller: &Caller) -> Result<Option<Self>, Refusal> {
        let Some(session) = caller.session() else { return Ok(None) };
        let user = &session.live.user;
        let token = app.auth.csrf_token(caller, false)?;
        Ok(Some(Self { name: user.name.clone(), role: user.role.word(), token }))
    }

    /// As the layout takes them.
    pub(super) fn who(&self) -> Who<'_> {
        Who { name: &self.name, role: self.role, token: Veil::new(self.token.expose()) }
    }
}
