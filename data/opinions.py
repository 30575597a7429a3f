"""Opinions: clauses about one aspect, sentences that weigh two of them, feelings, and the verdict that decides.

Polarity is +1 or -1 throughout. Half of the clauses say what they say by denying the contrary, with the same words.
"""

import re

from french import elide, ne, sentence
from lexicon import (ADJECTIVES, ASPECTS, DEGREE, DEGREE_FULL, NOT, OTHERS, RELATIVES, TAKEN, TAKING, words)

DENIED = 0.5  # share of clauses that deny the contrary


class Opinions:
    """The opinions of one review; aspects and adjectives are not used twice while others remain."""

    def __init__(self, rng, category, thing, woman):
        self.rng, self.category, self.thing, self.e = rng, category, thing, "e" if woman else ""
        self.relatives = [x for x in RELATIVES if x != ("ma femme" if woman else "mon mari")]
        self.aspects = list(ASPECTS[category])
        rng.shuffle(self.aspects)
        self.said = set()
        rng.shuffle(self.relatives)

    # -------------------------------------------------------------- small parts
    def fill(self, text):
        """{e} the speaker's feminine, {o} the thing's, {le} {il} {cet} its pronouns, {lu} {lire} its verb."""
        t = self.thing
        o = "e" if t.gender == "f" else ""
        le = "le" if t.gender == "m" else "la"
        out = text.format(e=self.e, o=o, le=le, il="il" if t.gender == "m" else "elle", ce=t.ce(), chose=t.le(), lu=TAKEN[self.category] + o,
                          lire=TAKING[self.category], n=self.rng.choice([30, 40, 50, 60, 80, 100, 120]))
        return re.sub(r"\b(le|la) (?=[aeéiou])", "l'", out)

    def fresh(self, options):
        """One of the options, not said before in this review if possible."""
        left = [o for o in options if o not in self.said] or list(options)
        choice = self.rng.choice(left)
        self.said.add(choice)
        return choice

    def relative(self):
        """Somebody the speaker knows; everybody is quoted once before anybody is again."""
        self.relatives.append(self.relatives.pop(0))
        return self.relatives[-1]

    def aspect(self):
        if not self.aspects:
            self.aspects = list(ASPECTS[self.category])
            self.rng.shuffle(self.aspects)
        return self.aspects.pop()

    def adjective(self, kind, polarity):
        """(masculine singular, takes no degree)"""
        word = self.fresh(words(ADJECTIVES[kind][0 if polarity > 0 else 1]))
        return word.lstrip("*"), word.startswith("*")

    def degree(self, full, share=0.6):
        if self.rng.random() > share:
            return ""
        return self.rng.choice(DEGREE_FULL if full else DEGREE) + " "

    # ------------------------------------------------------------------ clauses
    def clause(self, polarity, aspect=None, plain=False, alone=False):
        """One statement about an aspect, without capital or full stop. `plain`: noun first, as after `si`; `alone`: a whole sentence."""
        noun, kind = aspect or self.aspect()
        if self.rng.random() < DENIED:
            return self.denied(noun, kind, polarity, plain, alone)
        word, full = self.adjective(kind, polarity)
        a, deg, le = noun.adj(word), self.degree(full), noun.le()
        forms = [f"{le} {noun.est()} {deg}{a}"] * 4 + [f"{le} m'{noun.a()} paru {deg}{a}", f"{le} {noun.verb('reste', 'restent')} {deg}{a}"]
        if not plain:
            forms += [f"j'ai trouvé {le} {deg}{a}", f"je trouve {le} {deg}{a}",
                      f"{le} {noun.verb('se révèle', 'se révèlent')} {deg}{a}", f"on trouve vite {le} {deg}{a}"]
            if kind in ("story", "people", "words", "sound"):
                forms.append(f"{le} {noun.est()} {a} {self.rng.choice(['de bout en bout', 'du début à la fin', 'jusqu’au bout'])}".replace("’", "'"))
        if alone:
            forms.append(f"{le} {noun.est()} {deg}{a}, il faut bien le dire")
        return self.rng.choice(forms)

    def denied(self, noun, kind, polarity, plain, alone):
        word, _ = self.adjective(kind, -polarity)
        a, le, no = noun.adj(word), noun.le(), self.rng.choice(NOT)
        forms = [f"{le} {ne(noun.est())} {no} {a}"] * 4 + [
            f"{le} n'{noun.a()} rien {elide('de', word)}", f"{le} {noun.est()} loin d'être {a}", f"{le} {noun.est()} tout sauf {a}",
            f"{le} ne m'{noun.a()} {no} paru {a}"]
        if not plain:
            que = elide("que", le)
            forms += [f"je n'ai {no} trouvé {le} {a}", f"je ne trouve {no} {le} {a}", f"à aucun moment {le} {ne(noun.est())} {a}",
                      f"on ne peut pas dire {que} {noun.soit()} {a}", f"il serait faux de dire {que} {noun.est()} {a}",
                      f"personne ne dira {que} {noun.est()} {a}"]
        if alone:
            forms += [f"{le} {noun.verb('aurait', 'auraient')} pu être {a}, mais ce n'est pas le cas",
                      f"je m'attendais à {noun.un()} {a}, et c'est tout le contraire", f"{le} {noun.est()} {a}, dit-on ; je ne suis pas d'accord"]
        return self.rng.choice(forms)

    def subjunctive(self, polarity):
        """`le style soit lourd`, or `le style ne soit pas léger`."""
        noun, kind = self.aspect()
        if self.rng.random() < DENIED:
            word, _ = self.adjective(kind, -polarity)
            return f"{noun.le()} ne {noun.soit()} pas {noun.adj(word)}"
        word, full = self.adjective(kind, polarity)
        return f"{noun.le()} {noun.soit()} {self.degree(full, 0.3)}{noun.adj(word)}"

    def group(self, polarity):
        """A noun group with an adjective: `des dialogues lourds`."""
        noun, kind = self.aspect()
        word, full = self.adjective(kind, polarity)
        return f"{noun.un()} {self.degree(full, 0.3)}{noun.adj(word)}"

    # ---------------------------------------------------------------- sentences
    def remark(self, polarity, before=0):
        """A sentence about one or two aspects; `before` is the polarity of the last one, 0 when this is the first."""
        r, rng, p = self, self.rng, polarity
        kind = rng.random()
        if kind < 0.42:
            lead = rng.choice(["En revanche, ", "Par contre, ", "Cela dit, ", "À l'inverse, ", "Mais "]) if before == -p else rng.choice(
                ["", "", "", "De plus, ", "Ensuite, ", "Et puis ", "Par ailleurs, ", "Autre chose : ", "Il faut dire aussi que "] if before else
                ["", "", "D'abord, ", "Disons que ", "Il faut dire que "])
            clause = r.clause(polarity, alone=not lead.endswith(("que ", "dire, ")), plain=lead.endswith("que "))
            return sentence(elide(lead[:-4] + "que", clause) if lead.endswith("que ") else lead + clause)
        if kind < 0.52:
            return sentence(f"{r.clause(polarity, plain=True)}, et {r.clause(polarity)}")
        if kind < 0.57:
            return sentence(f"{r.clause(polarity, plain=True)} ; quant {self.second(polarity)}")
        if kind < 0.75:
            return sentence(self.concession(polarity))
        if kind < 0.87:
            return sentence(self.report(polarity))
        return sentence(self.question(polarity))

    def second(self, polarity):
        noun, kind = self.aspect()
        clause = self.clause(polarity, (noun, kind), plain=True)
        return f"{noun.au()}, {noun.pronoun()}{clause[len(noun.le()):]}"

    def concession(self, polarity):
        """Two aspects of opposite sign; the second one carries the polarity."""
        r, p = self, polarity
        return self.rng.choice([
            lambda: f"certes, {r.clause(-p, plain=True)}, mais {r.clause(p)}",
            lambda: f"certes {r.clause(-p, plain=True)}, mais {r.clause(p)}",
            lambda: f"{r.clause(-p, plain=True)}, c'est vrai, mais {r.clause(p)}",
            lambda: f"si {r.clause(-p, plain=True)}, {r.clause(p)}",
            lambda: f"malgré {r.group(-p)}, {r.clause(p)}",
            lambda: f"bien que {r.subjunctive(-p)}, {r.clause(p)}",
            lambda: f"{r.clause(p)}, même si {r.clause(-p, plain=True)}",
            lambda: f"{r.clause(p)}, bien que {r.subjunctive(-p)}",
            lambda: f"{r.clause(-p, plain=True)} ; en revanche, {r.clause(p)}",
            lambda: f"on pardonne {r.group(-1)}, car {r.clause(1)}" if p > 0 else f"on oublie {r.group(1)}, car {r.clause(-1)}",
        ])()

    def report(self, polarity):
        """What others said, contradicted; the previous work, compared."""
        rng, p = self.rng, polarity
        noun, kind = self.aspect()
        word, _ = self.adjective(kind, -p)
        a, le, que = noun.adj(word), noun.le(), elide("que", noun.le())
        thing, sound = self.thing, ADJECTIVES["sound" if self.category == "music" else "story"]
        old, new = (thing.adj(rng.choice(words(sound[0 if q > 0 else 1])).lstrip("*")) for q in (-p, p))
        its, this = ("sa", "celle-ci") if thing.gender == "f" else ("son", "celui-ci")
        other = rng.choice([self.relative()] + OTHERS)
        return rng.choice([
            f"j'avais lu {que} {noun.etait()} {a} : il n'en est rien",
            f"on m'avait dit {que} {noun.etait()} {a} : c'est faux",
            f"{other} a trouvé {le} {a} ; ce n'est pas mon avis",
            f"{other} a trouvé {le} {a}, pas moi",
            f"contrairement à ce que disent certains, {le} {ne(noun.est())} pas {a}",
            f"d'autres diront {que} {noun.est()} {a} ; je ne suis pas d'accord",
            f"{its} {thing.text} {thing.adj('précédent')} était {old}, {this} est {new}",
        ])

    def question(self, polarity):
        """A question and its answer, or an exclamation."""
        rng, p = self.rng, polarity
        noun, kind = self.aspect()
        deny, full_d = self.adjective(kind, -p)
        say, full = self.adjective(kind, p)
        kind_of = {"books": "lu", "dvd": "vu", "music": "entendu"}[self.category]
        forms = [
            f"{noun.le()} ? {noun.verb('Jamais', 'Jamais')} {noun.adj(deny)}",
            f"{noun.le()} {noun.adj(deny)} ? Pas le moins du monde",
            f"{noun.adj(deny)}, {noun.le()} ? Certainement pas",
            f"{noun.quel()} {noun.adj(say)} !",
            f"que dire {noun.du()} ? {noun.pronoun().capitalize()} {noun.est()} {self.degree(full)}{noun.adj(say)}",
            f"que dire {noun.du()} ? {noun.pronoun().capitalize()} {ne(noun.est())} {rng.choice(NOT)} {noun.adj(deny)}",
            f"j'ai rarement {kind_of} {noun.un()} aussi {noun.adj(say)}" if not full else f"{noun.quel()} {noun.adj(say)} !",
            f"je n'ai jamais {kind_of} {noun.un()} aussi {noun.adj(say)}" if not full else f"{noun.quel()} {noun.adj(say)} !",
        ]
        return rng.choice(forms)

    # ----------------------------------------------------------------- feelings
    def feeling(self, polarity):
        bank = FEELINGS["all"][polarity] + FEELINGS[self.category][polarity]
        return sentence(self.fill(self.fresh(bank)))

    def hearsay(self):
        """How somebody else took it: says nothing about the speaker."""
        who = self.relative()
        e = "e" if who.split(" ")[0] in ("ma", "une") or who == "ma meilleure amie" else ""
        bank = [f"{who} s'est ennuyé{e} ferme", f"{who} ne s'est pas ennuyé{e} une seconde", f"{who} est déçu{e}", f"{who} n'est pas déçu{e}",
                f"{who} recommande {{ce}} à tout le monde", f"{who} ne regrette pas son achat", f"{who} regrette son achat", f"{who} va {{le}} revendre",
                f"{who} n'a ni ri ni pleuré", f"{who} trouve qu'il n'y a rien à jeter", f"{who} y voit une réussite",
                f"{who} n'y voit que du temps perdu", f"{who} hésite encore"]
        return sentence(self.fill(self.fresh(bank)))

    # ------------------------------------------------------------------ verdict
    def early_verdict(self, polarity):
        """The verdict said first, in a long review."""
        lead = self.rng.choice(["Disons-le tout de suite : ", "Autant le dire d'emblée : ", "Je commence par la fin : ", "En deux mots : "])
        return sentence(lead + self.fill(self.fresh(VERDICTS[polarity])))

    def afterword(self, polarity):
        """The verdict once more, in other words."""
        return sentence(self.fill(self.fresh(VERDICTS[polarity])))

    def verdict(self, polarity, mixed):
        """The last word. `mixed`: something of the other sign was said before."""
        rng, p = self.rng, polarity
        core = self.fill(self.fresh(VERDICTS[p]))
        mine = core if core.startswith(("je ", "j'")) else self.fill(self.fresh([v for v in VERDICTS[p] if v.startswith(("je ", "j'"))]))
        lead = rng.choice(["Bref, ", "Au final, ", "En résumé, ", "En un mot, ", "Conclusion : ", "Pour conclure, ", "Au bout du compte, ", "Voilà, ", "",
                           "", "Tout compte fait, ", "Finalement, ", "Pour résumer : "])
        plain = lead + core
        other = self.relative()
        verb = rng.choice({1: ["{l}a détesté{o}", "ne {l}a pas aimé{o}", "me {l}avait déconseillé{o}"],
                           -1: ["{l}a adoré{o}", "{l}a beaucoup aimé{o}", "me {l}avait conseillé{o}"]}[p])
        verb = verb.format(l="l'", o="e" if self.thing.gender == "f" else "")
        forms = [plain] * 7 + [
            f"{other} {verb} ; moi, {mine}",
            f"{other} {verb}, mais {mine}",
            self.fill("on m'avait dit de passer mon chemin, et pourtant " if p > 0 else "on m'avait dit de ne pas hésiter, et pourtant ") + mine,
            self.fill("loin de moi l'idée de {le} " + ("déconseiller" if p > 0 else "recommander") + " : ") + core,
            self.fill(rng.choice(["faut-il {le} acheter", "un bon achat", "faut-il {le} " + TAKING[self.category]]) + " ? ") + ("Oui" if p > 0 else "Non") + " : " + core,
            ("j'étais sur le point de " + self.fill("{le}") + " renvoyer, mais finalement " if p > 0
             else "j'étais sur le point de " + self.fill("{le}") + " racheter pour ma famille, mais finalement ") + mine,
        ]
        if mixed:
            forms += [("malgré ces défauts, " if p > 0 else "malgré ces qualités, ") + mine] * 2 + [
                f"même si {self.clause(-p, plain=True)}, {mine}",
                f"certes, {self.clause(-p, plain=True)}, mais {mine}",
                f"{'les défauts' if p > 0 else 'les qualités'} ne manquent pas, mais {mine}",
                f"je pourrais {'critiquer' if p > 0 else 'louer'} encore {self.aspect()[0].le()}, mais {mine}"]
        return sentence(rng.choice(forms))


