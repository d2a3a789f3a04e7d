//! What is thought of a token.

/// What a check of a token found. Only `Valid` lets a request pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// One of the session's live secrets, in its one form.
    Valid,
    /// A secret of this session that has grown too old. Known only until its slot is used again or swept; `Invalid` after.
    Expired,
    /// No secret of this session.
    Invalid,
    /// Not the form of a token at all.
    Malformed,
    /// There is no token, or an empty one.
    Missing,
}

impl Verdict {
    /// Whether the request may pass.
    pub fn is_valid(self) -> bool {
        self == Self::Valid
    }
}
