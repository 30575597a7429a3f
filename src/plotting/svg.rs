//! A scene as SVG: with fixed colours as a file of its own, with the page's colours inside one. The
//! bitmap is that file's, drawn by resvg.

use std::fmt::Write;
use std::sync::{Arc, LazyLock};

use epaint_default_fonts::UBUNTU_LIGHT;
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::fontdb::{Database, Source};
use resvg::usvg::{Options, Tree};

use super::scene::{Anchor, HEIGHT, Ink, SERIES, Scene, Shape, WIDTH, Words, colour};
use crate::error::{Error, Result};

/// The style sheet that gives inline pictures their colours, by variables of the page that may
/// change with its theme: `--text`, `--muted`, `--grid`, `--axis` and `--series-1` to `--series-7`.
pub(crate) const STYLE: &str = "\
svg.chart{width:100%;height:auto;font-family:inherit}\
.f-text{fill:var(--text)}.f-muted{fill:var(--muted)}.f-grid{fill:var(--grid)}.f-axis{fill:var(--axis)}\
.s-text{stroke:var(--text)}.s-muted{stroke:var(--muted)}.s-grid{stroke:var(--grid)}.s-axis{stroke:var(--axis)}\
.f-1{fill:var(--series-1)}.f-2{fill:var(--series-2)}.f-3{fill:var(--series-3)}.f-4{fill:var(--series-4)}\
.f-5{fill:var(--series-5)}.f-6{fill:var(--series-6)}.f-7{fill:var(--series-7)}\
.s-1{stroke:var(--series-1)}.s-2{stroke:var(--series-2)}.s-3{stroke:var(--series-3)}.s-4{stroke:var(--series-4)}\
.s-5{stroke:var(--series-5)}.s-6{stroke:var(--series-6)}.s-7{stroke:var(--series-7)}";

const FONTS: &str = "Ubuntu, 'Segoe UI', Helvetica, Arial, sans-serif";

/// The font of bitmaps. It is compiled in and no other is looked for, so that a picture is the same
/// on every machine.
static BITMAP_FONT: LazyLock<Arc<Database>> = LazyLock::new(|| {
    let mut fonts = Database::new();
    fonts.load_font_source(Source::Binary(Arc::new(UBUNTU_LIGHT)));
    Arc::new(fonts)
});

/// Where colours come from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Paint {
    /// They are written out.
    Fixed,
    /// From the page's classes.
    Page,
}

impl Scene {
    /// A file of its own, on white.
    pub(crate) fn to_svg(&self) -> String {
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             role=\"img\" font-family=\"{FONTS}\">\n<desc>{}</desc>\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
            escape(&self.description)
        );
        self.write(&mut out, Paint::Fixed);
        out.push_str("</svg>\n");
        out
    }

    /// The same file as a PNG of 1200×600 pixels.
    ///
    /// # Errors
    /// [`Error::Compute`] when drawing fails.
    pub(crate) fn to_png(&self) -> Result<Vec<u8>> {
        let options = Options {
            fontdb: BITMAP_FONT.clone(),
            ..Options::default()
        };
        let picture = Tree::from_str(&self.to_svg(), &options)
            .map_err(Error::compute("reading an SVG back to draw it"))?;
        let mut pixels = Pixmap::new(WIDTH as u32, HEIGHT as u32).expect("the size is not zero");
        resvg::render(&picture, Transform::identity(), &mut pixels.as_mut());
        pixels
            .encode_png()
            .map_err(Error::compute("writing a picture as PNG"))
    }

    /// An element for a page that has [`STYLE`].
    pub(crate) fn to_inline_svg(&self) -> String {
        let mut out = format!(
            "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n",
            escape(&self.description)
        );
        self.write(&mut out, Paint::Page);
        out.push_str("</svg>\n");
        out
    }

    fn write(&self, out: &mut String, paint: Paint) {
        for (shape, hover) in &self.shapes {
            let (element, attributes, inside) = describe(shape, paint);
            // Writing to a string cannot fail.
            let _ = write!(out, "<{element} {attributes}");
            let hover = hover.as_deref().unwrap_or_default();
            let (all, each) = hover.split_once('\n').unwrap_or((hover, ""));
            if !each.is_empty() && paint == Paint::Page {
                let _ = write!(out, " data-each=\"{}\"", escape(&each.replace('\n', "|")));
            }
            let title = match all {
                "" => String::new(),
                words => format!("<title>{}</title>", escape(words)),
            };
            if title.is_empty() && inside.is_empty() {
                out.push_str("/>\n");
            } else {
                let _ = writeln!(out, ">{title}{inside}</{element}>");
            }
        }
    }
}

