//! One screen a function, one sitting a file.

use super::check::Complaint;
use super::source::Source;

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
const LINE_CHARACTERS_MAX: usize = 120;
/// A sentence may run on a little where code may not: rustfmt breaks no comments.
const COMMENT_CHARACTERS_MAX: usize = 140;
/// Nor does it break texts, and a message that is cut in two cannot be searched for.
const TEXT_CHARACTERS_MAX: usize = 240;

/// Files, functions and lines that are too long. Test code may be long: its cases stand side by side.
pub(super) fn check(source: &Source<'_>) -> Vec<Complaint> {
    let complain = |line, rule, message| Complaint { path: source.path.to_owned(), line, rule, message };
    let mut complaints = Vec::new();

    let lines = source.product_lines().count();
    if lines > FILE_LINES_MAX {
        let message =
            format!("{lines} lines besides tests, at most {FILE_LINES_MAX}: which noun wants a file of its own?");
        complaints.push(complain(0, "file-length", message));
    }
    for ((number, line), (_, code)) in source.product_lines().zip(source.product_code()) {
        let width = line.chars().count();
        let most = if line.trim_start().starts_with("//") {
            COMMENT_CHARACTERS_MAX
        } else if line.contains('"') || code.trim().is_empty() {
            TEXT_CHARACTERS_MAX
        } else {
            LINE_CHARACTERS_MAX
        };
        // A link cannot be broken.
        if width > most && !line.contains("://") {
            complaints.push(complain(number, "line-width", format!("{width} characters, at most {most}")));
        }
    }
    for function in functions(source) {
        if function.lines > FUNCTION_LINES_MAX {
            let message = format!("`{}` has {} lines, at most {FUNCTION_LINES_MAX}", function.name, function.lines);
            complaints.push(complain(function.line, "function-length", message));
        }
    }
    complaints
}

struct Function {
    name: String,
    line: usize,
    lines: usize,
}

/// Every function with a body, outside tests: from its `fn` to its closing brace.
fn functions(source: &Source<'_>) -> Vec<Function> {
    let code: String = source.product_code().flat_map(|(_, line)| [line, "\n"]).collect();
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let is_word = !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let name: String = code[at + 3..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if !is_word || name.is_empty() {
            continue;
        }
        if let Some(end) = body_end(&code[at..]) {
            let line = code[..at].matches('\n').count() + 1;
            found.push(Function { name, line, lines: code[at..at + end].matches('\n').count() + 1 });
        }
    }
    found
}

/// Where the body that follows a `fn` ends; `None` if a `;` comes first (a trait's method without a body).
fn body_end(code: &str) -> Option<usize> {
    let (mut brackets, mut braces) = (0i32, 0i32);
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets -= 1,
            ';' if brackets == 0 && braces == 0 => return None,
            '{' => braces += 1,
            '}' => {
                braces -= 1;
                if braces == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}
