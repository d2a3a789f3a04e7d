//! Users, their sessions and their tokens.

use serde_json::json;
use staunch_server::wire::{
    LoggedIn, LoginRequest, NewToken, NewUser, Secret, Session, SessionList, SessionsEnded, Token, TokenCreated,
    TokenList, User, UserPage, UserPatch,
};

use super::credential::Credential;
use super::http::{Client, segment};
use crate::failure::Failure;

/// Users of one page: the most that the API gives.
const PAGE: u32 = 200;

/// Pages that are asked for: more users than any server may have.
const PAGES_MAX: u32 = 500;

impl Client {
    /// Logs in with a password: a client that asks as this user until [`Client::log_out`].
    pub(crate) fn log_in(&self, name: &str, password: &Secret) -> Result<Self, Failure> {
        self.confide("the password")?;
        let anybody = self.clone().with(Credential::Nobody);
        let request = LoginRequest { name: name.to_owned(), password: password.clone() };
        let answer = anybody.post_once("/login", &request)?;
        let cookies = answer.headers().get_all("set-cookie").iter().filter_map(|cookie| cookie.to_str().ok());
        let cookie = cookies.filter_map(session_cookie).next().map(str::to_owned);
        let begun: LoggedIn = self.read(answer)?;
        match cookie {
            Some(cookie) => Ok(anybody.with(Credential::session(&cookie, begun.csrf_token.expose())?)),
            None => Err(Failure::broken("the server took the password and began no session")),
        }
    }

    /// Ends the session that [`Client::log_in`] began.
    pub(crate) fn log_out(&self) -> Result<(), Failure> {
        self.post_once("/logout", &json!({})).map(drop)
    }

    /// Makes a user.
    pub(crate) fn create_user(&self, new: &NewUser) -> Result<User, Failure> {
        self.confide("the password")?;
        let answer = self.post_once("/users", new)?;
        self.read(answer)
    }

    /// All users.
    pub(crate) fn users(&self) -> Result<Vec<User>, Failure> {
        let mut users = Vec::new();
        let mut query = vec![("limit", PAGE.to_string())];
        for _ in 0..PAGES_MAX {
            let page: UserPage = self.get("/users", &query)?;
            users.extend(page.items);
            let Some(after) = page.next_cursor else { break };
            query.truncate(1);
            query.push(("after", after));
        }
        Ok(users)
    }

    /// A user.
    pub(crate) fn user(&self, name: &str) -> Result<User, Failure> {
        self.get(&user(name), &[])
    }

    /// Changes a user.
    pub(crate) fn change_user(&self, name: &str, change: &UserPatch) -> Result<User, Failure> {
        if change.password.is_some() {
            self.confide("the password")?;
        }
        self.patch(&user(name), change)
    }

    /// Removes a user.
    pub(crate) fn delete_user(&self, name: &str) -> Result<(), Failure> {
        self.delete(&user(name)).map(drop)
    }

    /// The sessions of a user.
    pub(crate) fn sessions(&self, name: &str) -> Result<Vec<Session>, Failure> {
        let list: SessionList = self.get(&format!("{}/sessions", user(name)), &[])?;
        Ok(list.items)
    }

    /// Ends the sessions of a user; how many.
    pub(crate) fn end_sessions(&self, name: &str) -> Result<u64, Failure> {
        let answer = self.delete(&format!("{}/sessions", user(name)))?;
        let ended: SessionsEnded = self.read(answer)?;
        Ok(ended.ended)
    }

    /// Makes a token for whoever asks.
    pub(crate) fn create_token(&self, new: &NewToken) -> Result<TokenCreated, Failure> {
        let answer = self.post_once("/me/tokens", new)?;
        self.read(answer)
    }

    /// The tokens of whoever asks, or of a user.
    pub(crate) fn tokens(&self, of: Option<&str>) -> Result<Vec<Token>, Failure> {
        let list: TokenList = self.get(&tokens(of), &[])?;
        Ok(list.items)
    }

    /// Makes a token worthless.
    pub(crate) fn revoke_token(&self, of: Option<&str>, id: &str) -> Result<(), Failure> {
        self.delete(&format!("{}/{}", tokens(of), segment(id))).map(drop)
    }
}

fn user(name: &str) -> String {
    format!("/users/{}", segment(name))
}

fn tokens(of: Option<&str>) -> String {
    of.map_or_else(|| "/me/tokens".to_owned(), |name| format!("{}/tokens", user(name)))
}

/// `name=value` of a Set-Cookie header, if it is the session's and begins one.
fn session_cookie(header: &str) -> Option<&str> {
    let cookie = header.split(';').next()?.trim();
    let (name, value) = cookie.split_once('=')?;
    (matches!(name, "__Host-staunch" | "staunch_session") && !value.is_empty()).then_some(cookie)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_is_in_its_own_cookie() {
        assert_eq!(session_cookie("__Host-staunch=abc; Path=/; Secure; HttpOnly"), Some("__Host-staunch=abc"));
        assert_eq!(session_cookie("staunch_session=abc"), Some("staunch_session=abc"));
        for other in ["staunch_session=; Max-Age=0", "other=abc", "staunch_session", ""] {
            assert_eq!(session_cookie(other), None, "{other}");
        }
    }

    #[test]
    fn names_stay_segments() {
        assert_eq!(user("a@b"), "/users/a%40b");
        assert_eq!(tokens(Some("../x")), "/users/..%2Fx/tokens");
        assert_eq!(tokens(None), "/me/tokens");
    }
}
