//! The samples of a soak as an SVG, readable on light and dark ground.

use std::fmt::Write as _;

use crate::soak::{Sample, Samples};

const WIDTH: f64 = 720.0;
const LEFT: f64 = 72.0;
const HEIGHT: f64 = 110.0;
const TEXT: &str = "#7d8590";
const LINE: &str = "#2f81f7";

/// Points of a line; a second or more each.
const POINTS: usize = 600;

/// A title, and what it shows.
type Panel = (&'static str, fn(&Sample) -> f64);

pub(crate) fn chart(samples: &Samples, title: &str) -> String {
    let panels: [Panel; 4] = [
        ("resident memory, MiB", |sample| sample.resident as f64 / 1048576.0),
        ("allocated memory, MiB", |sample| sample.holdings.bytes as f64 / 1048576.0),
        ("open files", |sample| sample.holdings.fds as f64),
        ("tasks", |sample| sample.holdings.tasks as f64),
    ];
    let mut body = String::new();
    let mut top = 40.0;
    text(&mut body, 8.0, 20.0, "start", title);
    for (name, of) in panels {
        panel(&mut body, top, name, &samples.all().iter().map(of).collect::<Vec<_>>());
        top += HEIGHT + 40.0;
    }
    let seconds = samples.all().len().saturating_sub(1);
    text(&mut body, LEFT, top, "start", "0 s");
    text(&mut body, WIDTH - 8.0, top, "end", &format!("{seconds} s"));
    let height = top + 16.0;
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height:.0}' \
         font-family='system-ui, sans-serif' font-size='13' fill='{TEXT}'>\n{body}</svg>\n"
    )
}

/// One line from zero up, over the whole time.
fn panel(body: &mut String, top: f64, name: &str, values: &[f64]) {
    let most = values.iter().copied().fold(1.0, f64::max) * 1.1;
    text(body, LEFT, top - 6.0, "start", name);
    for mark in [0.0, 0.5, 1.0] {
        let y = top + HEIGHT * (1.0 - mark);
        // A String takes whatever it is given.
        let _ = writeln!(
            body,
            "<line x1='{LEFT}' x2='{}' y1='{y:.1}' y2='{y:.1}' stroke='{TEXT}' stroke-opacity='.3'/>",
            WIDTH - 8.0
        );
        text(body, LEFT - 8.0, y + 4.0, "end", &format!("{:.0}", most * mark));
    }
    let each = values.len().div_ceil(POINTS).max(1);
    let x = |second: usize| {
        LEFT + (WIDTH - 8.0 - LEFT) * second as f64 / (values.len() - 1).max(1) as f64
    };
    let points: Vec<String> = (values.iter().enumerate().step_by(each))
        .map(|(second, value)| {
            format!("{:.1},{:.1}", x(second), top + HEIGHT * (1.0 - value / most))
        })
        .collect();
    let points = points.join(" ");
    let _ = writeln!(
        body,
        "<polyline points='{points}' fill='none' stroke='{LINE}' stroke-width='1.5'/>"
    );
}

fn text(body: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let _ = writeln!(body, "<text x='{x:.1}' y='{y:.1}' text-anchor='{anchor}'>{text}</text>");
}