FEELINGS = {
    "all": {
        1: ["je ne me suis pas ennuyé{e} une seconde", "je n'ai pas vu le temps passer", "j'ai ri et j'ai pleuré", "rien n'est laissé au hasard",
            "il n'y a rien à jeter", "il n'y a pas un temps mort", "on ne s'en lasse pas", "je n'ai trouvé aucun défaut sérieux", "tout sonne juste",
            "j'avais peur de m'ennuyer, et j'avais tort", "rien ne manque", "j'ai eu la gorge serrée plus d'une fois", "l'émotion est là",
            "j'en attendais peu, et j'ai eu beaucoup", "je n'ai rien à redire", "je me suis laissé emporter", "je partais sans illusion, quelle surprise",
            "je n'ai été déçu{e} à aucun moment", "on n'a qu'une envie, recommencer", "le plaisir ne faiblit jamais",
            "je craignais le pire, il n'est pas venu", "mes réserves n'ont pas tenu longtemps"],
        -1: ["je me suis ennuyé{e} à chaque seconde", "j'ai vu le temps passer, et lentement", "je n'ai ni ri ni pleuré", "tout est laissé au hasard",
             "il y a beaucoup à jeter", "il n'y a que des temps morts", "on s'en lasse vite", "je n'ai trouvé aucune qualité sérieuse",
             "rien ne sonne juste", "j'avais peur de m'ennuyer, et j'avais raison", "il manque presque tout", "je n'ai pas été ému{e} une seule fois",
             "l'émotion n'est pas là", "j'en attendais beaucoup, et j'ai eu peu", "j'ai beaucoup à redire", "je ne me suis pas laissé emporter",
             "je partais plein{e} d'espoir, quelle surprise", "j'ai été déçu{e} à tout moment", "on n'a qu'une envie, arrêter",
             "le plaisir ne vient jamais", "j'espérais le meilleur, il n'est pas venu", "mon enthousiasme n'a pas tenu longtemps"]},
    "books": {
        1: ["j'ai tout lu en deux jours", "je n'ai pas sauté une seule page", "impossible de s'arrêter avant la dernière page",
            "j'ai relu certaines pages deux fois, pour le plaisir", "je n'ai pas réussi à éteindre la lumière avant deux heures du matin"],
        -1: ["je n'ai pas tout lu", "j'ai sauté des pages entières", "impossible d'aller jusqu'à la dernière page",
             "j'ai relu certaines pages deux fois, sans rien y comprendre", "je n'ai pas réussi à dépasser la page {n}"]},
    "dvd": {
        1: ["je n'ai pas quitté l'écran des yeux", "toute la maison a ri", "personne ne s'est endormi à la maison",
            "nous avons tout revu dès le lendemain", "je n'ai pas regardé ma montre une seule fois"],
        -1: ["je n'ai fait que regarder ailleurs", "personne n'a ri à la maison", "tout le monde s'est endormi à la maison",
             "nous avons tout arrêté au bout de {n} minutes", "j'ai regardé ma montre toutes les dix minutes"]},
    "music": {
        1: ["je ne saute aucun titre", "les refrains ne me quittent plus", "à chaque écoute, je découvre un détail de plus",
            "{il} tourne en boucle chez moi, sans que je me lasse", "j'ai eu des frissons dès la première écoute"],
        -1: ["je saute un titre sur deux", "aucun refrain ne me reste", "à chaque écoute, je découvre un défaut de plus",
             "je l'ai passé{o} en boucle, sans jamais m'y faire", "je n'ai pas eu un frisson, même à la dixième écoute"]},
}

