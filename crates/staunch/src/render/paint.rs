//! Colors, where they are wanted.

use std::fmt;
use std::io::IsTerminal;

use crate::cli::Color;

/// Whether one stream gets colors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Paint {
    on: bool,
}

/// A color or weight, by what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    /// Of little weight.
    Faint,
    /// Of much weight.
    Strong,
    /// It went well.
    Good,
    /// It went badly.
    Bad,
    /// It may go badly.
    Warn,
    /// Step number N; the colors come round again.
    Step(usize),
}

/// A text in its color.
struct Painted<'a> {
    ink: Option<Ink>,
    text: &'a str,
}

impl Paint {
    /// For a stream: what the flag says, or else what the terminal and the environment say.
    pub(crate) fn of(color: Color, stream: &impl IsTerminal) -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let forced = || set("CLICOLOR_FORCE") && std::env::var_os("CLICOLOR_FORCE").is_some_and(|value| value != "0");
        let terminal = || stream.is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let on = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => !set("NO_COLOR") && (forced() || terminal()),
        };
        Self { on }
    }

    /// Whether there are colors.
    pub(crate) fn is_on(self) -> bool {
        self.on
    }

    /// The text in its color.
    pub(crate) fn ink(self, ink: Ink, text: &str) -> impl fmt::Display {
        Painted { ink: self.on.then_some(ink), text }
    }
}

impl Ink {
    /// The SGR parameters (ECMA-48 §8.3.117).
    fn code(self) -> &'static str {
        const STEPS: [&str; 6] = ["36", "35", "34", "33", "32", "96"];
        match self {
            Self::Faint => "2",
            Self::Strong => "1",
            Self::Good => "32",
            Self::Bad => "1;31",
            Self::Warn => "33",
            Self::Step(number) => STEPS[number % STEPS.len()],
        }
    }
}

impl fmt::Display for Painted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ink {
            Some(ink) => write!(f, "\x1b[{}m{}\x1b[0m", ink.code(), self.text),
            None => f.write_str(self.text),
        }
    }
}
