"""French agreement, elision, typography and typing mistakes."""

VOWELS = "aeiouyàâäéèêëîïôöùûüœæhAEIOUÉÈÊÎÔÛŒH"
# words that begin with a consonantal h: no elision before them
ASPIRATED = {"héros", "haletant", "haletante", "haletants", "haletantes", "hasard", "hors", "haut", "haute", "hauts", "hautes", "hall", "huit",
             "hangar", "hameau", "harpe"}
FEMININE = {"vif": "vive", "neuf": "neuve", "gros": "grosse", "bas": "basse", "long": "longue", "creux": "creuse", "doux": "douce",
            "faux": "fausse", "mou": "molle", "beau": "belle", "nouveau": "nouvelle", "bon": "bonne", "brouillon": "brouillonne",
            "public": "publique", "frais": "fraîche", "inquiet": "inquiète", "complet": "complète", "discret": "discrète",
            "désuet": "désuète", "inexistant": "inexistante", "niais": "niaise", "las": "lasse", "criard": "criarde",
            "convaincu": "convaincue", "enchanteur": "enchanteresse", "prometteur": "prometteuse", "léger": "légère",
            "grossier": "grossière", "singulier": "singulière", "régulier": "régulière", "entier": "entière", "cher": "chère"}


def feminine(adjective):
    """The feminine singular of a masculine singular adjective; of a phrase, the first word that is not an adverb agrees."""
    head, space, rest = adjective.partition(" ")
    if head in ("peu", "bien", "mal", "trop", "sans", "très"):
        return head + space + feminine(rest) if head != "sans" else adjective
    if head in FEMININE:
        word = FEMININE[head]
    elif head.endswith("e"):
        word = head
    elif head.endswith("eux"):
        word = head[:-1] + "se"
    elif head.endswith("eur"):
        word = head[:-1] + "se"
    elif head.endswith("if"):
        word = head[:-1] + "ve"
    elif head.endswith(("el", "eil", "en", "on", "ien")):
        word = head + head[-1] + "e"
    else:
        word = head + "e"
    return word + space + rest


def plural(word):
    """The plural of an adjective or noun; of a phrase, its first agreeing word."""
    head, space, rest = word.partition(" ")
    if head in ("peu", "bien", "mal", "trop", "très"):
        return head + space + plural(rest)
    if head == "sans":
        return word
    if head.endswith(("s", "x", "z")):
        many = head
    elif head.endswith("eau"):
        many = head + "x"
    elif head.endswith("al") and head not in ("banal", "bancal", "final", "natal", "fatal"):
        many = head[:-2] + "aux"
    else:
        many = head + "s"
    return many + space + rest


def agree(adjective, gender, number):
    word = feminine(adjective) if gender == "f" else adjective
    return plural(word) if number == "p" else word


def starts_with_vowel(word):
    return bool(word) and word[0] in VOWELS and word.split(" ")[0].rstrip(",.;:!?") not in ASPIRATED


def elide(short, word):
    """`de` + `ami` -> `d'ami`; `que` + `elle` -> `qu'elle`."""
    if starts_with_vowel(word):
        return short[:-1] + "'" + word
    return short + " " + word


class Noun:
    """A noun with its gender (m, f) and number (s, p). Written `word:g` or `word:gp` in the lists."""

    def __init__(self, entry):
        self.text, marks = entry.rsplit(":", 1)
        self.gender, self.number = marks[0], "p" if marks.endswith("p") else "s"

    def __eq__(self, other):
        return self.text == other.text

    def __hash__(self):
        return hash(self.text)

    @property
    def vowel(self):
        return starts_with_vowel(self.text)

    def _pick(self, masculine, feminine_, plural_, elided):
        if self.number == "p":
            return f"{plural_} {self.text}"
        if self.vowel and elided is not None:
            return elided + self.text if elided.endswith("'") else f"{elided} {self.text}"
        return f"{masculine if self.gender == 'm' else feminine_} {self.text}"

    def le(self):
        return self._pick("le", "la", "les", "l'")

    def un(self):
        return self._pick("un", "une", "des", None)

    def de_un(self):
        return self._pick("d'un", "d'une", "de", None) if self.number == "s" else elide("de", self.text)

    def du(self):
        return self._pick("du", "de la", "des", "de l'")

    def au(self):
        return self._pick("au", "à la", "aux", "à l'")

    def ce(self):
        return self._pick("ce", "cette", "ces", "cet" if self.gender == "m" else None)

    def son(self):
        return self._pick("son", "sa", "ses", "son")

    def quel(self):
        return agree_quel(self.gender, self.number) + " " + self.text

    def adj(self, adjective):
        return agree(adjective, self.gender, self.number)

    def est(self):
        return "est" if self.number == "s" else "sont"

    def etait(self):
        return "était" if self.number == "s" else "étaient"

    def soit(self):
        return "soit" if self.number == "s" else "soient"

    def a(self):
        return "a" if self.number == "s" else "ont"

    def pronoun(self):
        return {"ms": "il", "fs": "elle", "mp": "ils", "fp": "elles"}[self.gender + self.number]

    def stressed(self):
        return {"ms": "lui", "fs": "elle", "mp": "eux", "fp": "elles"}[self.gender + self.number]

    def verb(self, singular, many):
        return singular if self.number == "s" else many


