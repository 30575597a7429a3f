//! Every word of the page, in two languages.

use serde::{Deserialize, Serialize};

use crate::pipelines::study::charts::{self, ChartWords};

/// The language of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English.
    En,
    /// French, with commas in numbers.
    Fr,
}

impl Language {
    /// Its words.
    pub(super) fn words(self) -> &'static Words {
        match self {
            Language::En => &ENGLISH,
            Language::Fr => &FRENCH,
        }
    }

    /// A number with `digits` decimals, as the language writes it; a dash where there is none.
    pub(super) fn number(self, value: f64, digits: usize) -> String {
        if !value.is_finite() {
            return "–".into();
        }
        let text = format!("{value:.digits$}");
        // What is rounded to zero has no sign.
        let zero = text.bytes().all(|b| b"-0.".contains(&b));
        let text = text
            .strip_prefix('-')
            .filter(|_| zero)
            .map_or(text.clone(), String::from);
        match self {
            Language::En => text,
            Language::Fr => text.replace('.', ","),
        }
    }

    /// A share as a percentage.
    pub(super) fn percent(self, share: f64) -> String {
        if !share.is_finite() {
            return "–".into();
        }
        format!("{} %", self.number(100.0 * share, 1))
    }
}

impl Words {
    /// A group of sentences: `all`, a category, or a range of lengths.
    pub fn group_name(&self, group: &str) -> String {
        let category = self.categories.iter().find(|(name, _)| *name == group);
        match category {
            _ if group == "all" => self.all.into(),
            Some((_, name)) => (*name).into(),
            None => group.replace(" to ", self.range),
        }
    }
}

