//! A text that stands in a page and nowhere else: a token, a ticket, what somebody typed.

use std::fmt;

use maud::Render;

/// It. `Debug` does not show it; a page does.
#[derive(Clone, Copy, Default)]
pub(super) struct Veil<'a>(&'a str);

impl<'a> Veil<'a> {
    /// Takes a text.
    pub(super) fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// Whether there is none.
    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Veil<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Veil(..)")
    }
}

/// Escaped, as any text.
impl Render for Veil<'_> {
    fn render_to(&self, buffer: &mut String) {
        self.0.render_to(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::super::field::Field;
    use super::super::layout::{Frame, Who};
    use super::super::login::LoginForm;
    use super::super::setup::SetupForm;
    use super::super::sheet::Told;
    use super::Veil;

    #[test]
    fn what_pages_are_made_from_shows_no_secret() {
        let secret = Veil::new("stn_secret");
        let frame = Frame { who: Some(Who { name: "ada", role: "admin", token: secret }), ..Frame::default() };
        let login = LoginForm { token: secret, ..LoginForm::default() };
        let setup = SetupForm { token: secret, ticket: secret, ..SetupForm::default() };
        let field = Field { value: secret, ..Field::default() };
        let shown = format!("{frame:?} {login:?} {setup:?} {field:?} {:?}", Told::Token(secret));
        assert!(!shown.contains("secret") && shown.matches("Veil(..)").count() == 6, "{shown}");
        assert!(field.show().into_string().contains("stn_secret"));
    }
}
