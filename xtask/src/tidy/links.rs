//! Links between the pages of the manual lead somewhere.

use super::check::Complaint;

/// Relative links of every Markdown page whose file is not there.
pub(super) fn check(files: &[(String, String)]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (path, text) in files.iter().filter(|(path, _)| path.ends_with(".md")) {
        let mut fenced = false;
        for (number, line) in text.lines().enumerate() {
            fenced ^= line.trim_start().starts_with("```");
            for link in links(line).filter(|_| !fenced) {
                let wanted = resolve(path, link);
                let folder = format!("{}/", wanted.trim_end_matches('/'));
                let there = |file: &str| file == wanted || file.starts_with(&folder);
                if !files.iter().any(|(file, _)| there(file)) {
                    let message = format!("the link leads nowhere: {link}");
                    complaints.push(Complaint { path: path.clone(), line: number + 1, rule: "link", message });
                }
            }
        }
    }
    complaints
}

/// The targets of a line's links that are files of ours, without what follows a `#`.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    targets
        .filter(|target| !target.contains("://"))
        .filter_map(|target| target.split('#').next())
        .filter(|t| !t.is_empty())
}

/// A link as a path from the root.
fn resolve(page: &str, link: &str) -> String {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}
