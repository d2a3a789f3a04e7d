//! What an answer depends on, said once.

use http::header::{Entry, VARY};
use http::{HeaderMap, HeaderValue};

/// What the guard looks at, and what authentication by cookie looks at.
const LOOKED_AT: [&str; 3] = ["Cookie", "Origin", "Sec-Fetch-Site"];
static ALL: HeaderValue = HeaderValue::from_static("Cookie, Origin, Sec-Fetch-Site");

/// Adds to `Vary` what is not in it yet, in one header, so that no cache gives the answer of one to another.
pub(super) fn merge(headers: &mut HeaderMap) {
    if let Entry::Vacant(vacant) = headers.entry(VARY) {
        // Most answers: nothing to write.
        vacant.insert(ALL.clone());
        return;
    }
    let mut all: Vec<u8> = Vec::new();
    for value in headers.get_all(VARY) {
        if !all.is_empty() {
            all.extend(b", ");
        }
        all.extend(value.as_bytes());
    }
    if named(&all, "*") {
        return;
    }
    for name in LOOKED_AT {
        if !named(&all, name) {
            if !all.is_empty() {
                all.extend(b", ");
            }
            all.extend(name.as_bytes());
        }
    }
    // It is made of values of headers, so it is one; if not, it stays as it was.
    if let Ok(value) = HeaderValue::from_bytes(&all) {
        headers.insert(VARY, value);
    }
}

fn named(list: &[u8], name: &str) -> bool {
    list.split(|byte| *byte == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vary_is_merged_once_and_in_one_header() {
        for (before, after) in [
            (&[][..], "Cookie, Origin, Sec-Fetch-Site"),
            (&["Accept"], "Accept, Cookie, Origin, Sec-Fetch-Site"),
            (&["origin", "accept, cookie"], "origin, accept, cookie, Sec-Fetch-Site"),
            (&["Cookie, Origin, Sec-Fetch-Site"], "Cookie, Origin, Sec-Fetch-Site"),
            (&["*"], "*"),
        ] {
            let mut headers = HeaderMap::new();
            for value in before {
                headers.append(VARY, HeaderValue::from_static(value));
            }
            merge(&mut headers);
            merge(&mut headers);
            assert_eq!(headers.get_all(VARY).iter().collect::<Vec<_>>(), [after]);
        }
    }
}
