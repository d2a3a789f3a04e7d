//! API tokens in memory: found without the store, checked against it once a minute.

use std::sync::Arc;
use std::time::{Duration, Instant};

use staunch_bounded::Counted;
use staunch_engine::TOKENS_KNOWN_MAX;
use staunch_store::{Accounts, Fingerprint, LiveToken, TokenCreated, TokenId, TokenRow, UserId};

use super::Auth;
use super::caller::{Caller, TokenCaller, role_of};
use super::known::{Found, Known, NotPut};
use super::session::left;
use super::token::ApiToken;
use super::visitor::Visitor;
use crate::problem::{Code, Refusal};
use crate::wire::NewToken;

/// How often a token is checked; so what is revoked elsewhere is noticed.
const CHECK: Duration = Duration::from_secs(60);
/// As for sessions.
const TRIES: usize = 8;

/// Days that a token may last, if it does not last for ever.
const DAYS_MAX: u32 = 3_660;
/// Bytes of what a token is called; the store takes no more.
const NAME_BYTES_MAX: usize = 128;

/// Tokens that this process has seen lately.
#[derive(Debug)]
pub(crate) struct ApiTokens {
    known: Arc<Known<LiveToken, ()>>,
}

impl ApiTokens {
    /// None.
    pub(crate) fn new() -> Self {
        Self { known: Arc::new(Known::new("tokens", TOKENS_KNOWN_MAX as usize)) }
    }

    /// The token of this fingerprint, if it works and the store need not be asked.
    pub(crate) fn at_hand(&self, key: Fingerprint) -> Found<LiveToken> {
        self.known.get(key, Instant::now(), CHECK)
    }

    /// The token of this fingerprint as the store has it; its use is noted there.
    pub(crate) async fn load(&self, key: Fingerprint, accounts: &dyn Accounts) -> Result<Option<TokenCaller>, Refusal> {
        for _ in 0..TRIES {
            let mark = self.known.mark();
            let Some(live) = accounts.token(key).await? else {
                self.known.lapse(key);
                return Ok(None);
            };
            if !accounts.touch_token(live.token.id).await? {
                continue;
            }
            let now = Instant::now();
            let ends = live.token.expires_at.and_then(|at| now.checked_add(left(at)));
            match self.known.put(key, live, now, ends, mark) {
                Ok((live, alive)) => return Ok(Some(TokenCaller { live, alive })),
                Err(NotPut::Removed) => {}
                Err(NotPut::Full) => break,
            }
        }
        Err(Refusal::new(Code::Busy).retry_after(Duration::from_secs(1)))
    }

    /// Forgets one, after the store has.
    pub(crate) fn forget(&self, id: TokenId) {
        self.known.remove_where(|live| live.token.id == id);
    }

    /// Forgets all of a user, after the store has, or so that what changed of the user is read again.
    pub(crate) fn forget_user(&self, user: UserId) {
        self.known.remove_where(|live| live.user.id == user);
    }

    /// Removes what has expired.
    pub(crate) fn sweep(&self) {
        self.known.sweep(Instant::now());
    }

    /// What a census counts of them.
    pub(crate) fn counted(&self) -> &Arc<impl Counted + use<>> {
        &self.known
    }
}

impl Auth {
    /// Makes a token of the caller. One that a token makes ends with it at the latest.
    ///
    /// # Errors
    /// 400 for a name or a life that cannot be, 403 for more than the caller may, 409 `no_session` or `tokens_full`; as
    /// [`Auth::prove_again`].
    pub(crate) async fn create_token(
        &self,
        caller: &Caller,
        asked: NewToken,
        visitor: &Visitor,
    ) -> Result<(ApiToken, TokenRow), Refusal> {
        let user = caller.user_id().ok_or_else(|| Refusal::new(Code::NoSession))?;
        let scope = staunch_store::Scope::from(asked.scope);
        let invalid = |why: &str| Refusal::new(Code::InvalidBody).detail(why);
        if asked.name.is_empty() || asked.name.len() > NAME_BYTES_MAX || asked.name.chars().any(char::is_control) {
            return Err(invalid("`name` must have 1 to 128 bytes, none of them control characters"));
        }
        if asked.expires_in_days.is_some_and(|days| !(1..=DAYS_MAX).contains(&days)) {
            return Err(invalid("`expires_in_days` must be from 1 to 3660"));
        }
        if caller.role().is_none_or(|role| role < role_of(scope)) {
            let why = format_args!("a token of scope {} is more than the caller may", scope.word());
            return Err(Refusal::new(Code::Forbidden).detail(why));
        }
        self.prove_again(caller, asked.current_password.as_ref(), visitor).await?;
        let token = ApiToken::generate()?;
        let new = staunch_store::NewToken {
            user,
            name: asked.name,
            shown: token.shown().to_owned(),
            hash: token.fingerprint(),
            scope,
            no_later: caller.ends_at(),
            ttl: asked.expires_in_days.map(|days| Duration::from_secs(u64::from(days) * 86_400)),
        };
        let actor = caller.actor(visitor);
        let created =
            self.see_through(caller, move |accounts, _, _| async move { accounts.create_token(new, actor).await });
        match created.await? {
            TokenCreated::Created(row) => Ok((token, row)),
            TokenCreated::NoUser => Err(Refusal::new(Code::UnknownUser)),
            TokenCreated::Full { limit } => Err(Refusal::new(Code::TokensFull).detail(format_args!("{limit} at most"))),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::auth::tests::Stand;
    use crate::config::ServerConfig;

    #[tokio::test]
    async fn a_strangers_token_undoes_no_check() {
        let Stand { auth, .. } = &Stand::new(&ServerConfig::default()).await;
        let mark = auth.tokens.known.mark();
        assert!(auth.tokens.load(Fingerprint::of(b"stranger"), &*auth.accounts).await.unwrap().is_none());
        assert_eq!(auth.tokens.known.mark(), mark);
    }
}
