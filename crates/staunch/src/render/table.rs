//! Columns that line up.

use std::fmt;

use super::clean::plain;
use super::paint::{Ink, Paint};

/// A table with a head: columns as wide as their widest cell, two spaces between.
#[derive(Debug)]
pub(crate) struct Table {
    head: Vec<&'static str>,
    right: Vec<bool>,
    rows: Vec<Vec<(String, Option<Ink>)>>,
}

/// A table in its colors.
struct Shown<'a> {
    table: &'a Table,
    paint: Paint,
}

impl Table {
    /// Columns by their heads; a head that begins with `>` stands to the right, as numbers do.
    pub(crate) fn new(head: &[&'static str]) -> Self {
        Self {
            head: head.iter().map(|name| name.trim_start_matches('>')).collect(),
            right: head.iter().map(|name| name.starts_with('>')).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row, a cell a column. What would move the cursor is left out of them: most are a server's words.
    pub(crate) fn row(&mut self, cells: Vec<(String, Option<Ink>)>) {
        debug_assert_eq!(cells.len(), self.head.len(), "a cell a column");
        self.rows.push(cells.into_iter().map(|(text, ink)| (plain(&text), ink)).collect());
    }

    /// Whether there is no row.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// For printing, without a line end at the end.
    pub(crate) fn show(&self, paint: Paint) -> impl fmt::Display {
        Shown { table: self, paint }
    }

    fn widths(&self) -> Vec<usize> {
        let cell = |row: &Vec<(String, Option<Ink>)>, column: usize| row.get(column).map_or(0, |(text, _)| width(text));
        (0..self.head.len())
            .map(|column| {
                self.rows.iter().map(|row| cell(row, column)).max().unwrap_or(0).max(width(self.head[column]))
            })
            .collect()
    }
}

/// How many places a text takes. Counts characters: ids and numbers are narrow, and a wide name only shifts its own row.
fn width(text: &str) -> usize {
    text.chars().count()
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.table.widths();
        let head = self.table.head.iter().map(|name| ((*name).to_owned(), Some(Ink::Faint))).collect();
        for (number, row) in std::iter::once(&head).chain(&self.table.rows).enumerate() {
            if number > 0 {
                writeln!(f)?;
            }
            // Spaces wait for a text that needs them, so that no line ends in some.
            let mut gap = 0;
            for (column, (text, ink)) in row.iter().enumerate() {
                let pad = widths[column] - width(text);
                let (left, right) = if self.table.right[column] { (pad, 0) } else { (0, pad) };
                gap += left;
                if !text.is_empty() {
                    write!(f, "{:gap$}", "")?;
                    match ink {
                        Some(ink) => write!(f, "{}", self.paint.ink(*ink, text))?,
                        None => f.write_str(text)?,
                    }
                    gap = 0;
                }
                gap += right + 2;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_no_line_ends_in_spaces() {
        let mut table = Table::new(&["step", ">took", "why"]);
        table.row(vec![("build".into(), None), ("1.2 s".into(), None), (String::new(), None)]);
        table.row(vec![("é".into(), Some(Ink::Good)), ("350 ms".into(), None), ("no need".into(), None)]);
        let shown = table.show(Paint::default()).to_string();
        assert_eq!(shown, "step     took  why\nbuild   1.2 s\né      350 ms  no need");
    }
}
