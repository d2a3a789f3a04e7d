//! The chart of a report: a panel a resource over the runs, as SVG that can be read on light and on dark.

use std::fmt::Write as _;

use super::count::{ALL, How};
use super::drive::Cycle;
use crate::render::bytes;

/// Sizes in pixels.
const WIDTH: f64 = 860.0;
const PANEL: f64 = 120.0;
const LEFT: f64 = 100.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 22.0;

/// Middle tones, which stand out on white and on black; text takes the color of its surroundings where that is told.
const STYLE: &str = "text{font:12px system-ui,sans-serif;fill:#333}.name{font-weight:600}\
.axis{stroke:#888;stroke-width:1}.grid{stroke:#888;stroke-width:1;opacity:.25}.line{fill:none;stroke:#2a78c8;stroke-width:1.8}\
.dot{fill:#2a78c8}@media(prefers-color-scheme:dark){text{fill:#ddd}.line{stroke:#6db3f2}.dot{fill:#6db3f2}}";

/// Draws it.
pub(super) fn svg(cycles: &[Cycle]) -> String {
    let height = TOP + PANEL * ALL.len() as f64 + 20.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"What the server held after each cycle, over the runs\">\n<style>{STYLE}</style>\n"
    );
    let runs = cycles.last().map_or(1, |cycle| cycle.runs).max(1) as f64;
    for (place, resource) in ALL.iter().enumerate() {
        let frame = Frame { top: TOP + PANEL * place as f64, runs };
        frame.draw(&mut svg, resource.name, resource.how, cycles, place);
    }
    write!(svg, "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">runs</text>\n</svg>\n", WIDTH - RIGHT, height - 6.0)
        .unwrap_or_default();
    svg
}

/// Where a panel is.
struct Frame {
    top: f64,
    /// Runs at the right end.
    runs: f64,
}

impl Frame {
    fn draw(&self, svg: &mut String, name: &str, how: How, cycles: &[Cycle], place: usize) {
        let values: Vec<Option<u64>> = cycles.iter().map(|cycle| cycle.reading.values[place]).collect();
        let known = || values.iter().flatten().copied();
        let (low, high) = (known().min(), known().max());
        let (top, bottom) = (self.top + 8.0, self.top + PANEL - BOTTOM);
        let right = WIDTH - RIGHT;
        let mut add = |part: String| {
            svg.push_str(&part);
            svg.push('\n');
        };
        add(format!("<text class=\"name\" x=\"{LEFT}\" y=\"{}\">{name}</text>", self.top));
        add(format!("<path class=\"axis\" d=\"M{LEFT} {top}V{bottom}H{right}\" fill=\"none\"/>"));
        add(format!("<path class=\"grid\" d=\"M{LEFT} {top}H{right}\"/>"));
        for (share, anchor) in [(0.0, "start"), (0.5, "middle"), (1.0, "end")] {
            let (x, label) = (LEFT + share * (right - LEFT), (self.runs * share).round());
            add(format!("<text x=\"{x:.0}\" y=\"{:.0}\" text-anchor=\"{anchor}\">{label}</text>", bottom + 14.0));
        }
        let (Some(low), Some(high)) = (low, high) else {
            add(format!("<text x=\"{}\" y=\"{:.0}\">not told</text>", LEFT + 10.0, (top + bottom) / 2.0));
            return;
        };
        let label = |value: u64| if how == How::Exactly { value.to_string() } else { bytes(value) };
        // What never changes lies in the middle and has one label.
        let labels = if low == high { vec![(low, 0.5)] } else { vec![(low, 0.0), (high, 1.0)] };
        for (value, share) in labels {
            let y = bottom - share * (bottom - top) + 4.0;
            add(format!("<text x=\"{}\" y=\"{y:.0}\" text-anchor=\"end\">{}</text>", LEFT - 6.0, label(value)));
        }
        let y = |value: u64| {
            let share = if low == high { 0.5 } else { (value - low) as f64 / (high - low) as f64 };
            bottom - share * (bottom - top)
        };
        let x = |runs: u64| LEFT + runs as f64 / self.runs * (right - LEFT);
        // A line a life of the server: what was held does not go on from one to the next.
        for life in cycles.chunk_by(|one, next| one.life == next.life) {
            let points = life.iter().filter_map(|cycle| Some((x(cycle.runs), y(cycle.reading.values[place]?))));
            let points: Vec<String> = points.map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            if let [alone] = points.as_slice() {
                let (x, y) = alone.split_once(',').unwrap_or((alone, "0"));
                add(format!("<circle class=\"dot\" cx=\"{x}\" cy=\"{y}\" r=\"2.5\"/>"));
            } else {
                add(format!("<polyline class=\"line\" points=\"{}\"/>", points.join(" ")));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::soak::count::Reading;

    fn cycle(number: usize, life: usize, live: Option<u64>) -> Cycle {
        let mut values = [Some(7); ALL.len()];
        values[0] = live;
        let reading = Reading { values, ..Reading::default() };
        Cycle { number, life, runs: number as u64 * 100, requests: 0, took: Duration::ZERO, reading }
    }

    #[test]
    fn every_resource_has_a_panel_with_labels_and_each_life_a_line() {
        let cycles: Vec<Cycle> = [(1, 1, 100), (2, 1, 200), (3, 2, 150), (4, 2, 160)]
            .map(|(number, life, live)| cycle(number, life, Some(live << 10)))
            .into();
        let svg = svg(&cycles);
        for resource in ALL {
            assert!(svg.contains(&format!(">{}</text>", resource.name)), "{}", resource.name);
        }
        assert_eq!(svg.matches("<polyline").count(), 2 * ALL.len());
        for label in ["100.0 KiB", "200.0 KiB", ">400<", ">200<", ">0<", ">7<", "prefers-color-scheme"] {
            assert!(svg.contains(label), "{label}");
        }
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n") && !svg.contains("NaN"));
    }

    #[test]
    fn what_is_not_told_is_said_to_be_so() {
        let svg = svg(&[cycle(1, 1, None)]);
        assert_eq!(svg.matches("not told").count(), 1);
        assert_eq!(svg.matches("<circle").count(), ALL.len() - 1);
    }
}
