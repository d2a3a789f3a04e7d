//! What people see: the terminal, colors, tables, durations, the live lines of a run.

mod clean;
mod line;
mod live;
mod paint;
mod progress;
mod quantity;
mod summary;
mod table;
mod terminal;

pub(crate) use clean::plain;
pub(crate) use live::{Live, Show, last_lines};
pub(crate) use paint::{Ink, Paint};
pub(crate) use quantity::{ago, bytes, parse_duration};
pub(crate) use summary::{run_heading, run_rows, step_rows};
pub(crate) use table::Table;
pub(crate) use terminal::Terminal;