/// The element's name, attributes and content.
fn describe(shape: &Shape, paint: Paint) -> (&'static str, String, String) {
    match shape {
        Shape::Rectangle {
            from,
            to,
            fill,
            outline,
        } => {
            let place = format!(
                "x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"",
                number(from.0),
                number(from.1),
                number(to.0 - from.0),
                number((to.1 - from.1).max(0.5))
            );
            let inside = match fill {
                Some((ink, opacity)) => {
                    format!(
                        "{} fill-opacity=\"{opacity}\"",
                        inks(Some(*ink), *outline, paint)
                    )
                }
                None => inks(None, *outline, paint),
            };
            ("rect", format!("{place} {inside}"), String::new())
        }
        Shape::Line {
            points,
            ink,
            width,
            dashed,
        } => {
            let points: Vec<String> = points
                .iter()
                .map(|p| format!("{},{}", number(p.0), number(p.1)))
                .collect();
            let dash = if *dashed {
                " stroke-dasharray=\"7 5\""
            } else {
                ""
            };
            let attributes = format!(
                "points=\"{}\" {} stroke-width=\"{width}\" stroke-linejoin=\"round\"{dash}",
                points.join(" "),
                inks(None, Some(*ink), paint)
            );
            ("polyline", attributes, String::new())
        }
        Shape::Area {
            corners,
            ink,
            opacity,
        } => {
            let corners: Vec<String> = corners
                .iter()
                .map(|p| format!("{},{}", number(p.0), number(p.1)))
                .collect();
            let attributes = format!(
                "points=\"{}\" {} fill-opacity=\"{opacity}\"",
                corners.join(" "),
                inks(Some(*ink), None, paint)
            );
            ("polygon", attributes, String::new())
        }
        Shape::Dots {
            centres,
            radius,
            ink,
            opacity,
        } => {
            // A line of no length with round ends is a dot; one path holds them all.
            let mut path = String::with_capacity(12 * centres.len());
            for c in centres {
                let _ = write!(path, "M{} {}h0", number(c.0), number(c.1));
            }
            let attributes = format!(
                "d=\"{path}\" {} stroke-width=\"{}\" stroke-linecap=\"round\" stroke-opacity=\"{opacity}\"",
                inks(None, Some(*ink), paint),
                2.0 * radius
            );
            ("path", attributes, String::new())
        }
        Shape::Words(words) => describe_words(words, paint),
    }
}

fn describe_words(words: &Words, paint: Paint) -> (&'static str, String, String) {
    let anchor = match words.anchor {
        Anchor::Start => "start",
        Anchor::Middle => "middle",
        Anchor::End => "end",
    };
    let (x, y) = (number(words.at.0), number(words.at.1));
    let turn = if words.upwards {
        format!(" transform=\"rotate(-90 {x} {y})\"")
    } else {
        String::new()
    };
    let attributes = format!(
        "x=\"{x}\" y=\"{y}\" dy=\"0.35em\" font-size=\"{}\" text-anchor=\"{anchor}\" {}{turn}",
        number(words.size),
        inks(Some(words.ink), None, paint)
    );
    ("text", attributes, escape(&words.text))
}

/// The attributes that colour the inside and the outline.
fn inks(fill: Option<Ink>, stroke: Option<Ink>, paint: Paint) -> String {
    let mut classes = Vec::new();
    let mut attributes = String::new();
    for (property, prefix, ink) in [("fill", 'f', fill), ("stroke", 's', stroke)] {
        match (ink, ink.and_then(class)) {
            (Some(_), Some(class)) if paint == Paint::Page => {
                classes.push(format!("{prefix}-{class}"))
            }
            (Some(ink), _) => {
                let (r, g, b) = colour(ink);
                let _ = write!(attributes, " {property}=\"#{r:02x}{g:02x}{b:02x}\"");
            }
            (None, _) if property == "fill" => attributes.push_str(" fill=\"none\""),
            (None, _) => {}
        }
    }
    if !classes.is_empty() {
        let _ = write!(attributes, " class=\"{}\"", classes.join(" "));
    }
    attributes.trim_start().to_string()
}

/// The class of a role that follows the page's theme; the ramp does not.
fn class(ink: Ink) -> Option<String> {
    Some(match ink {
        Ink::Text => "text".into(),
        Ink::Muted => "muted".into(),
        Ink::Grid => "grid".into(),
        Ink::Axis => "axis".into(),
        Ink::Series(i) => format!("{}", i % SERIES.len() + 1),
        Ink::Ramp(_) | Ink::OnRamp(_) => return None,
    })
}

fn number(v: f64) -> String {
    let text = format!("{v:.1}");
    match text.strip_suffix(".0") {
        Some(whole) => whole.to_string(),
        None => text,
    }
}

/// Text inside XML; characters that XML cannot hold are replaced.
fn escape(text: &str) -> String {
    let foreign =
        |c: char| matches!(c, '\0'..'\t' | '\x0B' | '\x0C' | '\x0E'..' ' | '\u{FFFE}'..='\u{FFFF}');
    text.replace(foreign, "\u{FFFD}")
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
