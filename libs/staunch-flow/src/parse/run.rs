//! A step's script and what runs it; and the refusal of `${{ }}` in it, with the mend spelled out.

use crate::diagnostic::code;
use crate::findings::{At, Findings, quoted};
use crate::limits::{PROSE_BYTES_MAX, RUN_BYTES_MAX, SHELL_WORDS_MAX};
use crate::parse::draft::place_in;
use crate::parse::fields::Fields;
use crate::parse::tree::{Node, Yaml};
use crate::parse::value;
use crate::workflow::Shell;

/// Shells by name. The script follows as the last argument.
const SHELLS: [(&str, &[&str]); 4] = [
    ("sh", &["sh", "-e", "-c"]),
    ("bash", &["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"]),
    ("python3", &["python3", "-c"]),
    ("python", &["python3", "-c"]),
];

/// Reads `shell:`. `None`, said, if it is wrong.
pub(crate) fn shell(node: Option<&Node>, findings: &mut Findings<'_>) -> Option<Shell> {
    let known = |name: &str| {
        SHELLS
            .iter()
            .find(|(shell, _)| *shell == name)
            .map(|(_, argv)| argv.iter().map(|word| (*word).to_owned()).collect())
    };
    let Some(node) = node else { return known("sh").map(|argv| Shell { argv }) };
    if let Yaml::List(list) = &node.value {
        if list.is_empty() || list.len() > SHELL_WORDS_MAX {
            let message = format!("`shell` must have 1 to {SHELL_WORDS_MAX} words, found {}", list.len());
            findings.error_help(code::INVALID_VALUE, node.at, message, "such as `shell: [perl, -e]`");
            return None;
        }
        let mut argv = Vec::with_capacity(list.len());
        for word in list {
            argv.push(value::literal(word, "a word of `shell`", PROSE_BYTES_MAX, findings).map(str::to_owned));
        }
        let argv: Option<Vec<String>> = argv.into_iter().collect();
        let argv = argv?;
        if argv[0].is_empty() {
            findings.error(
                code::INVALID_VALUE,
                list[0].at,
                "the first word of `shell` is the program: it cannot be empty",
            );
            return None;
        }
        return Some(Shell { argv });
    }
    let name = value::literal(node, "`shell`", PROSE_BYTES_MAX, findings)?;
    if let Some(argv) = known(name) {
        return Some(Shell { argv });
    }
    // Other tools write `bash -e {0}`: the place of the script goes without saying here.
    let mut words: Vec<String> = name.split_whitespace().filter(|word| *word != "{0}").map(clip).collect();
    if words.len() == 1 {
        words.push("-c".to_owned());
    }
    let message = format!("there is no shell called {}", quoted(name));
    let help =
        format!("write `sh`, `bash`, `python3`, or a command that the script follows: `shell: [{}]`", words.join(", "));
    findings.error_help(code::INVALID_VALUE, node.at, message, help);
    None
}

fn clip(word: &str) -> String {
    word.chars().take(40).collect()
}

/// Reads `run:` or `commands:`. `None`, said, if it is wrong; `None`, not said, if there is no script.
pub(crate) fn script(fields: &Fields<'_>, shell: Option<&Shell>, findings: &mut Findings<'_>) -> Option<String> {
    if let (Some(_), Some(second)) = (fields.entry("run"), fields.entry("commands")) {
        findings.error_help(
            code::DUPLICATE_KEY,
            second.at,
            "`run` and `commands` say the same thing twice",
            "keep one of them",
        );
        return None;
    }
    let entry = fields.entry("run").or_else(|| fields.entry("commands"))?;
    let (node, what) = (&entry.value, quoted(&entry.name));
    if node.is_null() {
        return None; // Said as a missing key, for both are the same mistake.
    }
    let script = match &node.value {
        Yaml::List(_) if fields.get("run").is_some() => {
            let help = "write the lines below `run: |`, or use `commands:` for a list";
            return value::wrong(node, &what, "a text", Some(help), findings);
        }
        Yaml::List(_) => {
            let lines = value::texts(node, &what, RUN_BYTES_MAX, findings)?;
            let lines: Vec<&str> = lines.into_iter().map(|(_, line)| line).collect();
            lines.join("\n")
        }
        _ => value::text(node, &what, RUN_BYTES_MAX, findings)?.to_owned(),
    };
    if script.trim().is_empty() {
        findings.error_help(
            code::INVALID_VALUE,
            node.at,
            format!("{what} has no command"),
            "such as `run: echo hello`",
        );
        return None;
    }
    if script.len() > RUN_BYTES_MAX {
        findings.error(code::TOO_BIG, node.at, format!("{what} has {} bytes, more than {RUN_BYTES_MAX}", script.len()));
        return None;
    }
    if let Some(first) = script.find("${{") {
        refuse(&script, first, node, &what, shell, findings);
        return None;
    }
    Some(script)
}

