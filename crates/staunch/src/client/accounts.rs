//! Users, their sessions and their tokens. What a server says of them is passed on as it is.

use serde_json::{Map, Value, json};

use super::credential::Credential;
use super::http::{Client, segment};
use crate::failure::Failure;
use crate::secret::Secret;

/// Users of one page: the most that the API gives.
const PAGE: usize = 200;

/// Pages that are asked for: more users than any server may have.
const PAGES_MAX: usize = 500;

impl Client {
    /// Logs in with a password: a client that asks as this user until [`Client::log_out`].
    pub(crate) fn log_in(&self, name: &str, password: &Secret) -> Result<Self, Failure> {
        self.confide("the password")?;
        let anybody = self.clone().with(Credential::Nobody);
        let answer = anybody.post_once("/login", &json!({ "name": name, "password": password.reveal() }))?;
        let cookies = answer.headers().get_all("set-cookie").iter().filter_map(|cookie| cookie.to_str().ok());
        let cookie = cookies.filter_map(session_cookie).next().map(str::to_owned);
        let body: Value = self.read(answer)?;
        match (cookie, body["csrf_token"].as_str()) {
            (Some(cookie), Some(csrf)) => Ok(anybody.with(Credential::session(&cookie, csrf)?)),
            _ => Err(Failure::broken("the server took the password and began no session")),
        }
    }

    /// Ends the session that [`Client::log_in`] began.
    pub(crate) fn log_out(&self) -> Result<(), Failure> {
        self.post_once("/logout", &json!({})).map(drop)
    }

    /// Makes a user.
    pub(crate) fn create_user(&self, name: &str, role: &str, password: &Secret) -> Result<Value, Failure> {
        self.confide("the password")?;
        let body = json!({ "name": name, "role": role, "password": password.reveal() });
        let answer = self.post_once("/users", &body)?;
        self.read(answer)
    }

    /// All users.
    pub(crate) fn users(&self) -> Result<Vec<Value>, Failure> {
        let mut users: Vec<Value> = Vec::new();
        for _ in 0..PAGES_MAX {
            let mut query = vec![("limit", PAGE.to_string())];
            let last = users.last().and_then(|user| user["name"].as_str());
            query.extend(last.map(|name| ("after", name.to_owned())));
            let page = rows(self.get("/users", &query)?)?;
            let full = page.len() == PAGE;
            users.extend(page);
            if !full {
                break;
            }
        }
        Ok(users)
    }

    /// A user.
    pub(crate) fn user(&self, name: &str) -> Result<Value, Failure> {
        self.get(&user(name), &[])
    }

    /// Changes a user; `change` has only what is to change.
    pub(crate) fn change_user(&self, name: &str, change: &Map<String, Value>) -> Result<Value, Failure> {
        if change.contains_key("password") {
            self.confide("the password")?;
        }
        self.patch(&user(name), change)
    }

    /// Removes a user.
    pub(crate) fn delete_user(&self, name: &str) -> Result<(), Failure> {
        self.delete(&user(name))
    }

    /// The sessions of a user.
    pub(crate) fn sessions(&self, name: &str) -> Result<Vec<Value>, Failure> {
        rows(self.get(&format!("{}/sessions", user(name)), &[])?)
    }

    /// Ends the sessions of a user.
    pub(crate) fn end_sessions(&self, name: &str) -> Result<(), Failure> {
        self.delete(&format!("{}/sessions", user(name)))
    }

    /// Makes a token for whoever asks.
    pub(crate) fn create_token(&self, new: &Value) -> Result<Value, Failure> {
        let answer = self.post_once("/me/tokens", new)?;
        self.read(answer)
    }

    /// The tokens of whoever asks, or of a user.
    pub(crate) fn tokens(&self, of: Option<&str>) -> Result<Vec<Value>, Failure> {
        rows(self.get(&tokens(of), &[])?)
    }

    /// Makes a token worthless.
    pub(crate) fn revoke_token(&self, of: Option<&str>, id: &str) -> Result<(), Failure> {
        self.delete(&format!("{}/{}", tokens(of), segment(id)))
    }
}

fn user(name: &str) -> String {
    format!("/users/{}", segment(name))
}

fn tokens(of: Option<&str>) -> String {
    of.map_or_else(|| "/me/tokens".to_owned(), |name| format!("{}/tokens", user(name)))
}

/// The rows of a list, whether it is one page of several or all there is.
fn rows(answer: Value) -> Result<Vec<Value>, Failure> {
    match answer {
        Value::Array(rows) => Ok(rows),
        Value::Object(mut page) => match page.remove("items") {
            Some(Value::Array(rows)) => Ok(rows),
            _ => Err(Failure::broken("the server answered no list")),
        },
        _ => Err(Failure::broken("the server answered no list")),
    }
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
    fn a_list_is_its_rows() {
        assert_eq!(rows(json!([1])).expect("rows"), [json!(1)]);
        assert_eq!(rows(json!({ "items": [1], "next": null })).expect("rows"), [json!(1)]);
        assert!(rows(json!({ "rows": [] })).is_err());
    }

    #[test]
    fn names_stay_segments() {
        assert_eq!(user("a@b"), "/users/a%40b");
        assert_eq!(tokens(Some("../x")), "/users/..%2Fx/tokens");
        assert_eq!(tokens(None), "/me/tokens");
    }
}
