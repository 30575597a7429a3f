//! The published figures of the original's run on the base models (Fosse, Nguyen, Sébillot and Gravier, TALN 2022).

/// At layer 12, raw and fine-tuned one epoch on 5,000 reviews.
pub(super) struct Published {
    pub family: &'static str,
    pub stage: &'static str,
    pub median_cosine: f64,
    pub trace: f64,
    pub erank: f64,
    /// The accuracies of the probes at layers 5, 7, 9, 11 and 12.
    pub accuracy: [f64; 5],
}

/// The layer of the other figures.
pub(super) const LAYER: usize = 12;

/// The layers of the probes.
pub(super) const LAYERS: [usize; 5] = [5, 7, 9, 11, 12];

/// All four models.
pub(super) const PUBLISHED: [Published; 4] = [
    Published {
        family: "flaubert",
        stage: "raw",
        median_cosine: 0.20,
        trace: 1807.0,
        erank: 523.0,
        accuracy: [0.690, 0.711, 0.722, 0.726, 0.730],
    },
    Published {
        family: "flaubert",
        stage: "ft",
        median_cosine: 0.75,
        trace: 142.0,
        erank: 343.0,
        accuracy: [0.772, 0.854, 0.918, 0.930, 0.929],
    },
    Published {
        family: "camembert",
        stage: "raw",
        median_cosine: 0.37,
        trace: 16.0,
        erank: 434.0,
        accuracy: [0.730, 0.813, 0.897, 0.844, 0.896],
    },
    Published {
        family: "camembert",
        stage: "ft",
        median_cosine: 0.91,
        trace: 1.3,
        erank: 208.0,
        accuracy: [0.778, 0.866, 0.934, 0.946, 0.945],
    },
];

/// The published figures of a family raw (`raw`) or fine-tuned (`ft`, `ft_1`: one epoch is what was published).
pub(super) fn of(family: &str, stage: &str) -> Option<&'static Published> {
    let stage = if stage == "ft_1" { "ft" } else { stage };
    PUBLISHED
        .iter()
        .find(|p| p.family == family && p.stage == stage)
}
