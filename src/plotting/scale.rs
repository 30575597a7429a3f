//! From values to pixels, and the round numbers along an axis.

/// How the values of an axis are spread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Axis {
    /// Evenly, over the values and 0 when it is near.
    Linear,
    /// Evenly, over exactly this range or more when values lie outside.
    Range(f64, f64),
    /// By powers of ten; values of 0 or less are left out.
    Log,
}

/// An axis whose range is known.
#[derive(Debug, Clone)]
pub(super) struct Scale {
    log: bool,
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    /// Values with a mark and their words.
    pub(crate) ticks: Vec<(f64, String)>,
}

impl Scale {
    /// The scale of `values` along `axis`, between the pixels `from` and `to`.
    pub(crate) fn new(
        axis: Axis,
        values: impl Iterator<Item = f64>,
        (from, to): (f64, f64),
    ) -> Self {
        let log = axis == Axis::Log;
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        if let Axis::Range(a, b) = axis {
            (low, high) = (a, b);
        }
        for v in values.filter(|v| v.is_finite() && (!log || *v > 0.0)) {
            (low, high) = (low.min(v), high.max(v));
        }
        if low > high {
            (low, high) = if log { (1.0, 10.0) } else { (0.0, 1.0) };
        }
        if log {
            Self::logarithmic(low, high, from, to)
        } else {
            Self::linear(axis, low, high, from, to)
        }
    }

    fn linear(axis: Axis, mut low: f64, mut high: f64, from: f64, to: f64) -> Self {
        if axis == Axis::Linear && low > 0.0 && low < 0.5 * high {
            low = 0.0;
        }
        if high - low < 1e-12 * high.abs().max(1e-6) {
            let room = if high == 0.0 { 1.0 } else { 0.05 * high.abs() };
            (low, high) = (low - room, high + room);
        }
        let step = round_step((high - low) / 7.0);
        let (first, last) = match axis {
            Axis::Range(a, b) if a <= low && b >= high => {
                ((low / step).ceil(), (high / step + 1e-9).floor())
            }
            _ => ((low / step + 1e-9).floor(), (high / step - 1e-9).ceil()),
        };
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        let ticks: Vec<_> = (first as i64..=last as i64)
            .map(|i| {
                let value = i as f64 * step;
                (value, format!("{:.*}", decimals, value + 0.0))
            })
            .collect();
        Self {
            log: false,
            low: low.min(first * step),
            high: high.max(last * step),
            from,
            to,
            ticks,
        }
    }

    fn logarithmic(low: f64, high: f64, from: f64, to: f64) -> Self {
        let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
        let near = (low / 1.15, high * 1.15);
        let at = |multiples: &[f64]| -> Vec<f64> {
            (first..=last)
                .flat_map(|p| multiples.iter().map(move |m| m * 10f64.powi(p)))
                .filter(|v| (near.0..=near.1).contains(v))
                .collect()
        };
        let mut values = match high / low {
            300.0.. => at(&[1.0]),
            20.0.. => at(&[1.0, 2.0, 5.0]),
            // Fewer would not show that equal distances are equal factors.
            8.0.. => at(&[1.0, 2.0, 3.0, 5.0, 7.0]),
            _ => at(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]),
        };
        if values.len() < 4 {
            // Far less than a decade: round numbers at even steps.
            let step = round_step((near.1 - near.0) / 5.0);
            let (first, last) = ((near.0 / step).ceil(), (near.1 / step).floor());
            values = (first as i64..=last as i64)
                .map(|i| i as f64 * step)
                .filter(|v| *v > 0.0)
                .collect();
        }
        let ticks = values.into_iter().map(|v| (v, short(v))).collect();
        Self {
            log: true,
            low: near.0.log10(),
            high: near.1.log10(),
            from,
            to,
            ticks,
        }
    }

    /// The pixel of a value; those beyond an end stay at it.
    pub(crate) fn place(&self, value: f64) -> f64 {
        let v = if self.log { value.log10() } else { value };
        let share = (v - self.low) / (self.high - self.low);
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// Whether the value can stand on the axis.
    pub(crate) fn holds(&self, value: f64) -> bool {
        value.is_finite() && (!self.log || value > 0.0)
    }
}

/// The smallest of 1, 2, 5 times a power of ten that is at least `rough`.
fn round_step(rough: f64) -> f64 {
    let power = 10f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|m| m * power)
        .find(|step| *step >= rough * (1.0 - 1e-9))
        .unwrap_or(10.0 * power)
}

/// A value in a few digits: three significant ones, more for large numbers.
pub(super) fn short(value: f64) -> String {
    if !value.is_finite() {
        return "–".into();
    }
    if value == 0.0 {
        return "0".into();
    }
    let digits = value.abs().log10().floor() as i32;
    if !(-5..7).contains(&digits) {
        return format!("{value:.2e}");
    }
    let text = format!("{value:.*}", (2 - digits).max(0) as usize);
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').into(),
        false => text,
    }
}

/// How words stand at the `i`-th of `n` places when there is room for only some: every k-th is
/// shown.
pub(super) fn every(n: usize, room: usize) -> usize {
    n.div_ceil(room.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(axis: Axis, values: &[f64]) -> Vec<String> {
        let scale = Scale::new(axis, values.iter().copied(), (0.0, 100.0));
        scale.ticks.into_iter().map(|(_, w)| w).collect()
    }

    #[test]
    fn ticks_are_round_and_cover_the_values() {
        assert_eq!(words(Axis::Linear, &[0.2, 1.0])[..2], ["0.0", "0.2"]);
        assert_eq!(
            words(Axis::Range(-1.0, 1.0), &[0.2]),
            ["-1.0", "-0.5", "0.0", "0.5", "1.0"]
        );
        assert_eq!(words(Axis::Linear, &[520.0, 523.0])[0], "520.0");
        assert_eq!(words(Axis::Log, &[1.3, 35.0]), ["2", "5", "10", "20"]);
        assert_eq!(words(Axis::Log, &[40.0, 60.0]), ["40", "50", "60"]);
        assert_eq!(words(Axis::Log, &[0.01, 1807.0])[0], "0.01");
        assert_eq!(
            words(Axis::Log, &[270.0, 1150.0]),
            ["300", "400", "500", "600", "700", "800", "900", "1000"]
        );
        assert_eq!(
            words(Axis::Log, &[3.0, 29.0]),
            ["3", "5", "7", "10", "20", "30"]
        );
        // nothing, one value, a constant
        assert!(!words(Axis::Linear, &[]).is_empty());
        assert!(words(Axis::Linear, &[0.0]).len() > 2);
        assert!(words(Axis::Linear, &[3.0, 3.0]).len() > 2);
        assert!(!words(Axis::Log, &[-1.0]).is_empty());
    }

    #[test]
    fn places_are_linear_or_logarithmic() {
        let s = Scale::new(Axis::Range(0.0, 10.0), std::iter::empty(), (100.0, 0.0));
        assert_eq!(
            (s.place(0.0), s.place(5.0), s.place(99.0)),
            (100.0, 50.0, 0.0)
        );
        let s = Scale::new(Axis::Log, [1.0, 100.0].into_iter(), (0.0, 100.0));
        assert!((s.place(10.0) - 50.0).abs() < 1e-9);
    }

    #[test]
    fn short_numbers() {
        let got = [0.0, 0.123_456, 12.345, 523.4, 1807.2, 1e-9, f64::NAN].map(short);
        assert_eq!(got, ["0", "0.123", "12.3", "523", "1807", "1.00e-9", "–"]);
    }
}
