//! A field of a form, with its label, its hint and what is wrong with it; and the summary of what is wrong with a form.

use maud::{Markup, html};

use super::veil::Veil;

/// A line to be filled in.
#[derive(Debug, Default)]
pub(super) struct Field<'a> {
    /// Its name in the form, and its id in the page.
    pub(super) name: &'a str,
    /// What is asked.
    pub(super) label: &'a str,
    /// `text` or `password`.
    pub(super) kind: &'a str,
    /// What is in it. Never a password: what was typed is not sent back.
    pub(super) value: Veil<'a>,
    /// What a browser or a password keeper may fill in (WCAG 2.2, 1.3.5).
    pub(super) autocomplete: &'a str,
    /// What helps to answer.
    pub(super) hint: Option<&'a str>,
    /// What is wrong with the answer.
    pub(super) fault: Option<&'a str>,
    /// Characters at least and at most.
    pub(super) length: Option<(u32, u32)>,
    /// A class of its own.
    pub(super) class: Option<&'a str>,
    /// The page is for this field first of all.
    pub(super) focus: bool,
}

/// What is wrong with a form: in a sentence, and which field is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fault {
    /// The sentence.
    pub(super) says: String,
    /// The field's name; none if it is the form.
    pub(super) field: Option<&'static str>,
    /// The problem's word, as the API has it.
    pub(super) code: &'static str,
}

impl Field<'_> {
    /// As it stands in the page.
    pub(super) fn show(&self) -> Markup {
        let hint = self.hint.map(|_| format!("{}-hint", self.name));
        let fault = self.fault.map(|_| format!("{}-fault", self.name));
        let told: Vec<&str> = [fault.as_deref(), hint.as_deref()].into_iter().flatten().collect();
        html! {
            div class="field" {
                label for=(self.name) { (self.label) }
                @if let (Some(id), Some(text)) = (&hint, self.hint) { p class="hint" id=(id) { (text) } }
                input id=(self.name) name=(self.name) type=(self.kind) autocomplete=(self.autocomplete) required
                    value=[(!self.value.is_empty()).then_some(self.value)]
                    class=[self.class]
                    minlength=[self.length.map(|(least, _)| least)]
                    maxlength=[self.length.map(|(_, most)| most)]
                    autocapitalize="none" spellcheck="false"
                    autofocus[self.focus]
                    aria-invalid=[self.fault.map(|_| "true")]
                    aria-describedby=[(!told.is_empty()).then(|| told.join(" "))];
                @if let (Some(id), Some(text)) = (&fault, self.fault) { p class="fault" id=(id) { (text) } }
            }
        }
    }
}

impl Fault {
    /// One that is the form's.
    pub(super) fn of_form(code: &'static str, says: impl Into<String>) -> Self {
        Self { says: says.into(), field: None, code }
    }

    /// One that is a field's.
    pub(super) fn of_field(field: &'static str, code: &'static str, says: impl Into<String>) -> Self {
        Self { says: says.into(), field: Some(field), code }
    }

    /// What it says, if it is this field's.
    pub(super) fn at<'a>(fault: Option<&'a Self>, field: &str) -> Option<&'a str> {
        fault.filter(|fault| fault.field == Some(field)).map(|fault| fault.says.as_str())
    }

    /// The summary above the form. A screen reader says it at once, and its link leads to the field.
    pub(super) fn summary(fault: Option<&Self>) -> Markup {
        html! {
            @if let Some(fault) = fault {
                div class="note bad" role="alert" data-code=(fault.code) {
                    strong { "That did not work." }
                    @match fault.field {
                        Some(field) => p { a href={ "#" (field) } { (fault.says) } },
                        None => p { (fault.says) },
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, Field, Veil};

    #[test]
    fn a_field_is_tied_to_its_label_hint_and_fault_and_escapes_all() {
        let fault = Fault::of_field("name", "invalid", "no <b>");
        let field = Field {
            name: "name",
            label: "Name",
            kind: "text",
            value: Veil::new("\"><script>"),
            autocomplete: "username",
            hint: Some("h"),
            fault: Fault::at(Some(&fault), "name"),
            ..Field::default()
        };
        let text = field.show().into_string();
        for part in [
            "<label for=\"name\">",
            "id=\"name\"",
            "autocomplete=\"username\"",
            "aria-invalid=\"true\"",
            "aria-describedby=\"name-fault name-hint\"",
            "value=\"&quot;&gt;&lt;script&gt;\"",
            "no &lt;b&gt;",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert_eq!(Fault::at(Some(&fault), "password"), None);
        let summary = Fault::summary(Some(&fault)).into_string();
        assert!(summary.contains("role=\"alert\"") && summary.contains("href=\"#name\""), "{summary}");
        assert_eq!(Fault::summary(None).into_string(), "");
    }
}
