"""What a review says without judging: how the thing was bought, what it tells, facts, delivery; and the headline."""

import re

from french import elide, sentence
from lexicon import (BANDS, CITIES, DISCOVERIES, FIRST_F, FIRST_M, GENRES, INSTRUMENTS, LAST, MAKER, MOMENTS, MONTHS, PLACES, RELATIVES, TAKEN,
                     THEMES, TITLE_HEAD, TITLE_TAIL, TRADES_F, TRADES_M, TURNS)


class Scene:
    """The facts of one review: the thing, its title and maker, and neutral sentences about them."""

    def __init__(self, rng, category, thing, woman):
        self.rng, self.category, self.thing = rng, category, thing
        self.e = "e" if woman else ""
        self.o = "e" if thing.gender == "f" else ""
        head, tail = rng.choice(TITLE_HEAD), rng.choice(TITLE_TAIL)
        article = {"ms": "Le ", "fs": "La ", "mp": "Les ", "fp": "Les "}[head.gender + head.number]
        if head.vowel and head.number == "s":
            article = "L'"
        self.title = f"{article}{head.text} {tail.du()}"
        self.maker = rng.choice(MAKER[category])
        if category == "music" and (self.maker.text == "groupe"):
            self.name = rng.choice(BANDS)
        else:
            woman_maker = self.maker.gender == "f" or (self.maker.text in ("auteur", "écrivain") and rng.random() < 0.3)
            self.name = f"{rng.choice(FIRST_F if woman_maker else FIRST_M)} {rng.choice(LAST)}"
        self.relatives = [x for x in RELATIVES if x != ("ma femme" if woman else "mon mari")]
        self.pool, self.known = {}, False

    def pick(self, name, options):
        """An option of a list, without repetition in this review while others remain."""
        left = self.pool.get(name)
        if not left:
            left = list(options)
            self.rng.shuffle(left)
            self.pool[name] = left
        return left.pop()

    def price(self):
        euros = self.rng.choice([5, 6, 7, 8, 9, 12, 14, 15, 17, 19, 22, 24, 29, 35])
        return self.rng.choice([f"{euros} €", f"{euros} euros", f"{euros},{self.rng.choice(['50', '90', '99', '95'])} €"])

    def date(self):
        day = self.rng.choice(["1er"] + [str(d) for d in range(2, 29)])
        return f"le {day} {self.rng.choice(MONTHS)}" + (f" {self.rng.randrange(1999, 2010)}" if self.rng.random() < 0.5 else "")

    def by(self):
        return "des" + self.name[3:] if self.name.startswith("Les ") else elide("de", self.name)

    def opening(self):
        t, rng, o = self.thing, self.rng, self.o
        taken = TAKEN[self.category] + o
        le = "l'"
        line = sentence(self.pick("opening", [
            f"j'ai acheté {t.ce()} {self.date()}, pour {self.price()}",
            f"j'ai acheté {t.ce()} {rng.choice(CITIES)}, un peu par hasard",
            f"{rng.choice(self.relatives)} m'a offert {t.ce()} pour mon anniversaire",
            f"{rng.choice(self.relatives)} m'a prêté {t.ce()} en {rng.choice(MONTHS)}",
            f"« {self.title} » : voilà {t.un()} dont on parle beaucoup",
            f"je viens de terminer « {self.title} », {self.by()}",
            f"j'ai emprunté {t.ce()} à la médiathèque avant de {le}acheter",
            f"{t.ce()} {self.by()} date de {rng.randrange(1996, 2010)}",
            f"voici mon avis sur « {self.title} »",
            f"j'ai {TAKEN[self.category]} {t.ce()} {rng.choice(MOMENTS[self.category])}",
            f"reçu pour Noël, {taken} {rng.choice(MOMENTS[self.category])}" if t.gender == "m" else f"reçue pour Noël, {taken} {rng.choice(MOMENTS[self.category])}",
            f"je connaissais déjà {self.name}, mais pas {t.ce()}",
            f"je ne connaissais pas {self.name} avant {t.ce()}",
            f"j'attendais {t.ce()} depuis {rng.choice(['des mois', 'deux ans', 'longtemps', 'le mois de ' + rng.choice(MONTHS)])}",
            f"d'habitude, je préfère les {rng.choice(GENRES[self.category])}",
            f"un mot sur {t.ce()}, que j'ai {taken} {rng.choice(MOMENTS[self.category])}",
        ]))
        self.known = "connaissais déjà" in line
        return line

    def plot(self, most):
        """One to `most` sentences that tell the beginning of the story, or describe the record."""
        return self.record()[:most] if self.category == "music" else self.story(most)

    def story(self, most):
        rng = self.rng
        woman = rng.random() < 0.5
        hero, meets = rng.choice(TRADES_F if woman else TRADES_M), rng.choice(TRADES_M if woman else TRADES_F)
        il, first, year = "elle" if woman else "il", rng.choice(FIRST_F if woman else FIRST_M), rng.randrange(1890, 1996)
        turns = rng.sample(TURNS, 4)
        lines = [rng.choice([
            f"l'histoire commence {rng.choice(CITIES)}, en {year} : {hero} trouve {rng.choice(DISCOVERIES)} {rng.choice(PLACES)}",
            f"on y suit {first}, {hero} qui {turns[0]}",
            f"en {year}, {hero} découvre {rng.choice(DISCOVERIES)} {rng.choice(PLACES)}",
            f"tout part d'un hasard : {hero} trouve {rng.choice(DISCOVERIES)} {rng.choice(PLACES)}",
            f"{first}, {hero}, {turns[0]}",
        ])]
        wait = rng.choice(["trois jours", "un mois", "dix ans", "une semaine", "deux ans"])
        lines += rng.sample([f"peu après, {il} {turns[1]}", f"{wait} plus tard, {il} {turns[2]}", f"sur sa route, {il} croise {meets}",
                             f"pour s'en sortir, {il} {turns[3]}"], 3)
        a, b = rng.sample(THEMES, 2)
        lines.insert(rng.randrange(1, 5), rng.choice([f"il y est question {a} et {b}", f"{self.thing.le()} parle {a}, et un peu {b}",
                                                      f"au fond, {self.thing.ce()} parle surtout {a}"]))
        return [sentence(x) for x in lines[:most]]

    def record(self):
        rng = self.rng
        a, b = rng.sample(INSTRUMENTS, 2)
        lines = [rng.choice([
            f"{self.thing.le()} compte {rng.choice(['neuf', 'dix', 'onze', 'douze', 'quatorze'])} titres, enregistrés {rng.choice(CITIES)} en {rng.randrange(1961, 2010)}",
            f"on y entend surtout {a} et {b}",
            f"{self.maker.le()} a tout enregistré en {rng.choice(['trois jours', 'une nuit', 'six mois', 'deux semaines'])} {rng.choice(CITIES)}",
            f"{a} y tient le premier rôle, devant {b}",
        ])]
        x, y = rng.sample(THEMES, 2)
        more = [rng.choice([f"il y est question {x} et {y}", f"les textes parlent {x}, parfois {y}"]),
                f"le premier titre dure {rng.choice(['deux', 'trois', 'quatre', 'sept'])} minutes, le dernier presque {rng.choice(['dix', 'onze', 'douze'])}",
                f"{self.name} a aussi {rng.choice(['écrit', 'composé', 'joué'])} pour d'autres" if self.maker.text != "groupe"
                else f"{self.maker.le()} existe depuis {rng.randrange(1965, 2003)}"]
        lines += rng.sample(more, 3)
        return [sentence(x) for x in lines]

    def fact(self):
        rng, t = self.rng, self.thing
        common = [
            f"j'ai payé {self.price()}, port compris", f"c'est le troisième {self.thing.text} {self.by()} que je possède" if self.thing.gender == "m" else
            f"c'est la troisième {self.thing.text} {self.by()} que je possède",
            f"je précise que je ne suis pas spécialiste des {rng.choice(GENRES[self.category])}",
            f"{rng.choice(self.relatives)} préfère les {rng.choice(GENRES[self.category])}",
            f"à la maison, chacun a son avis sur « {self.title} »", f"j'avais découvert {self.name} {rng.choice(CITIES)}, en {rng.randrange(1985, 2009)}",
            "chacun ses goûts", "je n'avais lu aucune critique avant", "j'ai lu d'autres avis ici même", f"j'en ai parlé avec {rng.choice(self.relatives)}",
            "je donne mon avis, rien de plus", f"je l'ai rangé{self.o} entre deux {rng.choice(GENRES[self.category])}",
        ]
        own = {"books": [f"l'édition de poche fait {rng.randrange(180, 720)} pages", f"il y a {rng.randrange(12, 60)} chapitres",
                         f"j'en étais à la page {rng.randrange(20, 200)} quand le téléphone a sonné",
                         "le livre est imprimé en petits caractères"],
               "dvd": [f"cela dure {rng.choice(['1 h 25', '1 h 40', '1 h 50', '2 h 05', '2 h 15', '3 h 10'])}", f"le tournage a eu lieu {rng.choice(CITIES)}",
                       "le boîtier contient deux disques", f"il y a {rng.randrange(20, 95)} minutes de suppléments", "les sous-titres existent en cinq langues"],
               "music": [f"le livret fait {rng.choice([8, 12, 16, 24])} pages", f"l'ensemble dure {rng.randrange(38, 74)} minutes",
                         f"je les avais vus en concert {rng.choice(CITIES)}" if self.maker.text == "groupe" else f"je suis allé{self.e} au concert {rng.choice(CITIES)}",
                         "les paroles sont imprimées dans le livret", f"c'est mon disque du mois de {rng.choice(MONTHS)}"]}[self.category]
        known = [x for x in common + own if self.known or not re.search("que je possède|découvert|connaissais", x)]
        return sentence(self.pick("fact", known))

    def delivery(self):
        rng = self.rng
        days = rng.choice(["deux", "trois", "quatre", "dix", "quinze"])
        return sentence(self.pick("delivery", [
            f"livraison en {days} jours", "colis arrivé à l'heure, bien emballé", f"colis reçu au bout de {days} jours", "le vendeur a été sérieux",
            f"{'la couverture' if self.category == 'books' else 'la jaquette'} avait un coin plié, mais le vendeur s'est excusé", "l'emballage était déchiré, sans gravité", "rien à dire sur la livraison",
            f"commandé {self.date()}, reçu {days} jours plus tard", "la livraison a été longue, mais ce n'est pas le sujet",
            "article conforme à la photo"]))

    def headline(self, polarity):
        """The `summary` field: mostly the verdict in a few words, sometimes nothing but the subject."""
        rng, e = self.rng, self.e
        if rng.random() < 0.06:
            return rng.choice(["Mon avis", self.title, f"Un avis sur « {self.title} »", "Cadeau de Noël", "Première lecture" if self.category == "books"
                               else "Première impression", self.name])
        return rng.choice({
            1: ["Un régal", "Magnifique", "Excellent", "Superbe", f"Conquis{e}", "Une réussite", "Un vrai bonheur", "Bravo", "Un petit bijou",
                "Un grand plaisir"],
            -1: ["Une déception", "Décevant", "Mauvais", "Raté", f"Déçu{e}", "Un ratage", "Quel ennui", "Quel gâchis !", "Sans intérêt",
                 "Un échec"],
        }[polarity])
