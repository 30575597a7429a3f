//! What a chart looks like before it becomes SVG: shapes and words, and the colours of their roles.

/// The width of every picture.
pub(super) const WIDTH: f64 = 1200.0;
/// The height of every picture.
pub(super) const HEIGHT: f64 = 600.0;

/// The role of a colour: a page may give roles other colours than paper does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Ink {
    Text,
    Muted,
    Grid,
    Axis,
    /// The n-th series.
    Series(usize),
    /// A place from 0 to 1 on the heat map's ramp.
    Ramp(f64),
    /// Words on that place of the ramp.
    OnRamp(f64),
}

/// Red, green, blue.
pub(super) type Rgb = (u8, u8, u8);

/// Okabe and Ito's colours, in the order in which series take them.
pub(super) const SERIES: [Rgb; 7] = [
    (0x00, 0x72, 0xB2),
    (0xD5, 0x5E, 0x00),
    (0x00, 0x9E, 0x73),
    (0xCC, 0x79, 0xA7),
    (0xE6, 0x9F, 0x00),
    (0x56, 0xB4, 0xE9),
    (0x4D, 0x4D, 0x4D),
];

/// Points of cividis, evenly spaced from low to high.
const RAMP: [Rgb; 9] = [
    (0x00, 0x22, 0x4E),
    (0x12, 0x35, 0x70),
    (0x3B, 0x49, 0x6C),
    (0x57, 0x5D, 0x6D),
    (0x70, 0x71, 0x73),
    (0x8A, 0x86, 0x78),
    (0xA5, 0x9C, 0x74),
    (0xC3, 0xB3, 0x69),
    (0xFE, 0xE8, 0x38),
];

/// The colour at `share` (0 to 1) of the ramp.
pub(super) fn ramp(share: f64) -> Rgb {
    let place = share.clamp(0.0, 1.0) * (RAMP.len() - 1) as f64;
    let i = (place.floor() as usize).min(RAMP.len() - 2);
    let t = place - i as f64;
    let mix = |a: u8, b: u8| (f64::from(a) + t * (f64::from(b) - f64::from(a))).round() as u8;
    let (a, b) = (RAMP[i], RAMP[i + 1]);
    (mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2))
}

/// The colour of an ink on paper.
pub(super) fn colour(ink: Ink) -> Rgb {
    match ink {
        Ink::Text => (0x1F, 0x23, 0x28),
        Ink::Muted => (0x42, 0x4A, 0x53),
        Ink::Grid => (0xE1, 0xE4, 0xE8),
        Ink::Axis => (0x8C, 0x95, 0x9F),
        Ink::Series(i) => SERIES[i % SERIES.len()],
        Ink::Ramp(share) => ramp(share),
        // Dark colours end at about three fifths of the ramp.
        Ink::OnRamp(share) if share < 0.6 => (0xFF, 0xFF, 0xFF),
        Ink::OnRamp(_) => (0x1F, 0x23, 0x28),
    }
}

/// Which end of the words stands at their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// Words at a place.
#[derive(Debug, Clone)]
pub(super) struct Words {
    pub(crate) text: String,
    /// Where the anchor stands; y is the middle of the line.
    pub(crate) at: (f64, f64),
    pub(crate) size: f64,
    pub(crate) ink: Ink,
    pub(crate) anchor: Anchor,
    /// Read from bottom to top.
    pub(crate) upwards: bool,
}

/// One thing to draw. Coordinates are in pixels, y downwards.
#[derive(Debug, Clone)]
pub(super) enum Shape {
    Rectangle {
        from: (f64, f64),
        to: (f64, f64),
        fill: Option<(Ink, f64)>,
        outline: Option<Ink>,
    },
    Line {
        points: Vec<(f64, f64)>,
        ink: Ink,
        width: f64,
        dashed: bool,
    },
    /// A filled area.
    Area {
        corners: Vec<(f64, f64)>,
        ink: Ink,
        opacity: f64,
    },
    /// Many dots of one colour and opacity; with opacity 0 they are there for the pointer only.
    Dots {
        centres: Vec<(f64, f64)>,
        radius: f64,
        ink: Ink,
        opacity: f64,
    },
    Words(Words),
}

/// A picture of 1200×600.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scene {
    /// What the picture shows, in words, for those who cannot see it.
    pub(super) description: String,
    /// Each shape with what a pointer over it reveals. Of many dots: a line for all of them, then
    /// one for each.
    pub(super) shapes: Vec<(Shape, Option<String>)>,
}

impl Scene {
    pub(super) fn new(description: impl Into<String>) -> Self {
        Self {
            description: description.into(),
            shapes: Vec::new(),
        }
    }

    /// The same with a comma in all numbers, as French writes them.
    pub(crate) fn with_decimal_comma(mut self) -> Self {
        for (shape, hover) in &mut self.shapes {
            if let Shape::Words(words) = shape {
                words.text = decimal_comma(&words.text);
            }
            *hover = hover.as_deref().map(decimal_comma);
        }
        self
    }

    pub(super) fn add(&mut self, shape: Shape) {
        self.shapes.push((shape, None));
    }

    pub(super) fn add_with_hover(&mut self, shape: Shape, hover: String) {
        self.shapes.push((shape, Some(hover)));
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), ink: Ink, width: f64) {
        self.add(Shape::Line {
            points: vec![from, to],
            ink,
            width,
            dashed: false,
        });
    }

    pub(super) fn words(
        &mut self,
        text: impl Into<String>,
        at: (f64, f64),
        (size, ink): (f64, Ink),
        anchor: Anchor,
    ) {
        self.add(Shape::Words(Words {
            text: text.into(),
            at,
            size,
            ink,
            anchor,
            upwards: false,
        }));
    }
}

/// The approximate width of words in a wide font, for legends and labels that must not collide:
/// which font a browser takes is not known.
pub(super) fn width_of(text: &str, size: f64) -> f64 {
    let share = |c: char| match c {
        'i' | 'j' | 'l' | '\'' | '|' | '.' | ',' | ':' | ';' | ' ' => 0.34,
        'f' | 'r' | 't' | '(' | ')' | '[' | ']' | '/' | '-' => 0.43,
        'm' | 'w' | 'M' | 'W' | '@' | '%' | '→' => 0.95,
        c if c.is_uppercase() => 0.72,
        _ => 0.64,
    };
    size * text.chars().map(share).sum::<f64>()
}

/// The largest size, up to `size`, at which words are no wider than `room`.
pub(super) fn size_within(text: &str, size: f64, room: f64) -> f64 {
    size * room / width_of(text, size).max(room)
}

/// A point between two digits becomes a comma.
fn decimal_comma(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let digit = |i: Option<usize>| {
        i.and_then(|i| letters.get(i))
            .is_some_and(char::is_ascii_digit)
    };
    let place = |(i, &c): (usize, &char)| match c {
        '.' if digit(i.checked_sub(1)) && digit(Some(i + 1)) => ',',
        other => other,
    };
    letters.iter().enumerate().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_stand_between_digits_only() {
        assert_eq!(decimal_comma("0.5 à 12.25. Fin."), "0,5 à 12,25. Fin.");
    }
}
