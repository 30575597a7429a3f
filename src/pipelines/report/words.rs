//! Every word of the page, in two languages.

use serde::{Deserialize, Serialize};

use crate::pipelines::study::charts::{self, ChartWords};

/// The language of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Language {
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
    pub(crate) fn group_name(&self, group: &str) -> String {
        let category = self.categories.iter().find(|(name, _)| *name == group);
        match category {
            _ if group == "all" => self.all.into(),
            Some((_, name)) => (*name).into(),
            None => group.replace(" to ", self.range),
        }
    }
}

/// One entry a word or sentence, in English and in French: `name: english, french;`, with its type
/// where it is not a string.
macro_rules! words {
    (@type) => { &'static str };
    (@type $type:ty) => { $type };
    ($($name:ident $([$type:ty])?: $english:expr, $french:expr;)*) => {
        /// The words of the page. `{}` stands for what is put in.
        pub(super) struct Words {
            $(pub $name: words!(@type $($type)?),)*
        }

        const ENGLISH: Words = Words { $($name: $english,)* };

        const FRENCH: Words = Words { $($name: $french,)* };
    };
}

words! {
    code: "en", "fr";
    title:
        "How FlauBERT and CamemBERT represent a review, layer by layer",
        "Comment FlauBERT et CamemBERT représentent un avis, couche par couche";
    theme: "Light or dark", "Clair ou sombre";
    contents: "Contents", "Sommaire";
    raw: "raw", "brut";
    tuned: "fine-tuned", "affiné";
    tuned_one: "fine-tuned, 1 epoch", "affiné, 1 époque";
    tuned_many: "fine-tuned, {} epochs", "affiné, {} époques";
    studied: "Studied here", "Étudiés ici";
    comparable:
        "The weights come from the hub’s repositories of the original study (Fosse, Nguyen, Sébillot and Gravier, TALN 2022), the reviews are FLUE CLS: its published figures stand beside ours.",
        "Les poids viennent des dépôts du hub de l’étude d’origine (Fosse, Nguyen, Sébillot et Gravier, TALN 2022), les avis sont FLUE CLS : ses chiffres publiés figurent à côté des nôtres.";
    not_comparable:
        "These are not, or not certainly, the models, the reviews and the fine-tuning of the original study: its published figures are listed for reference and cannot be compared with the ones here.",
        "Ce ne sont pas, ou pas sûrement, les modèles, les avis et l’affinage de l’étude d’origine : ses chiffres publiés sont rappelés, mais ne se comparent pas à ceux d’ici.";
    figures: "Main figures", "Chiffres principaux";
    figures_text:
        "At the last layer: how alike two tokens of a sentence point (median cosine), how far apart they lie (median trace of their covariance), how many dimensions all tokens use (effective rank), how often a linear probe on the [CLS] vector finds a review's class, and how often the fine-tuned classifier does.",
        "À la dernière couche : à quel point deux tokens d’une phrase pointent dans la même direction (cosinus médian), leur dispersion (trace médiane de leur covariance), le nombre de dimensions que tous les tokens occupent (rang effectif), la part des avis dont une sonde linéaire sur le vecteur [CLS] trouve la classe, et celle du classifieur affiné.";
    published: "published", "publié";
    diamonds: "; diamonds: published", " ; losanges : publié";
    classifier: "classifier", "classifieur";
    model: "model", "modèle";
    layer: "layer", "couche";
    median_cosine: "median cosine", "cosinus médian";
    median_trace: "median trace", "trace médiane";
    effective_rank: "effective rank", "rang effectif";
    probe_accuracy: "probe", "sonde";
    by_layer: "{}, layer by layer", "{}, couche par couche";
    by_layer_text:
        "Layer 0 is the embeddings. Before fine-tuning beside after: when tokens of a sentence converge, cosines rise, traces and effective rank fall.",
        "La couche 0 est celle des plongements. Avant l’affinage à côté d’après : quand les tokens d’une phrase convergent, les cosinus montent, les traces et le rang effectif baissent.";
    charts [ChartWords]:
        charts::ENGLISH,
        ChartWords {
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
        };
    further: "{}: further measures", "{} : autres mesures";
    further_text:
        "The similarity of tokens of one sentence means little where all tokens point the same way: it is set against the similarity of tokens of different sentences (Ethayarajh 2019), without the few dimensions that make most of it (Timkey and van Schijndel 2021). IsoScore (Rudman et al. 2022) is 1 when all dimensions are used alike; TwoNN (Facco et al. 2017) estimates the dimension of the surface that tokens lie on.",
        "La similarité des tokens d’une phrase veut dire peu de chose là où tous les tokens pointent dans le même sens : on la rapporte à celle des tokens de phrases différentes (Ethayarajh 2019), sans les quelques dimensions qui en font l’essentiel (Timkey et van Schijndel 2021). L’IsoScore (Rudman et al. 2022) vaut 1 quand toutes les dimensions servent autant ; TwoNN (Facco et al. 2017) estime la dimension de la surface où se trouvent les tokens.";
    measures [[(&'static str, &'static str, &'static str); 6]]:
        [
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
        [
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
        ];
    without_leading:
        "dashed: without the three leading dimensions",
        "tirets : sans les trois dimensions dominantes";
    bands:
        "bands: 95 % intervals over sentences",
        "bandes : intervalles à 95 % sur les phrases";
    cka_title:
        "likeness of layers (linear CKA)",
        "ressemblance des couches (CKA linéaire)";
    cka_subtitle:
        "a random sample of tokens; 1 when two layers are the same up to rotation and scale",
        "un échantillon aléatoire de tokens ; 1 quand deux couches sont égales à une rotation et une échelle près";
    comparison: "What does fine-tuning change?", "Que change l’affinage ?";
    comparison_text:
        "The likeness of the raw and the fine-tuned model over the same tokens (linear CKA, Kornblith et al. 2019): 1 at layers where fine-tuning changed nothing but rotation and scale.",
        "La ressemblance du modèle brut et du modèle affiné sur les mêmes tokens (CKA linéaire, Kornblith et al. 2019) : 1 aux couches où l’affinage n’a rien changé, à une rotation et une échelle près.";
    comparison_title:
        "Likeness of raw and fine-tuned at the same layer (linear CKA)",
        "Ressemblance du brut et de l’affiné à la même couche (CKA linéaire)";
    comparison_subtitle:
        "a random sample of tokens of test; 1 when nothing changed; bands: 95 % intervals over sentences",
        "un échantillon aléatoire de tokens de test ; 1 quand rien n’a changé ; bandes : intervalles à 95 % sur les phrases";
    probes: "Linear probes", "Sondes linéaires";
    probes_text:
        "The original's probe: one linear unit with dropout, a fixed number of epochs. Logistic regression goes to convergence, with the strength chosen by cross-validation; the control learns shuffled labels, and selectivity is what is gained over it (Hewitt and Liang 2019). At layer 0 the vector is the same for all reviews: chance.",
        "La sonde d’origine : une unité linéaire avec dropout, un nombre fixe d’époques. La régression logistique va à convergence, sa force choisie par validation croisée ; le contrôle apprend des étiquettes mélangées, et la sélectivité est ce que l’on gagne sur lui (Hewitt et Liang 2019). À la couche 0 le vecteur est le même pour tous les avis : le hasard.";
    treillis_title:
        "Accuracy of a linear probe on the [CLS] vectors",
        "Exactitude d’une sonde linéaire sur les vecteurs [CLS]";
    treillis_subtitle:
        "share of the test reviews whose class is found, after the last epoch",
        "part des avis de test dont la classe est trouvée, après la dernière époque";
    logistic_title:
        "Accuracy of logistic regression on the [CLS] vectors",
        "Exactitude de la régression logistique sur les vecteurs [CLS]";
    logistic_subtitle:
        "trained to convergence, its strength chosen by cross-validation on train",
        "menée à convergence, sa force choisie par validation croisée sur train";
    against_published:
        "bands: 95 % intervals; dashed: published",
        "bandes : intervalles à 95 % ; tirets : publié";
    against_control:
        "bands: 95 % intervals; dashed: shuffled labels",
        "bandes : intervalles à 95 % ; tirets : étiquettes mélangées";
    wilson: "bands: 95 % intervals", "bandes : intervalles à 95 %";
    probe_table: "The accuracies in figures", "Les exactitudes en chiffres";
    class_table:
        "The classes of every layer in figures",
        "Les classes de chaque couche en chiffres";
    curves_title:
        "accuracy of the probes in training",
        "exactitude des sondes pendant l’apprentissage";
    curves_subtitle:
        "solid: test, dashed: train",
        "plein : test, tirets : apprentissage";
    epoch: "epoch", "époque";
    accuracy: "accuracy", "exactitude";
    original_probe: "original's probe", "sonde d’origine";
    logistic: "logistic regression", "régression logistique";
    control: "control", "contrôle";
    selectivity: "selectivity", "sélectivité";
    classes:
        "How far apart the classes point: mean cosines of [CLS] vectors, and the silhouette.",
        "À quel point les classes pointent ailleurs : cosinus moyens des vecteurs [CLS], et silhouette.";
    within_negative: "within negative", "négatifs entre eux";
    within_positive: "within positive", "positifs entre eux";
    between: "between", "entre classes";
    silhouette: "silhouette", "silhouette";
    cone: "One cone per class?", "Un cône par classe ?";
    cone_text:
        "The cosine of every review's [CLS] vector with that of the first review, by label: two bands show that each class points its own way.",
        "Le cosinus du vecteur [CLS] de chaque avis avec celui du premier, selon l’étiquette : deux bandes montrent que chaque classe pointe de son côté.";
    cone_title:
        "cosine of every [CLS] with the first one",
        "cosinus de chaque [CLS] avec le premier";
    cone_subtitle:
        "last layer stored; the rows of train, then those of test",
        "dernière couche enregistrée ; les lignes de train, puis celles de test";
    cone_axis:
        "review, in the order of the file",
        "avis, dans l’ordre du fichier";
    negative: "negative", "négatif";
    positive: "positive", "positif";
    convergence:
        "Does convergence explain performance?",
        "La convergence explique-t-elle la performance ?";
    convergence_text:
        "For every test review, the mean cosine of its tokens at each layer is ranked against whether the classifier is right, how confident it is, and its loss (Spearman's correlation).",
        "Pour chaque avis de test, le cosinus moyen de ses tokens à chaque couche est comparé, par rangs, au fait que le classifieur ait raison, à sa confiance et à sa perte (corrélation de Spearman).";
    convergence_title:
        "convergence against correctness, confidence and loss",
        "convergence face à la justesse, la confiance et la perte";
    convergence_subtitle:
        "bands: 95 % intervals",
        "bandes : intervalles à 95 %";
    correlation: "Spearman's correlation", "corrélation de Spearman";
    targets [[&'static str; 3]]:
        ["correct", "confidence", "loss"],
        ["justesse", "confiance", "perte"];
    group: "group", "groupe";
    all: "all", "tous";
    categories [[(&'static str, &'static str); 3]]:
        [("books", "books"), ("dvd", "DVDs"), ("music", "music")],
        [("books", "livres"), ("dvd", "DVD"), ("music", "musique")];
    range: " to ", " à ";
    sentences: "sentences", "phrases";
    provenance: "What made these figures", "Ce qui a produit ces chiffres";
    provenance_text:
        "Commands, settings, versions, seeds and the digests (SHA-256) of what was read.",
        "Commandes, réglages, versions, graines et empreintes (SHA-256) de ce qui a été lu.";
    commands: "Commands", "Commandes";
    command_unknown:
        "# {}: made by a version that did not keep its command",
        "# {} : fait par une version qui ne gardait pas sa commande";
}
