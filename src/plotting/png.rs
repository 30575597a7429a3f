//! A scene as a bitmap, drawn by plotters at twice its size and averaged down, so that every edge is smooth.

use std::sync::OnceLock;

use plotters::prelude::*;
use plotters::style::FontTransform;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::palette::colour;
use super::scene::{Anchor, HEIGHT, Ink, Scene, Shape, WIDTH, Words};
use crate::error::{Error, Result};

const SIZE: (u32, u32) = (WIDTH as u32, HEIGHT as u32);
const SCALE: u32 = 2;
const FONT: &str = "chart";

type Area<'a> = DrawingArea<BitMapBackend<'a>, plotters::coord::Shift>;

fn failed<E: std::error::Error + Send + Sync + 'static>(e: E) -> Error {
    Error::compute("drawing a bitmap")(e)
}

impl Scene {
    /// A PNG of 1200×600 pixels, on white.
    ///
    /// # Errors
    /// [`Error::Compute`] when drawing fails.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        register_font()?;
        let (width, height) = (SIZE.0 * SCALE, SIZE.1 * SCALE);
        let mut large = vec![255u8; (width * height * 3) as usize];
        {
            let area = BitMapBackend::with_buffer(&mut large, (width, height)).into_drawing_area();
            for (shape, _) in &self.shapes {
                draw(&area, shape)?;
            }
            area.present().map_err(failed)?;
        }
        encode(&average(&large))
    }
}

fn register_font() -> Result<()> {
    static DONE: OnceLock<bool> = OnceLock::new();
    let done = DONE.get_or_init(|| {
        plotters::style::register_font(FONT, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT)
            .is_ok()
    });
    if *done {
        Ok(())
    } else {
        Err(Error::Compute {
            context: "drawing a bitmap".into(),
            source: "the font that is compiled in cannot be read".into(),
        })
    }
}

/// The mean of every square of `SCALE` × `SCALE` pixels.
fn average(large: &[u8]) -> Vec<u8> {
    let (w, h, s) = (SIZE.0 as usize, SIZE.1 as usize, SCALE as usize);
    let mut small = Vec::with_capacity(w * h * 3);
    for y in 0..h {
        for x in 0..w {
            for channel in 0..3 {
                let sum: usize = (0..s * s)
                    .map(|k| {
                        let (row, column) = (y * s + k / s, x * s + k % s);
                        usize::from(large[(row * w * s + column) * 3 + channel])
                    })
                    .sum();
                small.push((sum / (s * s)) as u8);
            }
        }
    }
    small
}

/// PNG bytes of `pixels`, three to a pixel.
fn encode(pixels: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, SIZE.0, SIZE.1);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(pixels).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(bytes)
}

fn pixel((x, y): (f64, f64)) -> (i32, i32) {
    let scaled = |v: f64| (v * f64::from(SCALE)).round() as i32;
    (scaled(x), scaled(y))
}

fn rgba(ink: Ink, opacity: f64) -> RGBAColor {
    let (r, g, b) = colour(ink);
    RGBColor(r, g, b).mix(opacity)
}

fn stroke(ink: Ink, width: f64) -> ShapeStyle {
    rgba(ink, 1.0).stroke_width((width * f64::from(SCALE)).round() as u32)
}

fn draw(area: &Area<'_>, shape: &Shape) -> Result<()> {
    match shape {
        Shape::Rectangle {
            from,
            to,
            fill,
            outline,
        } => {
            let corners = [pixel(*from), pixel((to.0, to.1.max(from.1 + 0.5)))];
            if let Some((ink, opacity)) = fill {
                let style = rgba(*ink, *opacity).filled();
                area.draw(&Rectangle::new(corners, style)).map_err(failed)?;
            }
            if let Some(ink) = outline {
                area.draw(&Rectangle::new(corners, stroke(*ink, 1.0)))
                    .map_err(failed)?;
            }
        }
        Shape::Line {
            points,
            ink,
            width,
            dashed,
        } => {
            let style = stroke(*ink, *width);
            for piece in if *dashed {
                dashes(points)
            } else {
                vec![points.clone()]
            } {
                let path: Vec<_> = piece.into_iter().map(pixel).collect();
                area.draw(&PathElement::new(path, style)).map_err(failed)?;
            }
        }
        Shape::Area {
            corners,
            ink,
            opacity,
        } => {
            let path: Vec<_> = corners.iter().copied().map(pixel).collect();
            area.draw(&Polygon::new(path, rgba(*ink, *opacity).filled()))
                .map_err(failed)?;
        }
        Shape::Dots {
            centres,
            radius,
            ink,
            opacity,
        } if *opacity > 0.0 => {
            let (size, style) = (radius * f64::from(SCALE), rgba(*ink, *opacity).filled());
            for &centre in centres {
                area.draw(&Circle::new(pixel(centre), size.round() as i32, style))
                    .map_err(failed)?;
            }
        }
        Shape::Dots { .. } => {}
        Shape::Words(words) => draw_words(area, words)?,
    }
    Ok(())
}

fn draw_words(area: &Area<'_>, words: &Words) -> Result<()> {
    let horizontal = match words.anchor {
        Anchor::Start => HPos::Left,
        Anchor::Middle => HPos::Center,
        Anchor::End => HPos::Right,
    };
    let turn = if words.upwards {
        FontTransform::Rotate270
    } else {
        FontTransform::None
    };
    let colour = rgba(words.ink, 1.0);
    let style = TextStyle::from((FONT, words.size * f64::from(SCALE)))
        .color(&colour)
        .pos(Pos::new(horizontal, VPos::Center))
        .transform(turn);
    // The font's box reaches further below the letters than above them.
    let nudge = 0.1 * words.size;
    let at = match words.upwards {
        true => (words.at.0 + nudge, words.at.1),
        false => (words.at.0, words.at.1 + nudge),
    };
    area.draw(&Text::new(words.text.as_str(), pixel(at), style))
        .map_err(failed)
}

/// The line cut into dashes of 7 pixels with gaps of 5.
fn dashes(points: &[(f64, f64)]) -> Vec<Vec<(f64, f64)>> {
    const PATTERN: [f64; 2] = [7.0, 5.0];
    let (mut pieces, mut piece) = (Vec::new(), Vec::new());
    let (mut phase, mut left) = (0, PATTERN[0]);
    for pair in points.windows(2) {
        let (mut from, to) = (pair[0], pair[1]);
        loop {
            let rest = (to.0 - from.0).hypot(to.1 - from.1);
            if phase == 0 && piece.is_empty() {
                piece.push(from);
            }
            if rest <= left {
                left -= rest;
                if phase == 0 {
                    piece.push(to);
                }
                break;
            }
            let t = left / rest;
            from = (from.0 + t * (to.0 - from.0), from.1 + t * (to.1 - from.1));
            if phase == 0 {
                piece.push(from);
                pieces.push(std::mem::take(&mut piece));
            }
            phase = 1 - phase;
            left = PATTERN[phase];
        }
    }
    if piece.len() > 1 {
        pieces.push(piece);
    }
    pieces
}
