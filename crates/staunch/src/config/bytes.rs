//! Sizes as people write them.

/// Reads a number of bytes: `1048576`, `64KiB`, `64 MiB`, `2GiB`; only binary units, so that nobody has to guess.
pub(super) fn parse(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let shift = match text[digits.len()..].trim() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        unit => return Err(format!("`{unit}` is not a unit: use KiB, MiB, GiB or TiB")),
    };
    let number: u64 = digits.replace('_', "").parse().map_err(|_| format!("`{text}` is not a number of bytes"))?;
    number.checked_mul(1 << shift).ok_or_else(|| format!("`{text}` is more than fits"))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn sizes_with_and_without_a_unit() {
        assert_eq!(parse("4096"), Ok(4096));
        assert_eq!(parse("64KiB"), Ok(64 << 10));
        assert_eq!(parse(" 2 GiB "), Ok(2 << 30));
        assert_eq!(parse("1_000"), Ok(1000));
    }

    #[test]
    fn what_is_no_size_is_said() {
        assert!(parse("64MB").expect_err("refused").contains("MiB"));
        assert!(parse("lots").is_err());
        assert!(parse("-1").is_err());
        assert!(parse("99999999999999TiB").is_err());
    }
}
