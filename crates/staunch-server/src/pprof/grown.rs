//! Which sites hold more than they did.

use std::io;

use super::profile::Profile;

/// From two profiles of one process to at most so many lines such as `12.3 MiB more in alloc::site`, the site that grew most first.
///
/// # Errors
/// One of them is no profile.
pub fn grown(base: &[u8], now: &[u8], lines_max: usize) -> io::Result<Vec<String>> {
    let difference = Profile::decode(now)?.since(&Profile::decode(base)?);
    let grown = difference.sites().into_iter().filter(|site| site.bytes > 0).take(lines_max);
    Ok(grown.map(|site| format!("{} more in {}", amount(site.bytes), site.name)).collect())
}

fn amount(bytes: i64) -> String {
    let bytes = bytes as f64;
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match units.iter().find(|(_, shift)| bytes >= f64::from(1_u32 << shift)) {
        Some((unit, shift)) => format!("{:.1} {unit}", bytes / f64::from(1_u32 << shift)),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::Line;
    use super::*;

    fn profile(held: &[(&[u64], i64)]) -> Vec<u8> {
        let mut profile = Profile::default();
        for (stack, bytes) in held {
            let names = |address: u64| {
                let name = match address {
                    1 => "alloc::raw_vec::finish_grow",
                    2 => "store::keep",
                    3 => "plan::new",
                    _ => "main",
                };
                vec![Line { function: name.to_owned(), file: String::new(), line: 0 }]
            };
            profile.add(stack, 1, *bytes, names);
        }
        profile.encode().unwrap()
    }

    #[test]
    fn the_site_that_grew_most_comes_first_and_those_that_shrank_do_not() {
        let base = profile(&[(&[1, 2, 9], 1 << 20), (&[3, 9], 5_000), (&[9], 4 << 20)]);
        let now = profile(&[(&[1, 2, 9], 3 << 20), (&[2, 9], 512 << 10), (&[3, 9], 5_900), (&[9], 1 << 20)]);
        assert_eq!(grown(&base, &now, 5).unwrap(), ["2.5 MiB more in store::keep", "900 B more in plan::new"]);
        assert_eq!(grown(&base, &now, 1).unwrap().len(), 1);
        assert_eq!(grown(&now, &now, 5).unwrap(), [""; 0]);
        assert!(grown(b"", &now, 5).is_err());
    }

    #[test]
    fn a_text_names_the_site_and_its_largest_stack() {
        let text = Profile::decode(&profile(&[(&[1, 2, 9], 1 << 20), (&[3, 9], 64)])).unwrap().text(1);
        let expected = "heap profile: 2 blocks, 1048640 bytes live, estimated from a sample each 0 bytes\n\n     1048576 bytes         1 \
                        blocks  store::keep\n    0x000000000001  alloc::raw_vec::finish_grow\n    0x000000000002  store::keep\n    \
                        0x000000000009  main\n";
        assert_eq!(text, expected);
    }
}