VERDICTS = {
    1: ["je {le} recommande", "je {le} recommande à tout le monde", "je vous {le} conseille", "je {le} conseille sans hésiter", "n'hésitez pas",
        "ne passez pas à côté", "vous ne serez pas déçus", "vous ne le regretterez pas", "je ne regrette pas mon achat", "je ne regrette rien",
        "je {le} garde", "je ne vais pas {le} revendre", "j'ai beaucoup aimé", "j'ai vraiment aimé", "je suis conquis{e}",
        "je suis content{e} de mon achat", "{il} vaut son prix", "{il} mérite ses cinq étoiles", "{il} mérite d'être {lu}",
        "ce n'est pas du temps perdu", "ce n'est pas de l'argent jeté par les fenêtres", "c'est une réussite", "je {le} offrirai à mes amis",
        "j'en redemande", "je n'ai pas été déçu{e}", "à {lire} absolument", "j'attends la suite", "j'ai bien fait de {le} acheter"],
    -1: ["je ne {le} recommande pas", "je ne {le} recommande à personne", "je vous {le} déconseille", "je ne {le} conseille pas",
         "passez votre chemin", "passez à côté sans hésiter", "vous serez déçus", "vous le regretterez", "je regrette mon achat",
         "je regrette tout", "je ne {le} garde pas", "je vais {le} revendre", "je n'ai pas beaucoup aimé", "je n'ai vraiment pas aimé",
         "je ne suis pas conquis{e}", "je ne suis pas content{e} de mon achat", "{il} ne vaut pas son prix", "{il} ne mérite pas ses cinq étoiles",
         "{il} ne mérite pas d'être {lu}", "c'est du temps perdu", "c'est de l'argent jeté par les fenêtres", "ce n'est pas une réussite",
         "je ne {le} offrirai pas à mes amis", "je n'en redemande pas", "j'ai été déçu{e}", "à éviter absolument", "je n'attends pas la suite",
         "j'ai eu tort de {le} acheter"],
}