/// The words of the page. `{}` stands for what is put in.
pub(super) struct Words {
    pub code: &'static str,
    pub title: &'static str,
    pub theme: &'static str,
    pub contents: &'static str,
    pub raw: &'static str,
    pub tuned: &'static str,
    pub tuned_one: &'static str,
    pub tuned_many: &'static str,
    pub studied: &'static str,
    pub comparable: &'static str,
    pub not_comparable: &'static str,
    pub figures: &'static str,
    pub figures_text: &'static str,
    pub published: &'static str,
    pub diamonds: &'static str,
    pub classifier: &'static str,
    pub model: &'static str,
    pub layer: &'static str,
    pub median_cosine: &'static str,
    pub median_trace: &'static str,
    pub effective_rank: &'static str,
    pub probe_accuracy: &'static str,
    pub by_layer: &'static str,
    pub by_layer_text: &'static str,
    pub charts: ChartWords,
    pub further: &'static str,
    pub further_text: &'static str,
    pub measures: [(&'static str, &'static str, &'static str); 6],
    pub without_leading: &'static str,
    pub bands: &'static str,
    pub cka_title: &'static str,
    pub cka_subtitle: &'static str,
    pub comparison: &'static str,
    pub comparison_text: &'static str,
    pub comparison_title: &'static str,
    pub comparison_subtitle: &'static str,
    pub probes: &'static str,
    pub probes_text: &'static str,
    pub treillis_title: &'static str,
    pub treillis_subtitle: &'static str,
    pub logistic_title: &'static str,
    pub logistic_subtitle: &'static str,
    pub against_published: &'static str,
    pub against_control: &'static str,
    pub wilson: &'static str,
    pub probe_table: &'static str,
    pub class_table: &'static str,
    pub curves_title: &'static str,
    pub curves_subtitle: &'static str,
    pub epoch: &'static str,
    pub accuracy: &'static str,
    pub original_probe: &'static str,
    pub logistic: &'static str,
    pub control: &'static str,
    pub selectivity: &'static str,
    pub classes: &'static str,
    pub within_negative: &'static str,
    pub within_positive: &'static str,
    pub between: &'static str,
    pub silhouette: &'static str,
    pub cone: &'static str,
    pub cone_text: &'static str,
    pub cone_title: &'static str,
    pub cone_subtitle: &'static str,
    pub cone_axis: &'static str,
    pub negative: &'static str,
    pub positive: &'static str,
    pub convergence: &'static str,
    pub convergence_text: &'static str,
    pub convergence_title: &'static str,
    pub convergence_subtitle: &'static str,
    pub correlation: &'static str,
    pub targets: [&'static str; 3],
    pub group: &'static str,
    pub all: &'static str,
    pub categories: [(&'static str, &'static str); 3],
    pub range: &'static str,
    pub sentences: &'static str,
    pub provenance: &'static str,
    pub provenance_text: &'static str,
    pub commands: &'static str,
    pub command_unknown: &'static str,
}

const ENGLISH: Words = Words {
    code: "en",
    title: "How FlauBERT and CamemBERT represent a review, layer by layer",
    theme: "Light or dark",
    contents: "Contents",
    raw: "raw",
    tuned: "fine-tuned",
    tuned_one: "fine-tuned, 1 epoch",
    tuned_many: "fine-tuned, {} epochs",
    studied: "Studied here",
    comparable: "The weights come from the hub’s repositories of the original study (Fosse, Nguyen, Sébillot and Gravier, TALN 2022), the reviews are FLUE CLS: its published figures stand beside ours.",
    not_comparable: "These are not, or not certainly, the models, the reviews and the fine-tuning of the original study: its published figures are listed for reference and cannot be compared with the ones here.",
    figures: "Main figures",
    figures_text: "At the last layer: how alike two tokens of a sentence point (median cosine), how far apart they lie (median trace of their covariance), how many dimensions all tokens use (effective rank), how often a linear probe on the [CLS] vector finds a review's class, and how often the fine-tuned classifier does.",
    published: "published",
    diamonds: "; diamonds: published",
    classifier: "classifier",
    model: "model",
    layer: "layer",
    median_cosine: "median cosine",
    median_trace: "median trace",
    effective_rank: "effective rank",
    probe_accuracy: "probe",
    by_layer: "{}, layer by layer",
    by_layer_text: "Layer 0 is the embeddings. Before fine-tuning beside after: when tokens of a sentence converge, cosines rise, traces and effective rank fall.",
    charts: charts::ENGLISH,
    further: "{}: further measures",
    further_text: "The similarity of tokens of one sentence means little where all tokens point the same way: it is set against the similarity of tokens of different sentences (Ethayarajh 2019), without the few dimensions that make most of it (Timkey and van Schijndel 2021). IsoScore (Rudman et al. 2022) is 1 when all dimensions are used alike; TwoNN (Facco et al. 2017) estimates the dimension of the surface that tokens lie on.",
    measures: [
        (
            "adjusted_intra_similarity",
            "adjusted similarity within a sentence",
            "cosine with the sentence's mean, less the baseline",
        ),
        (
            "baseline",
            "similarity of tokens of different sentences",
            "mean cosine",
        ),
        (
            "centred_cosine",
            "cosines within a sentence, less the layer's mean vector",
            "mean cosine",
        ),
        ("iso_score", "IsoScore", "IsoScore (0 to 1)"),
        (
            "intrinsic_dimension",
            "intrinsic dimension (TwoNN)",
            "dimensions",
        ),
        ("norm", "length of the token vectors", "mean Euclidean norm"),
    ],
    without_leading: "dashed: without the three leading dimensions",
    bands: "bands: 95 % intervals over sentences",
    cka_title: "likeness of layers (linear CKA)",
    cka_subtitle: "a random sample of tokens; 1 when two layers are the same up to rotation and scale",
    comparison: "What does fine-tuning change?",
    comparison_text: "The likeness of the raw and the fine-tuned model over the same tokens (linear CKA, Kornblith et al. 2019): 1 at layers where fine-tuning changed nothing but rotation and scale.",
    comparison_title: "Likeness of raw and fine-tuned at the same layer (linear CKA)",
    comparison_subtitle: "a random sample of tokens of test; 1 when nothing changed; bands: 95 % intervals over sentences",
    probes: "Linear probes",
    probes_text: "The original's probe: one linear unit with dropout, a fixed number of epochs. Logistic regression goes to convergence, with the strength chosen by cross-validation; the control learns shuffled labels, and selectivity is what is gained over it (Hewitt and Liang 2019). At layer 0 the vector is the same for all reviews: chance.",
    treillis_title: "Accuracy of a linear probe on the [CLS] vectors",
    treillis_subtitle: "share of the test reviews whose class is found, after the last epoch",
    logistic_title: "Accuracy of logistic regression on the [CLS] vectors",
    logistic_subtitle: "trained to convergence, its strength chosen by cross-validation on train",
    against_published: "bands: 95 % intervals; dashed: published",
    against_control: "bands: 95 % intervals; dashed: shuffled labels",
    wilson: "bands: 95 % intervals",
    probe_table: "The accuracies in figures",
    class_table: "The classes of every layer in figures",
    curves_title: "accuracy of the probes in training",
    curves_subtitle: "solid: test, dashed: train",
    epoch: "epoch",
    accuracy: "accuracy",
    original_probe: "original's probe",
    logistic: "logistic regression",
    control: "control",
    selectivity: "selectivity",
    classes: "How far apart the classes point: mean cosines of [CLS] vectors, and the silhouette.",
    within_negative: "within negative",
    within_positive: "within positive",
    between: "between",
    silhouette: "silhouette",
    cone: "One cone per class?",
    cone_text: "The cosine of every review's [CLS] vector with that of the first review, by label: two bands show that each class points its own way.",
    cone_title: "cosine of every [CLS] with the first one",
    cone_subtitle: "last layer stored; the rows of train, then those of test",
    cone_axis: "review, in the order of the file",
    negative: "negative",
    positive: "positive",
    convergence: "Does convergence explain performance?",
    convergence_text: "For every test review, the mean cosine of its tokens at each layer is ranked against whether the classifier is right, how confident it is, and its loss (Spearman's correlation).",
    convergence_title: "convergence against correctness, confidence and loss",
    convergence_subtitle: "bands: 95 % intervals",
    correlation: "Spearman's correlation",
    targets: ["correct", "confidence", "loss"],
    group: "group",
    all: "all",
    categories: [("books", "books"), ("dvd", "DVDs"), ("music", "music")],
    range: " to ",
    sentences: "sentences",
    provenance: "What made these figures",
    provenance_text: "Commands, settings, versions, seeds and the digests (SHA-256) of what was read.",
    commands: "Commands",
    command_unknown: "# {}: made by a version that did not keep its command",
};

const FRENCH: Words = Words {
    code: "fr",
    title: "Comment FlauBERT et CamemBERT représentent un avis, couche par couche",
    theme: "Clair ou sombre",
    contents: "Sommaire",
    raw: "brut",
    tuned: "affiné",
    tuned_one: "affiné, 1 époque",
    tuned_many: "affiné, {} époques",
    studied: "Étudiés ici",
    comparable: "Les poids viennent des dépôts du hub de l’étude d’origine (Fosse, Nguyen, Sébillot et Gravier, TALN 2022), les avis sont FLUE CLS : ses chiffres publiés figurent à côté des nôtres.",
    not_comparable: "Ce ne sont pas, ou pas sûrement, les modèles, les avis et l’affinage de l’étude d’origine : ses chiffres publiés sont rappelés, mais ne se comparent pas à ceux d’ici.",
    figures: "Chiffres principaux",
    figures_text: "À la dernière couche : à quel point deux tokens d’une phrase pointent dans la même direction (cosinus médian), leur dispersion (trace médiane de leur covariance), le nombre de dimensions que tous les tokens occupent (rang effectif), la part des avis dont une sonde linéaire sur le vecteur [CLS] trouve la classe, et celle du classifieur affiné.",
    published: "publié",
    diamonds: " ; losanges : publié",
    classifier: "classifieur",
    model: "modèle",
    layer: "couche",
    median_cosine: "cosinus médian",
    median_trace: "trace médiane",
    effective_rank: "rang effectif",
    probe_accuracy: "sonde",
    by_layer: "{}, couche par couche",
    by_layer_text: "La couche 0 est celle des plongements. Avant l’affinage à côté d’après : quand les tokens d’une phrase convergent, les cosinus montent, les traces et le rang effectif baissent.",
    charts: ChartWords {
        colon: " : ",
        layer: "couche",
        cosine_title: "cosinus de toutes les paires de tokens d’une phrase",
        cosine_axis: "cosinus",
        trace_title: "trace de la covariance des tokens d’une phrase",
        trace_axis: "trace (unités du plongement au carré), échelle logarithmique",
        erank_title: "rang effectif des tokens",
        erank_axis: "rang effectif (dimensions)",
        boxes: "les {} premières phrases de test ; boîtes : quartiles et médiane, moustaches : minimum et maximum",
        within: " ; quartiles à {} près",
        stacked: "tous les tokens des {} premières phrases de test",
    },
    further: "{} : autres mesures",
    further_text: "La similarité des tokens d’une phrase veut dire peu de chose là où tous les tokens pointent dans le même sens : on la rapporte à celle des tokens de phrases différentes (Ethayarajh 2019), sans les quelques dimensions qui en font l’essentiel (Timkey et van Schijndel 2021). L’IsoScore (Rudman et al. 2022) vaut 1 quand toutes les dimensions servent autant ; TwoNN (Facco et al. 2017) estime la dimension de la surface où se trouvent les tokens.",
    measures: [
        (
            "adjusted_intra_similarity",
            "similarité ajustée au sein d’une phrase",
            "cosinus avec la moyenne de la phrase, moins la référence",
        ),
        (
            "baseline",
            "similarité des tokens de phrases différentes",
            "cosinus moyen",
        ),
        (
            "centred_cosine",
            "cosinus au sein d’une phrase, vecteur moyen de la couche ôté",
            "cosinus moyen",
        ),
        ("iso_score", "IsoScore", "IsoScore (0 à 1)"),
        (
            "intrinsic_dimension",
            "dimension intrinsèque (TwoNN)",
            "dimensions",
        ),
        (
            "norm",
            "longueur des vecteurs des tokens",
            "norme euclidienne moyenne",
        ),
    ],
    without_leading: "tirets : sans les trois dimensions dominantes",
    bands: "bandes : intervalles à 95 % sur les phrases",
    cka_title: "ressemblance des couches (CKA linéaire)",
    cka_subtitle: "un échantillon aléatoire de tokens ; 1 quand deux couches sont égales à une rotation et une échelle près",
    comparison: "Que change l’affinage ?",
    comparison_text: "La ressemblance du modèle brut et du modèle affiné sur les mêmes tokens (CKA linéaire, Kornblith et al. 2019) : 1 aux couches où l’affinage n’a rien changé, à une rotation et une échelle près.",
    comparison_title: "Ressemblance du brut et de l’affiné à la même couche (CKA linéaire)",
    comparison_subtitle: "un échantillon aléatoire de tokens de test ; 1 quand rien n’a changé ; bandes : intervalles à 95 % sur les phrases",
    probes: "Sondes linéaires",
    probes_text: "La sonde d’origine : une unité linéaire avec dropout, un nombre fixe d’époques. La régression logistique va à convergence, sa force choisie par validation croisée ; le contrôle apprend des étiquettes mélangées, et la sélectivité est ce que l’on gagne sur lui (Hewitt et Liang 2019). À la couche 0 le vecteur est le même pour tous les avis : le hasard.",
    treillis_title: "Exactitude d’une sonde linéaire sur les vecteurs [CLS]",
    treillis_subtitle: "part des avis de test dont la classe est trouvée, après la dernière époque",
    logistic_title: "Exactitude de la régression logistique sur les vecteurs [CLS]",
    logistic_subtitle: "menée à convergence, sa force choisie par validation croisée sur train",
    against_published: "bandes : intervalles à 95 % ; tirets : publié",
    against_control: "bandes : intervalles à 95 % ; tirets : étiquettes mélangées",
    wilson: "bandes : intervalles à 95 %",
    probe_table: "Les exactitudes en chiffres",
    class_table: "Les classes de chaque couche en chiffres",
    curves_title: "exactitude des sondes pendant l’apprentissage",
    curves_subtitle: "plein : test, tirets : apprentissage",
    epoch: "époque",
    accuracy: "exactitude",
    original_probe: "sonde d’origine",
    logistic: "régression logistique",
    control: "contrôle",
    selectivity: "sélectivité",
    classes: "À quel point les classes pointent ailleurs : cosinus moyens des vecteurs [CLS], et silhouette.",
    within_negative: "négatifs entre eux",
    within_positive: "positifs entre eux",
    between: "entre classes",
    silhouette: "silhouette",
    cone: "Un cône par classe ?",
    cone_text: "Le cosinus du vecteur [CLS] de chaque avis avec celui du premier, selon l’étiquette : deux bandes montrent que chaque classe pointe de son côté.",
    cone_title: "cosinus de chaque [CLS] avec le premier",
    cone_subtitle: "dernière couche enregistrée ; les lignes de train, puis celles de test",
    cone_axis: "avis, dans l’ordre du fichier",
    negative: "négatif",
    positive: "positif",
    convergence: "La convergence explique-t-elle la performance ?",
    convergence_text: "Pour chaque avis de test, le cosinus moyen de ses tokens à chaque couche est comparé, par rangs, au fait que le classifieur ait raison, à sa confiance et à sa perte (corrélation de Spearman).",
    convergence_title: "convergence face à la justesse, la confiance et la perte",
    convergence_subtitle: "bandes : intervalles à 95 %",
    correlation: "corrélation de Spearman",
    targets: ["justesse", "confiance", "perte"],
    group: "groupe",
    all: "tous",
    categories: [("books", "livres"), ("dvd", "DVD"), ("music", "musique")],
    range: " à ",
    sentences: "phrases",
    provenance: "Ce qui a produit ces chiffres",
    provenance_text: "Commandes, réglages, versions, graines et empreintes (SHA-256) de ce qui a été lu.",
    commands: "Commandes",
    command_unknown: "# {} : fait par une version qui ne gardait pas sa commande",
};
