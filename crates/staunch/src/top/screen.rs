//! The screen: the verdict, memory and its curve, resources, stores. It fits into any terminal: what finds no room is left out, the last
//! first.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Sparkline, Table};
use staunch_server::wire::{Growth, Memory, Rung, WatchedResource};

use super::past::Past;
use crate::render::bytes;

/// What is shown.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    /// The server's address.
    pub(crate) server: String,
    /// What the server said last; `None` before its first answer.
    pub(crate) memory: Option<Memory>,
    /// Why it did not answer, if it did not.
    pub(crate) trouble: Option<String>,
    /// Memory as it was.
    pub(crate) past: Past,
    /// Whether to use colors.
    pub(crate) colors: bool,
}

/// Lines of the curve.
const CURVE: u16 = 3;

impl Screen {
    /// Takes in an answer.
    pub(crate) fn take(&mut self, memory: Memory) {
        self.past.push(memory.live_bytes.or(memory.resident_bytes).unwrap_or(0));
        self.memory = Some(memory);
        self.trouble = None;
    }

    fn ink(&self, color: Color) -> Style {
        if self.colors { Style::new().fg(color) } else { Style::new() }
    }

    fn of(&self, growth: Growth) -> Style {
        match growth {
            Growth::Stable => self.ink(Color::Green),
            Growth::Growing => self.ink(Color::Yellow),
            Growth::Leak => self.ink(Color::Red).add_modifier(Modifier::BOLD),
            Growth::Insufficient | Growth::Filling => Style::new(),
        }
    }
}

/// Draws it.
pub(crate) fn draw(screen: &Screen, frame: &mut Frame<'_>) {
    let Some(memory) = &screen.memory else {
        let wait = screen.trouble.as_deref().unwrap_or("waiting for the server...");
        frame.render_widget(Paragraph::new(vec![Line::from(wait), Line::from("q quits")]), frame.area());
        return;
    };
    let [head, curve, judged, stores, foot] =
        Layout::vertical(heights(frame.area().height, memory)).areas(frame.area());
    frame.render_widget(heading(screen, memory), head);
    frame.render_widget(Sparkline::default().data(screen.past.curve(curve.width.into())), curve);
    table_of_resources(screen, memory, frame, judged);
    table_of_stores(memory, frame, stores);
    let foot_text = screen
        .trouble
        .as_ref()
        .map_or_else(|| Line::from("q quits"), |why| Line::styled(why.as_str(), screen.ink(Color::Red)));
    frame.render_widget(Paragraph::new(foot_text), foot);
}

/// How many lines each part gets, in their order. The head comes first, then the foot, the resources, the curve; the stores have the rest.
fn heights(height: u16, memory: &Memory) -> [Constraint; 5] {
    let mut left = height;
    let mut take = |wanted: u16| {
        let taken = wanted.min(left);
        left -= taken;
        taken
    };
    let head = take(3);
    let foot = take(1);
    // Its own head, and an empty line behind it.
    let judged = take(u16::try_from(memory.resources.len()).unwrap_or(u16::MAX).saturating_add(2));
    let curve = take(CURVE);
    [head, curve, judged, left, foot].map(Constraint::Length)
}

fn heading(screen: &Screen, memory: &Memory) -> Paragraph<'static> {
    let minutes = memory.uptime_seconds / 60;
    let or = |size: Option<u64>| size.map_or_else(|| "-".to_owned(), bytes);
    let limit = memory.limit_bytes.map_or_else(String::new, |limit| format!(" of {}", bytes(limit)));
    let pressure = match memory.rung {
        Rung::Calm => String::new(),
        rung => format!("  pressure: {}", rung.word()),
    };
    Paragraph::new(vec![
        Line::from(vec![
            Span::raw(format!(
                "{}  up {} h {} min  {} runs  ",
                screen.server,
                minutes / 60,
                minutes % 60,
                memory.runs_ended
            )),
            Span::styled(memory.says.clone(), screen.of(memory.verdict)),
        ]),
        Line::from(format!(
            "live {}  stores {}  unattributed {}  resident {}{limit}{pressure}",
            or(memory.live_bytes),
            bytes(memory.stores_bytes),
            or(memory.unattributed_bytes),
            or(memory.resident_bytes),
        )),
        Line::from(format!(
            "steps {}  children {}  tasks {}  connections {}  streams {}",
            memory.steps_active,
            memory.children.unwrap_or(0),
            memory.tasks.values().sum::<u64>(),
            memory.connections,
            memory.streams,
        )),
    ])
}

fn table_of_resources(screen: &Screen, memory: &Memory, frame: &mut Frame<'_>, area: Rect) {
    let head = Row::new(["resource", "value", "state", "says"]).style(Style::new().add_modifier(Modifier::BOLD));
    let row = |resource: &WatchedResource| {
        let value = if resource.unit == "bytes" { bytes(resource.value) } else { resource.value.to_string() };
        let style = if resource.counts { screen.of(resource.state) } else { Style::new() };
        let state = crate::cmd::growth_word(resource.state);
        let says = resource.says.split_once(", ").map_or("", |(_, says)| says).to_owned();
        Row::new([
            Cell::from(resource.name.clone()),
            Cell::from(value),
            Cell::from(state).style(style),
            Cell::from(says),
        ])
    };
    let widths = [Constraint::Length(13), Constraint::Length(11), Constraint::Length(13), Constraint::Min(0)];
    frame.render_widget(Table::new(memory.resources.iter().map(row), widths).header(head), area);
}

