//! Colours.

use super::scene::Ink;

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
