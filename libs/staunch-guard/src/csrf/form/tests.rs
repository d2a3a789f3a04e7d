//! Tests of finding a token in a form.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

fn form(values: &[&str]) -> Result<Option<Form>, Reason> {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(CONTENT_TYPE, value.parse().unwrap());
    }
    Form::of(&headers)
}

/// Trap 31: case, parameters, nothing, two, and types that a browser sends without asking and that are no forms.
#[test]
fn only_two_types_are_forms() {
    let multipart = |border: &str| Ok(Some(Form::Multipart(format!("--{border}").into_bytes())));
    for (values, expected) in [
        (&["application/x-www-form-urlencoded"][..], Ok(Some(Form::Urlencoded))),
        (&["Application/X-WWW-Form-Urlencoded; charset=utf-8"], Ok(Some(Form::Urlencoded))),
        (&["multipart/form-data; boundary=abc"], multipart("abc")),
        (&["MULTIPART/FORM-DATA;Boundary=\"a b\""], multipart("a b")),
        (&["multipart/form-data; charset=utf-8; boundary=abc"], multipart("abc")),
        (&["multipart/form-data; boundary=abc; x"], Ok(None)),
        (&["multipart/form-data"], Ok(None)),
        (&["multipart/form-data; boundary="], Ok(None)),
        (&["multipart/form-data; boundary=\"\""], Ok(None)),
        (&["multipart/form-data; boundary=\"abc"], Ok(None)),
        (&["multipart/form-data; boundary=a; boundary=b"], Ok(None)),
        (&["multipart/mixed; boundary=abc"], Ok(None)),
        (&["text/plain"], Ok(None)),
        (&["application/json"], Ok(None)),
        (&["application/x-www-form-urlencodedx"], Ok(None)),
        (&[], Ok(None)),
        (&["application/json", "application/x-www-form-urlencoded"], Err(Reason::DuplicateHeader)),
    ] {
        assert_eq!(form(values), expected, "{values:?}");
    }
    let border = |length: usize| form(&[&format!("multipart/form-data; boundary={}", "b".repeat(length))]).unwrap();
    assert!(border(69).is_some() && border(70).is_some() && border(71).is_none());
}

#[test]
fn a_urlencoded_field_is_there_once() {
    let found = |form: &str| urlencoded(form.as_bytes(), "csrf_token").map(|value| String::from_utf8(value).unwrap());
    for (form, expected) in [
        ("csrf_token=abc", Ok("abc")),
        ("a=1&csrf_token=a%62c&b=2", Ok("abc")),
        ("csrf%5Ftoken=abc", Ok("abc")),
        ("csrf_token=", Ok("")),
        ("csrf_token", Ok("")),
        ("csrf_token=a&csrf_token=a", Err(Reason::TokenRepeated)),
        ("csrf_token=a&x=1&csrf%5ftoken=b", Err(Reason::TokenRepeated)),
        ("", Err(Reason::TokenMissing)),
        ("CSRF_TOKEN=abc", Err(Reason::TokenMissing)),
        ("x=csrf_token=abc", Err(Reason::TokenMissing)),
        ("csrf_token[]=abc", Err(Reason::TokenMissing)),
    ] {
        assert_eq!(found(form), expected.map(str::to_owned), "{form}");
    }
}

#[test]
fn the_first_part_is_found_wherever_the_text_is_cut() {
    let text = b"--b\r\ncontent-disposition: Form-Data; Name=\"csrf_token\"\r\nx: y\r\n\r\nabc\r\n--b\r\nand so on";
    let end = text.len() - b"\r\nand so on".len();
    for cut in 0..=text.len() {
        let expected = if cut < end { FirstPart::More } else { FirstPart::Token(b"abc") };
        assert_eq!(first_part(&text[..cut], b"--b", "csrf_token"), expected, "{cut}");
    }
}

#[test]
fn another_first_part_is_not_read() {
    for (text, expected) in [
        ("--b\r\nContent-Disposition: form-data; name=csrf_token\r\n\r\nabc\r\n--b--\r\n", FirstPart::Token(b"abc")),
        ("--b\r\nContent-Disposition: form-data; name=\"csrf_token\"\r\n\r\n\r\n--b--\r\n", FirstPart::Token(b"")),
        ("--b\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\n", FirstPart::Other),
        ("--b\r\nContent-Disposition: form-data; name=\"csrf_token\"; filename=\"x\"\r\n\r\n", FirstPart::Other),
        ("--b\r\nContent-Disposition: form-data; name=\"csrf_token\"; filename*=utf-8''x\r\n\r\n", FirstPart::Other),
        ("--b\r\nContent-Disposition: form-data; name=csrf_token; name=csrf_token\r\n\r\n", FirstPart::Other),
        ("--b\r\nContent-Disposition: form-data; name=\"csrf\\_token\"\r\n\r\n", FirstPart::Other),
        ("--b\r\nContent-Disposition: attachment; name=\"csrf_token\"\r\n\r\n", FirstPart::Other),
        ("--b\r\nContent-Disposition: form-data\r\n\r\n", FirstPart::Other),
        ("--b\r\nContent-Type: text/plain\r\n\r\n", FirstPart::Other),
        (
            "--b\r\nContent-Disposition: form-data; name=csrf_token\r\ncontent-disposition: form-data; name=x\r\n\r\n",
            FirstPart::Other,
        ),
        ("--b\r\n\r\nabc\r\n--b--", FirstPart::Other),
        ("--b--\r\n", FirstPart::Other),
        ("--bx\r\n", FirstPart::Other),
        ("\r\n--b\r\n", FirstPart::Other),
        ("preamble\r\n--b\r\n", FirstPart::Other),
        ("x", FirstPart::Other),
        ("", FirstPart::More),
    ] {
        assert_eq!(first_part(text.as_bytes(), b"--b", "csrf_token"), expected, "{text:?}");
    }
    assert_eq!(first_part(b"--b\r\nx: \xff\r\n\r\n", b"--b", "csrf_token"), FirstPart::Other);
}
