//! By what right the command line asks a server, and where that may be sent.

use std::net::IpAddr;

use staunch_server::wire::Secret;
use ureq::RequestBuilder;
use ureq::http::header::{AUTHORIZATION, COOKIE};
use ureq::http::{HeaderValue, Uri};

use crate::failure::Failure;

/// Who asks. Its secrets are marked as such: neither `Debug` nor the client's log shows them.
#[derive(Clone, Debug)]
pub(super) enum Credential {
    /// Whoever uses this machine.
    Nobody,
    /// An API token.
    Token(HeaderValue),
    /// A session: the cookie, and the token that proves that no other page asks.
    Session {
        /// `name=value`.
        cookie: HeaderValue,
        /// The value of `x-csrf-token`.
        csrf: HeaderValue,
    },
}

impl Credential {
    /// An API token.
    pub(super) fn token(token: &Secret) -> Result<Self, Failure> {
        let text = token.expose().trim();
        if !text.starts_with("stn_") || !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            // Not even a part of it is shown: it may be another secret that was meant for elsewhere.
            return Err(Failure::usage("what was given as the token is none: a token begins with `stn_`")
                .hint("make one with `staunch token create NAME`"));
        }
        Ok(Self::Token(sensitive(&format!("Bearer {text}"))?))
    }

    /// A session that a login began.
    pub(super) fn session(cookie: &str, csrf: &str) -> Result<Self, Failure> {
        Ok(Self::Session { cookie: sensitive(cookie)?, csrf: sensitive(csrf)? })
    }

    /// Puts it into a request.
    pub(super) fn sign<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        match self {
            Self::Nobody => request,
            Self::Token(bearer) => request.header(AUTHORIZATION, bearer),
            Self::Session { cookie, csrf } => request.header(COOKIE, cookie).header("x-csrf-token", csrf),
        }
    }
}

fn sensitive(text: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| Failure::broken("the server's answer to the login cannot be sent back"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Whether nobody else can read what is sent to `base`: it is encrypted, or it does not leave this machine.
pub(super) fn is_private(base: &str) -> bool {
    // What is no address is sent nothing at all.
    base.parse::<Uri>().is_ok_and(|uri| uri.scheme_str() == Some("https") || is_here(&uri))
}

/// Whether a server is on this machine, by what its address says.
pub(super) fn is_here(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().to_ascii_lowercase();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&host);
    let address = bare.parse::<IpAddr>().map(|address| address.to_canonical().is_loopback());
    // RFC 6761 §6.3: names below `localhost` are this machine's, and resolvers must not ask others for them.
    address.unwrap_or_else(|_| bare == "localhost" || bare.ends_with(".localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_and_encrypted_addresses_are_private() {
        for private in [
            "https://staunch.example",
            "http://127.0.0.1:7878",
            "http://127.9.9.9",
            "http://[::1]:7878",
            "http://[::ffff:127.0.0.1]:1",
            "http://localhost:7878",
            "http://LOCALHOST",
            "http://a.localhost",
        ] {
            assert!(is_private(private), "{private}");
        }
        for open in [
            "http://staunch.example",
            "http://127.0.0.1.evil.example",
            "http://127.evil.example:7878",
            "http://localhost.evil.example",
            "http://localhost@evil.example",
            "http://192.0.2.1",
            "http://[2001:db8::1]",
            "http://0.0.0.0",
            "http://127.1",
            "not an address",
        ] {
            assert!(!is_private(open), "{open}");
        }
    }

    #[test]
    fn nothing_shows_a_credential() {
        let token = Credential::token(&Secret::new("stn_abcdefghijklmnop")).expect("a token");
        let session = Credential::session("staunch_session=abcdef", "ghijkl").expect("a session");
        let shown = format!("{token:?} {session:?}");
        for part in ["abc", "ghi", "mnop"] {
            assert!(!shown.contains(part), "{shown}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused_without_being_shown() {
        for wrong in ["hunter2", "", "stn_a b", "stn_a\nb", "Bearer stn_abc", "stn_é"] {
            let failure = Credential::token(&Secret::new(wrong)).expect_err(wrong);
            assert!(!failure.message.contains("hunter"), "{failure}");
        }
    }
}