/// Says that the script holds an expression, and what to write instead.
fn refuse(script: &str, first: usize, node: &Node, what: &str, shell: Option<&Shell>, findings: &mut Findings<'_>) {
    let start = At { start: node.at.start, end: node.at.start };
    let at = place_in(findings.text(), node.at, script, first)
        .map_or(start, |at| At { end: with_braces(at, findings), ..at });
    let message = format!("`${{{{ }}}}` in {what}: a value pasted into a script could become code");
    let help =
        mend(script, first, shell).unwrap_or_else(|| "bind the value under `env:` and read the variable".to_owned());
    findings.error_help(code::EXPRESSION_IN_RUN, at, message, help);
}

/// The end of a place that stops before the `}}` of its expression, with the braces.
fn with_braces(at: At, findings: &Findings<'_>) -> usize {
    let rest = findings.text().get(at.end..).unwrap_or_default();
    let spaces = rest.len() - rest.trim_start_matches(' ').len();
    if rest[spaces..].starts_with("}}") { at.end + spaces + 2 } else { at.end }
}

/// Expressions and characters of the script that the mend spells out.
const MENDED_MAX: usize = 5;
const MENDED_CHARS_MAX: usize = 200;

/// The `env:` and the line of the script that do the same without an expression in the script.
fn mend(script: &str, first: usize, shell: Option<&Shell>) -> Option<String> {
    let python = shell.is_some_and(|shell| shell.argv[0].starts_with("python"));
    let line_start = script[..first].rfind('\n').map_or(0, |at| at + 1);
    let line = script[line_start..].lines().next()?.trim();
    if line.chars().count() > MENDED_CHARS_MAX {
        return None;
    }
    let (mut env, mut mended, mut rest) = (Vec::<(String, &str)>::new(), String::new(), line);
    while let Some(start) = rest.find("${{") {
        let end = start + rest[start..].find("}}")?;
        let expression = rest[start + 3..end].trim();
        if env.len() == MENDED_MAX {
            return None;
        }
        let name = match env.iter().find(|(_, known)| *known == expression) {
            Some((name, _)) => name.clone(),
            None => free_name(expression, &env),
        };
        let (before, after) = (&rest[..start], &rest[end + 2..]);
        let quote = before.chars().last().filter(|quote| matches!(quote, '"' | '\'') && after.starts_with(*quote));
        // Between quotes of its own the expression is replaced with them: single quotes would keep `$NAME` as it is.
        let (before, after) =
            if quote.is_some() { (&before[..before.len() - 1], &after[1..]) } else { (before, after) };
        let inside = format!("{mended}{before}").matches('"').count() % 2 == 1;
        mended.push_str(before);
        mended.push_str(&match (python, inside) {
            (true, _) => format!("os.environ[\"{name}\"]"),
            (false, true) => format!("${{{name}}}"),
            (false, false) => format!("\"${name}\""),
        });
        if !env.iter().any(|(known, _)| *known == name) {
            env.push((name, expression));
        }
        rest = after;
    }
    mended.push_str(rest);
    let mut lines = vec!["bind it under `env:` and read the variable:".to_owned(), "  env:".to_owned()];
    lines.extend(env.iter().map(|(name, expression)| format!("    {name}: ${{{{ {expression} }}}}")));
    lines.push(format!("  run: {mended}"));
    Some(lines.join("\n"))
}

/// A variable's name for an expression: `inputs.target` becomes `TARGET`, `steps.dump.outputs.file` `DUMP_FILE`.
fn free_name(expression: &str, taken: &[(String, &str)]) -> String {
    let words = expression
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty() && !matches!(*word, "inputs" | "steps" | "outputs" | "env"));
    let name = words.take(4).map(str::to_ascii_uppercase).collect::<Vec<_>>().join("_");
    let name: String = name.trim_start_matches(|c: char| c.is_ascii_digit()).chars().take(40).collect();
    let name = if name.is_empty() { "VALUE".to_owned() } else { name };
    let is_taken = |name: &String| taken.iter().any(|(known, _)| known == name);
    if !is_taken(&name) {
        return name;
    }
    // At most as many as are taken, so one of these is free.
    (2..).map(|number| format!("{name}_{number}")).find(|name| !is_taken(name)).unwrap_or(name)
}
