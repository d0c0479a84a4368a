//! The picture of the starts. Comes in: for each program and condition the phases and how long each took. Goes out: an SVG
//! of stacked bars on a ground of its own, so that it can be read on a dark page too, with nothing fetched from anywhere.

use std::fmt::Write as _;
use std::time::Duration;

use crate::statistics::milliseconds;

/// One bar: its name, and its parts in order.
pub(crate) type Bar = (String, Vec<(&'static str, Duration)>);

/// The phases, and their colours: told apart by eyes that see red and green alike, too.
const COLOURS: [(&str, &str); 6] = [
    ("init", "#8c8c8c"),
    ("load", "#e69f00"),
    ("sign", "#cc79a7"),
    ("confirm", "#56b4e9"),
    ("mint", "#0072b2"),
    ("respond", "#009e73"),
];

const WIDTH: f64 = 760.0;
const NAMES: f64 = 210.0;
const FIGURES: f64 = 70.0;
const BAR: f64 = 22.0;
const ROW: f64 = 34.0;
const TOP: f64 = 62.0;

/// Draws the bars under a title.
pub(crate) fn draw(title: &str, bars: &[Bar]) -> String {
    let total = |bar: &Bar| {
        bar.1
            .iter()
            .map(|(_, takes)| milliseconds(*takes))
            .sum::<f64>()
    };
    let longest = bars.iter().map(total).fold(f64::MIN_POSITIVE, f64::max);
    let scale = (WIDTH - NAMES - FIGURES) / longest;
    let mut height = TOP;
    let mut body = String::new();
    for bar in bars {
        let middle = height + BAR / 2.0;
        let _ = writeln!(
            body,
            r#"<text x="{:.1}" y="{middle:.1}" text-anchor="end">{}</text>"#,
            NAMES - 10.0,
            escaped(&bar.0)
        );
        let mut x = NAMES;
        for (name, takes) in &bar.1 {
            let width = milliseconds(*takes) * scale;
            let _ = writeln!(
                body,
                r#"<rect x="{x:.1}" y="{height:.1}" width="{width:.1}" height="{BAR}" fill="{}"><title>{} {:.2} ms</title></rect>"#,
                colour(name),
                escaped(name),
                milliseconds(*takes)
            );
            x += width;
        }
        let _ = writeln!(
            body,
            r#"<text x="{:.1}" y="{middle:.1}">{:.1} ms</text>"#,
            x + 6.0,
            total(bar)
        );
        height += ROW;
    }
    let mut legend = String::new();
    for (number, (name, colour)) in (0_u8..).zip(COLOURS) {
        let x = NAMES + f64::from(number) * 84.0;
        let _ = writeln!(
            legend,
            r#"<rect x="{x:.1}" y="36" width="12" height="12" fill="{colour}"/><text x="{:.1}" y="42">{name}</text>"#,
            x + 17.0
        );
    }
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{title}">
<style>text {{ font: 13px sans-serif; dominant-baseline: central; fill: #222 }}</style>
<rect width="{WIDTH}" height="{height}" fill="#fff"/>
<text x="{NAMES}" y="16">{title}</text>
{legend}{body}</svg>
"##,
        title = escaped(title)
    )
}

fn colour(phase: &str) -> &'static str {
    let found = COLOURS.iter().find(|(name, _)| *name == phase);
    found.map_or("#000", |(_, colour)| colour)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_fills_the_width_and_parts_follow_each_other() {
        let ms = Duration::from_millis;
        let long = vec![("init", ms(30)), ("load", ms(10))];
        let svg = draw(
            "a < b",
            &[("x".into(), long), ("y".into(), vec![("mint", ms(20))])],
        );
        let at = |x: &str, y: &str, width: &str| {
            svg.contains(&format!(r#"<rect x="{x}" y="{y}" width="{width}""#))
        };
        assert!(at("210.0", "62.0", "360.0"), "{svg}");
        assert!(at("570.0", "62.0", "120.0"), "{svg}");
        assert!(at("210.0", "96.0", "240.0"), "{svg}");
        assert!(svg.contains("a &lt; b") && svg.contains("40.0 ms"), "{svg}");
    }
}
