//! Cookies: ours are found by their exact name, and one that is there twice is not believed.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use staunch_guard::csrf::FORM_TTL_SECONDS;

/// How our cookies are called and marked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cookies {
    secure: bool,
}

/// A cookie is there more than once: an attacker on a sibling domain can add one, and which counts would be chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Twice;

impl Cookies {
    /// `secure`: the address in browsers is https. Then names begin with `__Host-`, which no other host can set (RFC 6265bis
    /// section 4.1.3.2). The other name is never looked at.
    pub(crate) fn new(secure: bool) -> Self {
        Self { secure }
    }

    /// The name of the session's cookie.
    pub(crate) fn session_name(self) -> &'static str {
        if self.secure { "__Host-staunch" } else { "staunch_session" }
    }

    /// The name of the cookie of forms that are shown to those who have no session.
    pub(crate) fn form_name(self) -> &'static str {
        if self.secure { "__Host-staunch_form" } else { "staunch_form" }
    }

    /// Sets the session's cookie. The browser forgets it when it closes; the store, when the session ends.
    pub(crate) fn session(self, id: &str) -> HeaderValue {
        self.set(self.session_name(), id, "")
    }

    /// Takes the session's cookie away.
    pub(crate) fn no_session(self) -> HeaderValue {
        self.set(self.session_name(), "", "; Max-Age=0")
    }

    /// Sets the cookie of forms.
    pub(crate) fn form(self, value: &str) -> HeaderValue {
        self.set(self.form_name(), value, &format!("; Max-Age={FORM_TTL_SECONDS}"))
    }

    /// Takes the cookie of forms away: at login.
    pub(crate) fn no_form(self) -> HeaderValue {
        self.set(self.form_name(), "", "; Max-Age=0")
    }

    fn set(self, name: &str, value: &str, age: &str) -> HeaderValue {
        let secure = if self.secure { "; Secure" } else { "" };
        let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}");
        // Names and values are ours, in base64url.
        let mut value = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""));
        value.set_sensitive(true);
        value
    }
}

/// The value of the one cookie of this name.
pub(crate) fn find<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Twice> {
    // Bytes: cookies of other servers on this host come in the same line, and need not be text.
    let pairs = headers.get_all(COOKIE).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    let mut found = pairs.filter_map(|pair| pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"="));
    let first = found.next();
    // What is no text has not the form of any of ours.
    let first = first.map(|value| str::from_utf8(value).unwrap_or_default());
    if found.next().is_some() { Err(Twice) } else { Ok(first) }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_exact_name_and_once() {
        let headers = |lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(COOKIE, HeaderValue::from_bytes(line.as_bytes()).unwrap());
            }
            headers
        };
        type Case<'a> = (&'a [&'a str], Result<Option<&'a str>, Twice>);
        let cases: &[Case<'_>] = &[
            (&[], Ok(None)),
            (&["staunch_session=a"], Ok(Some("a"))),
            (&["x=1; staunch_session=a; y=2"], Ok(Some("a"))),
            (&["x=1;staunch_session=a"], Ok(Some("a"))),
            (&["staunch_session="], Ok(Some(""))),
            (&["Staunch_Session=a; staunch_session2=b; xstaunch_session=c"], Ok(None)),
            (&["__Host-staunch=a"], Ok(None)),
            (&["staunch_session=a; staunch_session=a"], Err(Twice)),
            (&["staunch_session=a", "staunch_session=b"], Err(Twice)),
            // Of another server on this host: it must not hide ours, nor that ours is there twice.
            (&["x=\u{e9}; staunch_session=a"], Ok(Some("a"))),
            (&["x=\u{e9}; staunch_session=a", "staunch_session=b"], Err(Twice)),
            (&["staunch_session=\u{e9}"], Ok(Some("\u{e9}"))),
        ];
        for (lines, expected) in cases {
            assert_eq!(find(&headers(lines), "staunch_session"), *expected, "{lines:?}");
        }
    }

    #[test]
    fn the_prefix_comes_with_https_only() {
        let text = |value: HeaderValue| value.to_str().unwrap().to_owned();
        assert_eq!(text(Cookies::new(true).session("a")), "__Host-staunch=a; Path=/; HttpOnly; SameSite=Lax; Secure");
        assert_eq!(text(Cookies::new(false).session("a")), "staunch_session=a; Path=/; HttpOnly; SameSite=Lax");
        assert_eq!(
            text(Cookies::new(true).no_session()),
            "__Host-staunch=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0"
        );
        assert_eq!(text(Cookies::new(false).no_form()), "staunch_form=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
        assert!(Cookies::new(true).session("a").is_sensitive());
    }
}