fn table_of_stores(memory: &Memory, frame: &mut Frame<'_>, area: Rect) {
    let head = Row::new(["store", "bytes", "of", "entries"]).style(Style::new().add_modifier(Modifier::BOLD));
    let rows = memory.stores.iter().map(|store| {
        let entries = store.entries.map_or_else(String::new, |entries| entries.to_string());
        Row::new([store.name.clone(), bytes(store.bytes), bytes(store.bytes_max), entries])
    });
    let widths = [Constraint::Length(16), Constraint::Length(11), Constraint::Length(11), Constraint::Min(0)];
    frame.render_widget(Table::new(rows, widths).header(head), area);
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use serde_json::json;

    use super::*;

    fn memory() -> Memory {
        let resource = |name: &str, state: &str| {
            json!({
                "name": name, "unit": "pieces", "counts": true, "state": state, "says": format!("{name}: {state}, at most 0.000/run at 99 %"),
                "value": 30, "per_run": null, "per_day": null, "window_seconds": 3_600, "quiescent": true, "until_limit_seconds": null
            })
        };
        serde_json::from_value(json!({
            "uptime_seconds": 7_260, "runs_ended": 5, "quiescent": true, "verdict": "leak", "says": "leak: fds",
            "judged_seconds_ago": 60, "rung": "calm", "runs_shed": 0, "limit_bytes": 1 << 30, "bounds_bytes": 1, "live_bytes": 5 << 20, "stores_bytes": 1 << 20, "unattributed_bytes": 4 << 20,
            "resident_bytes": 9 << 20, "virtual_bytes": 1, "allocator": {
                "name": "jemalloc", "active_bytes": 1, "resident_bytes": 1, "retained_bytes": 1, "metadata_bytes": 1
            },
            "stores": [{
                "name": "rate_api", "bytes": 1, "bytes_max": 2, "entries": 3, "entries_max": 4, "expired": 0, "evicted": 0, "refused": 0
            }],
            "fds": 30, "fds_max": 1_024, "threads": 9, "tasks": { "census": 1 }, "children": 2, "keepers": 2, "steps_active": 1,
            "connections": 1, "streams": 0, "pressure": null, "cgroup": null, "kept": null,
            "resources": [resource("fds", "leak"), resource("threads", "stable")],
            "census": { "taken": 1, "last_micros": 1, "mean_micros": 1, "judging_micros": 1, "rings_bytes": 1 }, "profiles": []
        }))
        .expect("the wire's own shape")
    }

    /// The screen as text, a line a row.
    fn shown(screen: &Screen, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("in memory");
        terminal.draw(|frame| draw(screen, frame)).expect("drawn");
        let buffer = terminal.backend().buffer();
        let row = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
        (0..height).map(row).collect()
    }

    #[test]
    fn all_of_it_on_a_usual_terminal() {
        let mut screen = Screen { server: "http://127.0.0.1:7878".to_owned(), ..Screen::default() };
        screen.take(memory());
        let shown = shown(&screen, 100, 30);
        assert_eq!(shown[0], "http://127.0.0.1:7878  up 2 h 1 min  5 runs  leak: fds");
        assert_eq!(shown[1], "live 5.0 MiB  stores 1.0 MiB  unattributed 4.0 MiB  resident 9.0 MiB of 1.0 GiB");
        assert!(
            shown.iter().any(|line| line.starts_with("fds           30          leak          at most 0.000/run")),
            "{shown:#?}"
        );
        assert!(shown.iter().any(|line| line.starts_with("rate_api")), "{shown:#?}");
        assert_eq!(shown.last().map(String::as_str), Some("q quits"));
    }

    #[test]
    fn a_small_terminal_shows_the_verdict_and_none_breaks_it() {
        let mut screen = Screen { server: "s".to_owned(), colors: true, ..Screen::default() };
        screen.take(memory());
        assert_eq!(shown(&screen, 40, 8)[0], "s  up 2 h 1 min  5 runs  leak: fds");
        for (width, height) in [(1, 1), (3, 2), (20, 5), (200, 3), (5, 200)] {
            assert_eq!(shown(&screen, width, height).len(), usize::from(height));
        }
    }

    #[test]
    fn a_server_that_does_not_answer_is_said_so_and_what_it_said_last_stays() {
        let mut screen = Screen::default();
        assert_eq!(shown(&screen, 40, 3)[0], "waiting for the server...");
        screen.take(memory());
        screen.trouble = Some("it does not answer".to_owned());
        let shown = shown(&screen, 80, 24);
        assert_eq!(shown.last().map(String::as_str), Some("it does not answer"));
        assert!(shown[0].contains("leak: fds"), "{}", shown[0]);
    }
}
