//! Entity tags: whether a client has what it asks for.

/// RFC 9110 §13.1.2: a list of entity tags, weak ones included, or `*`.
pub(crate) fn matches(given: &[u8], etag: &str) -> bool {
    let Ok(given) = std::str::from_utf8(given) else { return false };
    given.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == etag)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn entity_tags_match_as_the_rfc_says() {
        for yes in ["\"a\"", "W/\"a\"", "*", "\"b\", \"a\""] {
            assert!(matches(yes.as_bytes(), "\"a\""), "{yes}");
        }
        for no in ["a", "\"b\"", "", "\"A\""] {
            assert!(!matches(no.as_bytes(), "\"a\""), "{no}");
        }
        assert!(!matches(&[0xff], "\"a\""));
    }
}
