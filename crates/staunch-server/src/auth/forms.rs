//! Forms for those who have no session yet: a cookie and a token that belong together, and nothing is remembered.

use http::{HeaderMap, HeaderValue};
use staunch_guard::csrf::{Reason, SystemRandom};

use super::Auth;
use super::cookie::find;
use crate::problem::{Code, Refusal};
use crate::wire::Secret;

/// What a page with such a form needs.
#[derive(Debug)]
pub(crate) struct Form {
    /// The value of its hidden field `csrf_token`.
    pub(crate) token: Secret,
    /// The cookie to be set with the page, unless the browser has one.
    pub(crate) cookie: Option<HeaderValue>,
}

impl Auth {
    /// A form for a page that is asked for with these headers.
    pub(crate) fn form(&self, headers: &HeaderMap) -> Result<Form, Refusal> {
        let now = self.sessions.seconds();
        let cookie = find(headers, self.cookies.form_name()).map_err(|_| Refusal::new(Code::DuplicateCredentials))?;
        if let Some(cookie) = cookie {
            let token = self.forms.token(cookie.as_bytes(), now, &SystemRandom).map_err(Refusal::internal)?;
            if let Some(token) = token {
                return Ok(Form { token: Secret::new(token), cookie: None });
            }
        }
        let (cookie, token) = self.forms.issue(now, &SystemRandom).map_err(Refusal::internal)?;
        Ok(Form { token: Secret::new(token), cookie: Some(self.cookies.form(&cookie)) })
    }

    /// Whether the token of a form belongs to the cookie beside it, and is young enough.
    ///
    /// # Errors
    /// 403 with the code of the CSRF guard: show the form again.
    pub(crate) fn check_form(&self, headers: &HeaderMap, token: &str) -> Result<(), Refusal> {
        let cookie = find(headers, self.cookies.form_name()).map_err(|_| Refusal::new(Code::DuplicateCredentials))?;
        let cookie = cookie.unwrap_or_default().as_bytes();
        let verdict = self.forms.verify(cookie, token.as_bytes(), self.sessions.seconds());
        Reason::of(verdict).map_or(Ok(()), |reason| Err(Refusal::of_guard(&reason.refusal())))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use http::header::COOKIE;

    use super::*;
    use crate::auth::tests::Stand;
    use crate::config::ServerConfig;

    #[tokio::test]
    async fn a_form_is_good_with_its_own_cookie_only() {
        let Stand { auth, .. } = &Stand::new(&ServerConfig::default()).await;
        let with = |cookie: &HeaderValue| {
            let mut headers = HeaderMap::new();
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            headers.insert(COOKIE, pair.parse().unwrap());
            headers
        };
        let form = auth.form(&HeaderMap::new()).unwrap();
        let shown = format!("{form:?}");
        assert!(shown.contains("token: Secret(..)") && shown.contains("Sensitive"), "{shown}");
        let headers = with(&form.cookie.unwrap());
        assert!(auth.check_form(&headers, form.token.expose()).is_ok());
        let second = auth.form(&headers).unwrap();
        assert!(second.cookie.is_none() && second.token != form.token);
        assert!(auth.check_form(&headers, second.token.expose()).is_ok(), "two tabs share a cookie");
        let code = |headers: &HeaderMap, token: &str| auth.check_form(headers, token).unwrap_err().code();
        let other = with(&auth.form(&HeaderMap::new()).unwrap().cookie.unwrap());
        assert_eq!(code(&other, form.token.expose()), Code::CsrfTokenInvalid);
        assert_eq!(code(&HeaderMap::new(), form.token.expose()), Code::CsrfTokenMissing);
        assert_eq!(code(&headers, "x"), Code::CsrfTokenMalformed);
    }
}
