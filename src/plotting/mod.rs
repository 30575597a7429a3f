//! Pictures of plain series, as PNG and SVG of 1200×600: box plots, bars, lines, heat maps,
//! scatters. Knows no model and no statistic.
//!
//! A chart lays itself out as a [`Scene`] of rectangles, lines and words; the scene is written as
//! SVG, in the page's own colours when it stands inside one, and the SVG is drawn as a bitmap.
//! Colours are those of Okabe and Ito (2008), which colour-blind readers can tell apart; the heat
//! map's ramp is cividis (Nuñez, Anderton and Renslow 2018).

mod bar_chart;
mod box_plot;
mod frame;
mod heat_map;
mod line_chart;
mod scale;
mod scatter;
mod scene;
mod svg;

use std::io::Write;
use std::path::Path;

use crate::error::{Error, Result};
use crate::files::AtomicFile;

pub(crate) use bar_chart::{BarChart, BarSeries};
pub(crate) use box_plot::{BoxPlot, BoxSeries};
pub(crate) use frame::{Labels, Mark};
pub(crate) use heat_map::{CellFormat, HeatMap};
pub(crate) use line_chart::{LineChart, LineSeries};
pub(crate) use scale::Axis;
pub(crate) use scatter::{Scatter, ScatterSeries};
pub(crate) use scene::Scene;
pub(crate) use svg::STYLE;

/// Something that can be drawn.
pub(crate) trait Chart {
    /// Its shapes and words, laid out.
    fn scene(&self) -> Scene;
}

