//! A token in a form: found without a parser that holds the form.

use std::fmt;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};

use super::reason::Reason;

/// Bytes read of a multipart form to find the token, which must be its first part: a border of 70 characters, a few headers,
/// 43 characters, another border, and room to spare.
pub(super) const FIRST_PART_BYTES_MAX: usize = 4096;
/// Characters of a border ([RFC 2046](https://www.rfc-editor.org/rfc/rfc2046), section 5.1.1).
const BORDER_CHARS_MAX: usize = 70;

/// How a form is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `application/x-www-form-urlencoded`.
    Urlencoded,
    /// `multipart/form-data`, with two hyphens and the border that parts its parts.
    Multipart(Vec<u8>),
}

/// What the beginning of a multipart form shows. `Debug` does not show the token.
#[derive(PartialEq, Eq)]
pub(super) enum FirstPart<'a> {
    /// Not enough to tell.
    More,
    /// The first part is another field, or a file, or nothing.
    Other,
    /// The token.
    Token(&'a [u8]),
}

impl fmt::Debug for FirstPart<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::More => "More",
            Self::Other => "Other",
            Self::Token(_) => "Token(..)",
        })
    }
}

impl Form {
    /// The form that a request says it has; `None` if it says something else, or nothing. Case does not matter, and parameters
    /// do not (SvelteKit, CVE-2023-29008; Qwik, GHSA-vm6g-8r4h-22x8): whatever is no form needs its token in the header.
    ///
    /// # Errors
    /// `DuplicateHeader`: it says two things.
    pub(super) fn of(headers: &HeaderMap) -> Result<Option<Self>, Reason> {
        let mut values = headers.get_all(CONTENT_TYPE).iter();
        let first = values.next();
        if values.next().is_some() {
            return Err(Reason::DuplicateHeader);
        }
        Ok(first.and_then(Self::named))
    }

    fn named(value: &HeaderValue) -> Option<Self> {
        let text = value.to_str().ok()?;
        let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
        let essence = essence.trim();
        if essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Some(Self::Urlencoded);
        }
        if !essence.eq_ignore_ascii_case("multipart/form-data") {
            return None;
        }
        let border = parameter(parameters, "boundary")?;
        let fits = (1..=BORDER_CHARS_MAX).contains(&border.len()) && border.bytes().all(|b| (b' '..=b'~').contains(&b));
        fits.then(|| [b"--", border.as_bytes()].concat()).map(Self::Multipart)
    }
}

/// The value of a field in a whole urlencoded form.
///
/// # Errors
/// `TokenMissing`, or `TokenRepeated` if it is there twice: then it depends on the reader which one counts.
pub(super) fn urlencoded(form: &[u8], field: &str) -> Result<Vec<u8>, Reason> {
    let mut values = form_urlencoded::parse(form).filter(|(name, _)| name == field).map(|(_, value)| value);
    let first = values.next().ok_or(Reason::TokenMissing)?;
    match values.next() {
        Some(_) => Err(Reason::TokenRepeated),
        None => Ok(first.into_owned().into_bytes()),
    }
}

/// The first part of a multipart form of which `seen` has come. `border` is as in [`Form::Multipart`].
///
/// Stricter than [RFC 7578](https://www.rfc-editor.org/rfc/rfc7578) and as browsers write: no preamble, one
/// `Content-Disposition`, no file name.
pub(super) fn first_part<'a>(seen: &'a [u8], border: &[u8], field: &str) -> FirstPart<'a> {
    let opening = [border, b"\r\n"].concat();
    let Some(part) = seen.strip_prefix(opening.as_slice()) else {
        return if opening.starts_with(seen) { FirstPart::More } else { FirstPart::Other };
    };
    if part.starts_with(b"\r\n") {
        return FirstPart::Other;
    }
    let Some(end) = find(part, b"\r\n\r\n") else { return FirstPart::More };
    if !names(&part[..end], field) {
        return FirstPart::Other;
    }
    let value = &part[end + 4..];
    let closing = [b"\r\n", border].concat();
    find(value, &closing).map_or(FirstPart::More, |end| FirstPart::Token(&value[..end]))
}

/// Whether the headers of a part say that it is this field, and no file.
fn names(headers: &[u8], field: &str) -> bool {
    let Ok(text) = std::str::from_utf8(headers) else { return false };
    let mut dispositions = text
        .split("\r\n")
        .filter_map(|line| line.split_once(':'))
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("content-disposition"))
        .map(|(_, value)| value);
    let (Some(value), None) = (dispositions.next(), dispositions.next()) else { return false };
    let (kind, parameters) = value.split_once(';').unwrap_or((value, ""));
    kind.trim().eq_ignore_ascii_case("form-data")
        && parameter(parameters, "name").is_some_and(|name| name == field)
        && parameter(parameters, "filename").is_none()
        && parameter(parameters, "filename*").is_none()
}

/// The value of a parameter, bare or in quotes; `None` if it is not there, there twice, or escaped.
fn parameter<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    let mut found = None;
    let mut rest = parameters;
    while !rest.trim_start_matches([';', ' ', '\t']).is_empty() {
        rest = rest.trim_start_matches([';', ' ', '\t']);
        let (key, after) = rest.split_once('=')?;
        let value;
        match after.strip_prefix('"') {
            Some(quoted) => (value, rest) = quoted.split_once('"')?,
            None => (value, rest) = after.split_once(';').unwrap_or((after, "")),
        }
        if key.trim().eq_ignore_ascii_case(name) {
            if found.is_some() || value.contains('\\') {
                return None;
            }
            found = Some(value.trim());
        }
    }
    found
}

fn find(text: &[u8], sought: &[u8]) -> Option<usize> {
    text.windows(sought.len()).position(|window| window == sought)
}

#[cfg(test)]
mod tests;
