//! Where a login leads: to a path of this server, and nowhere else.

/// Bytes of it, at most: it travels in an address and in a form.
const BYTES_MAX: usize = 1024;

/// Paths that lead back to where one came from.
const CIRCLES: [&str; 3] = ["/login", "/logout", "/setup"];

/// `asked` if it is a path of this server, else the home page.
///
/// Browsers read `//host` and `/\host` as another server, and drop tabs and line breaks before they look; so everything but
/// plain visible ASCII is refused, and so is every backslash.
pub(super) fn local(asked: Option<&str>) -> &str {
    asked.filter(|path| is_local(path)).unwrap_or("/")
}

fn is_local(path: &str) -> bool {
    let rest = path.strip_prefix('/');
    let circle = CIRCLES.iter().any(|circle| {
        path.strip_prefix(circle).is_some_and(|rest| rest.is_empty() || rest.starts_with(['?', '#', '/']))
    });
    rest.is_some_and(|rest| !rest.starts_with('/'))
        && path.len() <= BYTES_MAX
        && path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
        && !circle
}

#[cfg(test)]
mod tests {
    use super::{BYTES_MAX, local};

    #[test]
    fn a_login_leads_to_paths_of_this_server_only() {
        let long = format!("/{}", "a".repeat(BYTES_MAX - 1));
        for good in ["/", "/account", "/api/v1/runs?state=ended&limit=3", "/a//b", "/loginx", "/a#b", &long] {
            assert_eq!(local(Some(good)), good);
        }
        let longer = format!("{long}a");
        for bad in [
            "",
            "//evil",
            "///evil",
            "/\\evil",
            "\\\\evil",
            "\\/evil",
            "https:",
            "https://evil",
            "https:/evil",
            "evil",
            "javascript:alert(1)",
            "/\t/evil",
            "/\n/evil",
            "\t//evil",
            " //evil",
            "/ /evil",
            "/a\\b",
            "/\u{e9}",
            "/\r\nset-cookie: a=b",
            "/login",
            "/login?next=/login",
            "/logout",
            "/setup#x",
            "?",
            "#",
            "@evil",
            ".evil",
            &longer,
        ] {
            assert_eq!(local(Some(bad)), "/", "{bad:?}");
        }
        assert_eq!(local(None), "/");
    }
}
