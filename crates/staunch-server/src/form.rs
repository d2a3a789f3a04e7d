//! The fields of a form that a browser sent.

use std::fmt;

use zeroize::Zeroize;

use crate::problem::{Code, Refusal};

/// Name and value, each name once. Some are passwords: `Debug` shows no value, and dropping it overwrites them.
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads `application/x-www-form-urlencoded`. A field that is there twice is refused: which one counts would depend on the
    /// reader.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        // Whole from the first field on, so that a refusal half-way overwrites what there is, too.
        let mut form = Self(Vec::new());
        for (name, value) in form_urlencoded::parse(bytes) {
            if form.0.iter().any(|(known, _)| *known == name) {
                return Err(Refusal::new(Code::InvalidBody).detail("a field of the form is there twice"));
            }
            if form.0.len() == FIELDS_MAX {
                return Err(Refusal::new(Code::InvalidBody).detail("the form has too many fields"));
            }
            form.0.push((name.into_owned(), value.into_owned()));
        }
        Ok(form)
    }

    /// A field's value; empty if there is none.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

/// Fields of a form, at most: ours have fewer than ten. Each is compared with those before it.
const FIELDS_MAX: usize = 32;

impl Drop for Form {
    fn drop(&mut self) {
        for (_, value) in &mut self.0 {
            value.zeroize();
        }
    }
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_once_each_and_never_shown() {
        let form = Form::parse(b"name=ada+l%C3%A9&password=p%26q&empty=").unwrap();
        assert_eq!((form.get("name"), form.get("password")), ("ada l\u{e9}", "p&q"));
        assert_eq!((form.get("empty"), form.get("nothing")), ("", ""));
        assert_eq!(format!("{form:?}"), "[\"name\", \"password\", \"empty\"]");
        assert_eq!(Form::parse(b"a=1&a=1").unwrap_err().code(), Code::InvalidBody);
    }

    #[test]
    fn fields_are_as_many_as_there_may_be() {
        let form = |n: usize| (0..n).map(|i| format!("f{i}=&")).collect::<String>();
        assert!(Form::parse(form(FIELDS_MAX - 1).as_bytes()).is_ok());
        assert!(Form::parse(form(FIELDS_MAX).as_bytes()).is_ok());
        assert!(Form::parse(form(FIELDS_MAX + 1).as_bytes()).is_err());
    }
}
