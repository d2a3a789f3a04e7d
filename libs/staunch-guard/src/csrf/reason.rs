//! Why a request is refused, how that is said, and how often it was.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;

use super::verdict::Verdict;
use crate::refusal::Refusal;

/// A form is read in less, or its client is cut off.
const FORMS_AGAIN: Duration = Duration::from_secs(5);

/// Why the guard refuses a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No token, and the caller has a session.
    TokenMissing,
    /// Not the form of a token.
    TokenMalformed,
    /// A token of this session that is too old.
    TokenExpired,
    /// No token of this session.
    TokenInvalid,
    /// The form has the token's field more than once.
    TokenRepeated,
    /// The form is larger than is read to find a token.
    FormTooLarge,
    /// All memory for forms being read is in use.
    FormsFull,
    /// The body ended in an error while the token was looked for.
    BodyUnreadable,
    /// A browser says that another site made the request.
    CrossSite,
    /// The origin is none of the server's.
    BadOrigin,
    /// The origin is hidden.
    NullOrigin,
    /// Nothing says where the request comes from, and here something must.
    OriginMissing,
    /// A header that decides is there twice.
    DuplicateHeader,
    /// The server did not say who calls: a mistake in its wiring.
    CallerUnknown,
}

/// What a reason is in an answer.
struct Text {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    hint: &'static str,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::TokenMissing,
        Self::TokenMalformed,
        Self::TokenExpired,
        Self::TokenInvalid,
        Self::TokenRepeated,
        Self::FormTooLarge,
        Self::FormsFull,
        Self::BodyUnreadable,
        Self::CrossSite,
        Self::BadOrigin,
        Self::NullOrigin,
        Self::OriginMissing,
        Self::DuplicateHeader,
        Self::CallerUnknown,
    ];

    /// The reason in a verdict; `None` if it is valid.
    pub fn of(verdict: Verdict) -> Option<Self> {
        match verdict {
            Verdict::Valid => None,
            Verdict::Expired => Some(Self::TokenExpired),
            Verdict::Invalid => Some(Self::TokenInvalid),
            Verdict::Malformed => Some(Self::TokenMalformed),
            Verdict::Missing => Some(Self::TokenMissing),
        }
    }

    /// A stable word for programs.
    pub fn code(self) -> &'static str {
        self.text().code
    }

    /// What it is answered with: 403, but for a body that cannot be read (400), want of memory (503), and a mistake of the
    /// server's own (500).
    pub fn refusal(self) -> Refusal {
        let Text { status, code, title, hint } = self.text();
        let refusal = Refusal::new(status, code, title).hint(hint);
        if self == Self::FormsFull { refusal.retry_after(FORMS_AGAIN) } else { refusal }
    }

    fn text(self) -> Text {
        match self {
            Self::CrossSite
            | Self::BadOrigin
            | Self::NullOrigin
            | Self::OriginMissing
            | Self::DuplicateHeader
            | Self::CallerUnknown => self.text_of_head(),
            _ => self.text_of_token(),
        }
    }

    fn text_of_token(self) -> Text {
        let no = |code, title, hint| Text { status: StatusCode::FORBIDDEN, code, title, hint };
        match self {
            Self::TokenMissing => no(
                "csrf_token_missing",
                "the request has no CSRF token",
                "send it in the header x-csrf-token, or as a field of the form (the first one of a multipart form)",
            ),
            Self::TokenMalformed => {
                no("csrf_token_malformed", "this is no CSRF token", "send the 43 characters as they were given")
            }
            Self::TokenExpired => {
                no("csrf_token_expired", "the CSRF token is too old", "fetch a new one and try once more")
            }
            Self::TokenInvalid => no(
                "csrf_token_invalid",
                "the CSRF token is none of this session",
                "fetch a new one and try once more; reload the page if you have logged in since it was opened",
            ),
            Self::TokenRepeated => {
                no("csrf_token_repeated", "the form has more than one CSRF token", "send the field once")
            }
            Self::FormTooLarge => no(
                "csrf_form_too_large",
                "the form is too large for its CSRF token to be looked for",
                "send the token in the header x-csrf-token",
            ),
            Self::FormsFull => Text {
                status: StatusCode::SERVICE_UNAVAILABLE,
                ..no(
                    "csrf_forms_full",
                    "too many forms are being read",
                    "try again, or send the token in the header x-csrf-token",
                )
            },
            // `BodyUnreadable`; those of the head are told by the other.
            _ => Text {
                status: StatusCode::BAD_REQUEST,
                ..no("csrf_body_unreadable", "the body ended before its CSRF token was found", "send the whole form")
            },
        }
    }

    fn text_of_head(self) -> Text {
        let no = |code, title, hint| Text { status: StatusCode::FORBIDDEN, code, title, hint };
        match self {
            Self::CrossSite => no(
                "cross_site",
                "another site made this request",
                "if that site is to be trusted, add its origin to the trusted origins in the server's configuration",
            ),
            Self::BadOrigin => no(
                "bad_origin",
                "the request comes from an origin that is none of the server's",
                "if you see this on the server's own pages, add their origin to its public origins in the configuration",
            ),
            Self::NullOrigin => no(
                "null_origin",
                "the request hides its origin",
                "a page that is sandboxed, or sent with Referrer-Policy: no-referrer, cannot do this",
            ),
            Self::OriginMissing => no(
                "origin_missing",
                "nothing says where the request comes from",
                "send Origin, or authenticate by a bearer token",
            ),
            Self::DuplicateHeader => no(
                "duplicate_header",
                "a header that must be there once is there twice",
                "look at Origin, Sec-Fetch-Site, Host, Referer, Content-Type and x-csrf-token, and at proxies on the way",
            ),
            // `CallerUnknown`.
            _ => Text {
                status: StatusCode::INTERNAL_SERVER_ERROR,
                ..no(
                    "csrf_caller_unknown",
                    "the server does not know who calls",
                    "this is a mistake in the server: its authentication must stand before its CSRF guard",
                )
            },
        }
    }
}

/// How many requests passed, and how many had each reason against them. Relaxed: nothing is decided by these numbers.
#[derive(Debug, Default)]
pub struct Counters {
    passed: AtomicU64,
    against: [AtomicU64; Reason::ALL.len()],
}

impl Counters {
    /// Checked requests that nothing spoke against.
    pub fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }

    /// Requests that were refused for this reason, or would have been if the guard did not only report.
    pub fn against(&self, reason: Reason) -> u64 {
        self.against[reason as usize].load(Ordering::Relaxed)
    }

    /// Each code with its count: a metric whose labels are few and fixed.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Reason::ALL.into_iter().map(|reason| (reason.code(), self.against(reason)))
    }

    pub(super) fn pass(&self) {
        self.passed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn refuse(&self, reason: Reason) {
        self.against[reason as usize].fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_numbered_as_they_are_listed_and_their_codes_differ() {
        let mut codes = std::collections::HashSet::new();
        for (i, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, i);
            assert!(codes.insert(reason.code()));
            assert!(reason.refusal().hint.is_some_and(|hint| !hint.is_empty()));
        }
    }

    #[test]
    fn counters_count_each_by_its_own() {
        let counters = Counters::default();
        counters.pass();
        counters.refuse(Reason::CrossSite);
        counters.refuse(Reason::CrossSite);
        assert_eq!((counters.passed(), counters.against(Reason::CrossSite)), (1, 2));
        assert_eq!(counters.all().filter(|(_, count)| *count > 0).collect::<Vec<_>>(), [("cross_site", 2)]);
    }
}