/// Write `STEM.png` and `STEM.svg` into `folder`, replacing what stands there.
///
/// # Errors
/// [`Error::Io`] when they cannot be written, [`Error::Compute`] when drawing fails.
pub(crate) fn save(chart: &dyn Chart, folder: &Path, stem: &str) -> Result<()> {
    let scene = chart.scene();
    let files = [
        (format!("{stem}.svg"), scene.to_svg().into_bytes()),
        (format!("{stem}.png"), scene.to_png()?),
    ];
    for (name, bytes) in files {
        let path = folder.join(name);
        let mut file = AtomicFile::replace(&path)?;
        file.write_all(&bytes).map_err(Error::io(&path, "write"))?;
        file.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(title: &str, x: &str, y: &str) -> Labels {
        Labels {
            title: title.into(),
            subtitle: "Boxes: quartiles, whiskers: minimum and maximum".into(),
            x: x.into(),
            y: y.into(),
        }
    }

    fn layers() -> Vec<String> {
        (0..13).map(|l| l.to_string()).collect()
    }

    fn charts() -> Vec<(&'static str, Box<dyn Chart>)> {
        let five = |l: usize, shift: f64| {
            [-0.4, -0.1, 0.0, 0.15, 0.5].map(|d| d + shift + 0.03 * l as f64)
        };
        let boxes = |shift: f64| (0..13).map(|l| five(l, shift)).collect();
        let box_plot = |axis, series: Vec<BoxSeries>| BoxPlot {
            labels: labels("FlauBERT: cosines within a sentence", "layer", "cosine"),
            categories: layers(),
            series,
            axis,
            marks: Vec::new(),
        };
        let raw = BoxSeries {
            name: "raw".into(),
            boxes: boxes(0.0),
        };
        let tuned = BoxSeries {
            name: "fine-tuned, 1 epoch".into(),
            boxes: boxes(0.2),
        };
        let mut far = boxes(1.0);
        far[3] = [0.02, 1.3, 16.0, 142.0, 1807.0];
        far[4] = [f64::NAN; 5];
        let logarithmic = BoxSeries {
            name: "raw".into(),
            boxes: far,
        };
        let bars = BarChart {
            labels: labels("Effective rank", "layer", "effective rank (dimensions)"),
            categories: layers(),
            series: vec![
                BarSeries {
                    name: "raw".into(),
                    values: (0..13).map(|l| 540.0 - 9.0 * l as f64).collect(),
                },
                BarSeries {
                    name: "fine-tuned".into(),
                    values: (0..13).map(|l| 530.0 - 22.0 * l as f64).collect(),
                },
            ],
            marks: vec![Mark {
                category: 12,
                series: 1,
                value: 343.0,
                name: "published".into(),
            }],
        };
        let mut state = 1u64;
        let mut noise = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 40) as f64 / (1u64 << 24) as f64 - 0.5
        };
        let curve = |name: &str, high: f64, dashed| LineSeries {
            name: name.into(),
            points: (1..=200)
                .map(|e| (e as f64, high - 0.4 / (e as f64).sqrt()))
                .collect(),
            dashed,
            band: Vec::new(),
        };
        let lines = LineChart {
            labels: labels(
                "CamemBERT, layer 12: the probe in training",
                "epoch",
                "accuracy",
            ),
            series: vec![
                curve("layer 12", 0.95, true),
                curve("layer 12", 0.9, false),
                curve("layer 5", 0.8, false),
            ],
            axis: Axis::Linear,
        };
        let heat = HeatMap {
            labels: labels("Accuracy of the probe on the test split", "layer", ""),
            rows: [
                "FlauBERT raw",
                "FlauBERT fine-tuned",
                "CamemBERT raw",
                "CamemBERT fine-tuned",
            ]
            .map(String::from)
            .to_vec(),
            columns: ["5", "7", "9", "11", "12"].map(String::from).to_vec(),
            values: vec![
                vec![0.690, 0.711, 0.722, 0.726, 0.730],
                vec![0.772, 0.854, 0.918, 0.930, f64::NAN],
                vec![0.730, 0.813, 0.897, 0.844, 0.896],
                vec![0.778, 0.866, 0.934, 0.946, 0.945],
            ],
            format: CellFormat::Percent,
        };
        let mut cloud = |name: &str, centre: f64| ScatterSeries {
            name: name.into(),
            points: (0..6000)
                .map(|i| (2.0 * i as f64, centre + 0.6 * noise()))
                .collect(),
        };
        let scatter = Scatter {
            labels: labels(
                "CamemBERT: <s> of every review against the first",
                "row",
                "cosine",
            ),
            series: vec![cloud("negative", 0.3), cloud("positive", 0.6)],
            x_axis: Axis::Linear,
            y_axis: Axis::Range(-1.0, 1.0),
        };
        vec![
            (
                "boxes",
                Box::new(box_plot(Axis::Range(-1.0, 1.0), vec![raw.clone(), tuned])),
            ),
            ("log", Box::new(box_plot(Axis::Log, vec![logarithmic]))),
            ("one", Box::new(box_plot(Axis::Linear, vec![raw]))),
            ("bars", Box::new(bars)),
            ("lines", Box::new(lines)),
            ("heat", Box::new(heat)),
            ("scatter", Box::new(scatter)),
        ]
    }

    #[test]
    fn every_chart_is_drawn_in_both_formats() {
        let folder = tempfile::tempdir().unwrap();
        for (name, chart) in charts() {
            save(chart.as_ref(), folder.path(), name).unwrap();
            let png = std::fs::read(folder.path().join(format!("{name}.png"))).unwrap();
            assert!(png.starts_with(b"\x89PNG"));
            // width and height stand at byte 16 of every PNG
            assert_eq!(png[16..24], [0, 0, 4, 176, 0, 0, 2, 88]);
            assert!(png.len() > 8_000, "{name}: {} bytes", png.len());
            let svg = std::fs::read_to_string(folder.path().join(format!("{name}.svg"))).unwrap();
            assert!(svg.contains("viewBox=\"0 0 1200 600\"") && svg.ends_with("</svg>\n"));
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{name}");
        }
    }

    /// Letters of words drawn in the font that is compiled in, on any machine.
    #[test]
    fn bitmaps_show_words_whatever_characters_they_hold() {
        let png = |title: &str| {
            let chart = BarChart {
                labels: labels(title, "", ""),
                categories: Vec::new(),
                series: Vec::new(),
                marks: Vec::new(),
            };
            chart.scene().to_png().unwrap()
        };
        let pictures = ["", "ete", "été", "étè", "\0<&\u{FFFF}]]>"].map(png);
        for (i, picture) in pictures.iter().enumerate() {
            assert!(!pictures[..i].contains(picture), "picture {i}");
        }
    }

    #[test]
    fn svg_holds_words_values_and_escapes() {
        let svg: Vec<String> = charts().iter().map(|(_, c)| c.scene().to_svg()).collect();
        assert!(svg[0].contains(">fine-tuned, 1 epoch</text>"));
        assert!(
            svg[0].contains("layer 12, raw: 0.36 [0.26 – 0.51], -0.04 … 0.86"),
            "{}",
            svg[0]
        );
        assert!(svg[3].contains(">540</text>"));
        assert!(svg[3].contains("<title>published: 343</title>"));
        assert!(svg[5].contains(">94.6 %</text>"));
        assert_eq!(svg[5].matches(" %</text>").count(), 19);
        assert!(svg[6].contains("<title>negative</title>") && !svg[6].contains("data-each"));
        let inline = charts()[6].1.scene().to_inline_svg();
        assert_eq!(inline.matches('|').count(), 2 * 5999);
        assert!(svg[6].contains("&lt;s&gt;") && !svg[6].contains("<s>"));
        // a NaN box is left out: 12 boxes
        assert_eq!(svg[1].matches("<title>").count(), 12);
    }

    /// Left and right end of the words of a picture that stand at the height of title, subtitle and
    /// legend, by height.
    fn lines_above(chart: &dyn Chart) -> Vec<(f64, f64, f64)> {
        use scene::{Anchor, Shape, width_of};
        let shapes = chart.scene().shapes;
        let words = shapes.iter().filter_map(|(shape, _)| match shape {
            Shape::Words(w) if w.at.1 < frame::TOP - 10.0 && !w.upwards => Some(w),
            _ => None,
        });
        let mut lines: Vec<_> = words
            .map(|w| {
                let width = width_of(&w.text, w.size);
                let left = match w.anchor {
                    Anchor::Start => w.at.0,
                    Anchor::Middle => w.at.0 - width / 2.0,
                    Anchor::End => w.at.0 - width,
                };
                (w.at.1, left, left + width)
            })
            .collect();
        lines.sort_by(|a, b| a.partial_cmp(b).unwrap());
        lines
    }

    #[test]
    fn title_legend_and_subtitle_stay_in_the_picture_and_clear_of_each_other() {
        let name = "CamemBERT fine-tuned, 3 epochs";
        for (names, words) in [(1, 5), (2, 5), (2, 120), (7, 40), (7, 120)] {
            let series = |i: usize| LineSeries {
                name: format!("{name}, {i}"),
                points: vec![(0.0, 0.0), (1.0, 1.0)],
                dashed: false,
                band: Vec::new(),
            };
            let chart = LineChart {
                labels: Labels {
                    title: "MM".repeat(words),
                    subtitle: "m".repeat(words),
                    ..Labels::default()
                },
                series: (0..names).map(series).collect(),
                axis: Axis::Linear,
            };
            let lines = lines_above(&chart);
            assert_eq!(lines.len(), 2 + if names > 1 { names } else { 0 });
            assert!(
                lines.iter().all(|l| l.1 > 20.0 && l.2 < 1173.0),
                "{lines:?}"
            );
            for pair in lines.windows(2).filter(|p| p[0].0 == p[1].0) {
                assert!(pair[0].2 + 10.0 < pair[1].1, "{pair:?}");
            }
        }
    }

    #[test]
    fn bars_have_values_of_as_many_decimals_and_no_lines_through_them() {
        let bars = |values: Vec<f64>| BarChart {
            labels: labels("Effective rank", "layer", "rank"),
            categories: layers(),
            series: vec![BarSeries {
                name: "raw".into(),
                values,
            }],
            marks: Vec::new(),
        };
        let svg = bars(vec![42.0, 41.96, 38.25]).scene().to_svg();
        for value in ["42.0", "38.2"] {
            assert!(svg.contains(&format!(">{value}</text>")), "{svg}");
        }
        let grid = |svg: &str| svg.matches("#e1e4e8").count();
        assert_eq!(grid(&svg), 0);
        // 13 layers of 7 series leave no room for values
        let mut many = bars(vec![42.0; 13]);
        many.series = vec![many.series[0].clone(); 7];
        let svg = many.scene().to_svg();
        assert!(grid(&svg) > 3 && !svg.contains(">42.0</text>"));
    }

    #[test]
    fn an_axis_that_begins_near_0_begins_there() {
        let chart = |first: u32| LineChart {
            labels: labels("Fine-tuning", "update", "loss"),
            series: vec![LineSeries {
                name: "loss".into(),
                points: (first..=450)
                    .step_by(10)
                    .map(|x| (f64::from(x), 1.0))
                    .collect(),
                dashed: false,
                band: Vec::new(),
            }],
            axis: Axis::Linear,
        };
        let zero = |first| chart(first).scene().to_svg().contains(">0</text>");
        assert!(zero(10) && !zero(200));
    }

    #[test]
    fn an_inline_picture_takes_its_colours_from_the_page() {
        for (name, chart) in charts() {
            let inline = chart.scene().to_inline_svg();
            for class in inline.split("class=\"").skip(1) {
                for name in class.split('"').next().unwrap().split(' ') {
                    assert!(STYLE.contains(&format!(".{name}")), "{name}");
                }
            }
            // only the ramp of the heat map has colours of its own
            assert_eq!(inline.contains("#"), name == "heat", "{name}");
        }
    }
}
