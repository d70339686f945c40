//! Charts as plain SVG, readable on light and dark ground.

use std::fmt::Write;

use crate::number::number;

const WIDTH: f64 = 720.0;
const TEXT: &str = "#7d8590";
const OURS: &str = "#2f81f7";
const OTHER: &str = "#8b949e";
const COLOURS: [&str; 5] = ["#2f81f7", "#d29922", "#3fb950", "#db61a2", "#8957e5"];

/// A stack of panels, top to bottom.
pub struct Chart {
    body: String,
    height: f64,
}

/// A line of a [`Chart::lines`] panel: what it is called and its value at each step.
pub struct Line {
    pub name: String,
    pub values: Vec<f64>,
}

impl Chart {
    pub fn new(title: &str, subtitle: &str) -> Self {
        let mut chart = Self { body: String::new(), height: 24.0 };
        chart.text(8.0, 24.0, "start", "font-size='16' font-weight='600'", title);
        chart.text(8.0, 44.0, "start", "", subtitle);
        chart.height = 64.0;
        chart
    }

    /// One bar for each value, from zero; names that begin with `hookwire` stand out.
    pub fn bars(&mut self, title: &str, unit: &str, bars: &[(String, f64)]) {
        const LABELS: f64 = 220.0;
        let room = WIDTH - LABELS - 130.0;
        let most = bars.iter().map(|bar| bar.1).fold(f64::MIN_POSITIVE, f64::max);
        self.heading(title);
        for (name, value) in bars {
            let (y, width) = (self.height, (value / most * room).max(1.0));
            let colour = if name.starts_with("hookwire") { OURS } else { OTHER };
            self.text(LABELS - 8.0, y + 14.0, "end", "", name);
            self.add(&format!(
                "<rect x='{LABELS}' y='{y}' width='{width:.1}' height='18' rx='2' fill='{colour}'/>"
            ));
            let label = format!("{} {unit}", number(*value));
            self.text(LABELS + width + 8.0, y + 14.0, "start", "", &label);
            self.height += 26.0;
        }
        self.height += 18.0;
    }

    /// Lines over named steps of equal width. With `log`, so is the vertical axis.
    pub fn lines(&mut self, title: &str, unit: &str, steps: &[String], log: bool, lines: &[Line]) {
        const HEIGHT: f64 = 190.0;
        const LEFT: f64 = 84.0;
        let right = WIDTH - 170.0;
        self.heading(title);
        let top = self.height;
        let values = || lines.iter().flat_map(|line| &line.values).copied();
        let most = values().fold(f64::MIN_POSITIVE, f64::max);
        let least = values().fold(f64::INFINITY, f64::min).max(f64::MIN_POSITIVE);
        let (low, high) = match log {
            true => (least.log10().floor(), most.log10().ceil()),
            false => (0.0, round_up(most)),
        };
        let scaled = |value: f64| if log { value.log10() } else { value };
        let y = |value: f64| top + HEIGHT - (scaled(value) - low) / (high - low) * HEIGHT;
        let x = |step: usize| LEFT + (right - LEFT) * step as f64 / (steps.len() - 1).max(1) as f64;

        let marks: Vec<f64> = match log {
            true => (low as i32..=high as i32).map(|power| 10_f64.powi(power)).collect(),
            false => (0..=4).map(|quarter| high * f64::from(quarter) / 4.0).collect(),
        };
        for mark in marks {
            let at = y(mark);
            self.add(&format!(
                "<line x1='{LEFT}' x2='{right}' y1='{at:.1}' y2='{at:.1}' stroke='{TEXT}' stroke-opacity='.3'/>"
            ));
            self.text(LEFT - 8.0, at + 4.0, "end", "", &number(mark));
        }
        for (index, step) in steps.iter().enumerate() {
            self.text(x(index), top + HEIGHT + 18.0, "middle", "", step);
        }
        let mut free = f64::NEG_INFINITY;
        let mut by_end: Vec<_> = lines.iter().zip(COLOURS.iter().cycle()).collect();
        by_end.sort_by(|(a, _), (b, _)| {
            let last = |line: &Line| line.values.last().copied().unwrap_or(0.0);
            last(b).total_cmp(&last(a))
        });
        for (line, colour) in by_end {
            let points: Vec<String> = (line.values.iter().enumerate())
                .map(|(index, value)| format!("{:.1},{:.1}", x(index), y(*value)))
                .collect();
            self.add(&format!(
                "<polyline points='{}' fill='none' stroke='{colour}' stroke-width='2'/>",
                points.join(" ")
            ));
            // Names stand at the ends of their lines, pushed down where they would touch.
            let end = y(line.values.last().copied().unwrap_or(least)) + 4.0;
            free = end.max(free + 15.0);
            self.text(right + 8.0, free, "start", &format!("fill='{colour}'"), &line.name);
        }
        self.text(LEFT - 8.0, top - 6.0, "end", "font-size='11'", unit);
        self.height = top + HEIGHT + 46.0;
    }

    pub fn finish(self) -> String {
        let Self { body, height } = self;
        format!(
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height:.0}' \
             font-family='system-ui, sans-serif' font-size='13' fill='{TEXT}'>\n{body}</svg>\n"
        )
    }

    fn heading(&mut self, title: &str) {
        self.text(8.0, self.height + 12.0, "start", "font-weight='600'", title);
        self.height += 34.0;
    }

    fn text(&mut self, x: f64, y: f64, anchor: &str, style: &str, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        self.add(&format!(
            "<text x='{x:.1}' y='{y:.1}' text-anchor='{anchor}' {style}>{text}</text>"
        ));
    }

    fn add(&mut self, element: &str) {
        // A String takes whatever it is given.
        let _ = writeln!(self.body, "{element}");
    }
}

/// The next number that begins with 1, 2, 4, 6 or 8 and goes on with zeros.
fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let bounds = [1.0, 2.0, 4.0, 6.0, 8.0, 10.0].into_iter().map(|first| first * power);
    bounds.into_iter().find(|bound| *bound >= value).unwrap_or(value)
}