def agree_quel(gender, number):
    return {"ms": "quel", "fs": "quelle", "mp": "quels", "fp": "quelles"}[gender + number]


def ne(verb):
    """`ne` before a verb or pronoun, elided when needed."""
    return elide("ne", verb)


def sentence(text):
    """Capital letter at the head, full stop at the end when nothing closes it."""
    text = text.strip()
    head = 1 if text[0] in "«(" else 0
    while text[head] in " \u00a0":
        head += 1
    text = text[:head] + text[head].upper() + text[head + 1:]
    return text if text[-1] in ".!?…" else text + "."


def typography(text, rng):
    """A reviewer's habits: straight or curly apostrophe, the space before double punctuation, ellipsis."""
    if rng.random() < 0.25:
        text = text.replace("'", "’")
    habit = rng.random()
    if habit < 0.45:
        for mark in ":;!?»":
            text = text.replace(" " + mark, "\u00a0" + mark)
        text = text.replace("« ", "«\u00a0").replace(" €", "\u00a0€")
    elif habit < 0.6:
        for mark in ";!?:":
            text = text.replace(" " + mark, mark)
        text = text.replace("« ", '"').replace(" »", '"')
    if rng.random() < 0.5:
        text = text.replace("…", "...")
    return text


SLIPS = [("très", "tres"), ("être", "etre"), ("déçu", "decu"), ("même", "meme"), ("ça ", "ca "), ("après", "apres"), ("beaucoup", "bcp"),
         ("vraiment", "vraimment"), ("personnages", "personages"), ("excellent", "excelent"), ("ennuyeu", "ennuieu"), ("d'ailleurs", "dailleurs"),
         ("intéressant", "interressant"), ("langage", "language"), ("malgré", "malgrés"), ("a été", "a éte"), ("parmi", "parmis"),
         ("quand même", "quand meme"), ("acheté ", "acheter "), ("attendais", "attendai"), ("j'ai", "jai"), ("c'est", "cest"), ("déjà", "deja"),
         ("à ", "a "), ("où ", "ou "), ("connaître", "connaitre"), ("dommage", "domage"), ("apprécié", "aprécié"), ("qualité", "qualitée"),
         ("quelqu'un", "quelquun"), ("histoire", "histoir"), ("musique", "musiqe")]


def mistype(text, rng):
    """A few typing mistakes, as in reviews typed in haste. Never inside a negation word."""
    for _ in range(rng.choice([1, 1, 2, 3, 5])):
        kind = rng.random()
        if kind < 0.6:
            found = [pair for pair in SLIPS if pair[0] in text and pair[0] != pair[1]]
            if found:
                good, bad = rng.choice(found)
                text = text.replace(good, bad, 1)
                continue
        words = text.split(" ")
        places = [i for i, w in enumerate(words) if len(w) > 5 and w.isalpha()]
        if not places:
            break
        i = rng.choice(places)
        w, at = words[i], rng.randrange(1, len(words[i]) - 2)
        if kind < 0.75:
            words[i] = w[:at] + w[at + 1] + w[at] + w[at + 2:]
        elif kind < 0.88:
            words[i] = w[:at] + w[at + 1:]
        else:
            words[i] = w[:at] + w[at] + w[at:]
        text = " ".join(words)
    return text
