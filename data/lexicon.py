"""The words of the sample: nouns with their gender, adjectives by what they can qualify, names, places, dates."""

from french import Noun


def words(text):
    return [w.strip() for w in text.split(",") if w.strip()]


def nouns(text):
    return [Noun(w) for w in words(text)]


# ------------------------------------------------------------------- opinions
# kind: (praise, blame); a leading * marks a word that takes no degree ("très magnifique" is not said)
ADJECTIVES = {
    "story": (
        "passionnant, captivant, prenant, original, bien construit, inventif, palpitant, subtil, crédible, haletant, intelligent, profond, drôle,"
        " émouvant, surprenant, riche, *remarquable, *superbe, touchant, maîtrisé",
        "ennuyeux, prévisible, plat, banal, confus, bâclé, décousu, creux, poussif, invraisemblable, *interminable, convenu, simpliste, ridicule,"
        " pénible, mou, lassant, décevant, brouillon, artificiel"),
    "people": (
        "attachant, touchant, crédible, émouvant, convaincant, *inoubliable, drôle, sympathique, *bouleversant, juste, *remarquable, charismatique,"
        " profond, intéressant",
        "fade, caricatural, agaçant, creux, antipathique, *insupportable, ridicule, énervant, plat, *inexistant, froid, artificiel,"
        " pénible, prévisible"),
    "words": (
        "fluide, élégant, soigné, vif, limpide, savoureux, poétique, percutant, intelligent, drôle, fin, *magnifique, riche, précis, *délicieux,"
        " naturel",
        "lourd, plat, maladroit, pompeux, laborieux, pauvre, indigeste, bâclé, niais, ridicule, creux, vulgaire, ampoulé, artificiel, fade,"
        " répétitif"),
    "craft": (
        "soigné, *impeccable, *superbe, *magnifique, réussi, inspiré, *remarquable, *splendide, raffiné, inventif, élégant, maîtrisé, efficace,"
        " *irréprochable, *parfait, agréable",
        "bâclé, médiocre, raté, laid, négligé, approximatif, *affreux, brouillon, mauvais, décevant, pauvre, laborieux, *catastrophique, *lamentable,"
        " insuffisant, désagréable"),
    "pace": (
        "réussi, inattendu, surprenant, *bouleversant, maîtrisé, efficace, prenant, *parfait, habile, convaincant, *superbe, émouvant",
        "décevant, prévisible, raté, bâclé, lent, mou, *interminable, poussif, ridicule, convenu, pénible, *insupportable"),
    "sound": (
        "*magnifique, envoûtant, émouvant, entraînant, *sublime, chaleureux, puissant, inspiré, lumineux, doux, *superbe, riche, élégant, original,"
        " *inoubliable, raffiné",
        "criard, monotone, fade, insipide, répétitif, fatigant, soporifique, agaçant, froid, pauvre, *insupportable, mièvre, banal, pénible, plat,"
        " lassant"),
}

# category -> [(noun, kind of adjective)]
ASPECTS = {
    "books": [(n, kind) for kind, text in {
        "story": "intrigue:f, histoire:f, récit:m, enquête:f",
        "people": "personnages:mp, héroïne:f, héros:m, narrateur:m, personnages secondaires:mp, inspecteur:m",
        "words": "style:m, écriture:f, dialogues:mp, descriptions:fp, traduction:f, prose:f, vocabulaire:m, plume:f",
        "craft": "mise en page:f, couverture:f, illustrations:fp, construction:f, documentation:f",
        "pace": "fin:f, dénouement:m, rythme:m, début:m, premiers chapitres:mp, dernière partie:f, épilogue:m"}.items() for n in nouns(text)],
    "dvd": [(n, kind) for kind, text in {
        "story": "scénario:m, intrigue:f, histoire:f",
        "people": "acteurs:mp, actrice principale:f, personnages:mp, seconds rôles:mp, méchant:m, duo d'acteurs:m",
        "words": "dialogues:mp, répliques:fp, humour:m, commentaire audio:m",
        "craft": "mise en scène:f, photographie:f, décors:mp, bande-son:f, montage:m, effets spéciaux:mp, bonus:mp, version française:f, doublage:m,"
                 " image:f, costumes:mp, réalisation:f, sous-titres:mp",
        "pace": "fin:f, rythme:m, suspense:m, dernière demi-heure:f, début:m, scène finale:f, premiers épisodes:mp"}.items() for n in nouns(text)],
    "music": [(n, kind) for kind, text in {
        "sound": "voix:f, mélodies:fp, refrains:mp, morceaux:mp, chœurs:mp, guitares:fp, rythmique:f, piano:m, ambiance:f, ballades:fp, chansons:fp,"
                 " cordes:fp, reprises:fp, solos:mp",
        "words": "paroles:fp, textes:mp, rimes:fp",
        "craft": "production:f, mixage:m, arrangements:mp, livret:m, pochette:f, enregistrement:m, prise de son:f, orchestration:f, interprétation:f",
        "pace": "début de l'album:m, seconde moitié:f, final:m, dernier titre:m"}.items() for n in nouns(text)],
}

# noun of the thing reviewed -> how it is taken in (participle), by category
THINGS = {
    "books": nouns("roman:m, livre:m, recueil:m, polar:m, récit:m, bande dessinée:f, biographie:f, essai:m, ouvrage:m, saga:f, nouvelle:f"),
    "dvd": nouns("film:m, DVD:m, coffret:m, comédie:f, thriller:m, documentaire:m, série:f, dessin animé:m, drame:m"),
    "music": nouns("album:m, disque:m, CD:m, compilation:f, concert:m, double album:m, opéra:m, mini-album:m, coffret:m"),
}
TAKEN = {"books": "lu", "dvd": "vu", "music": "écouté"}
TAKING = {"books": "lire", "dvd": "voir", "music": "écouter"}
MAKER = {"books": nouns("auteur:m, romancière:f, écrivain:m, auteure:f"), "dvd": nouns("réalisateur:m, cinéaste:m, réalisatrice:f"),
         "music": nouns("chanteuse:f, groupe:m, chanteur:m, compositeur:m, musicien:m")}

# ------------------------------------------------------------------------ degrees
DEGREE = words("très, vraiment, particulièrement, assez, plutôt, extrêmement, franchement, terriblement, incroyablement, tellement, si, fort")
DEGREE_FULL = words("vraiment, absolument, tout simplement, franchement, réellement")
NOT = ["pas", "pas du tout", "vraiment pas", "absolument pas", "jamais", "pas vraiment", "guère", "nullement", "aucunement"]

# ------------------------------------------------------------------------- names
FIRST_F = words("Claire, Hélène, Jeanne, Camille, Solène, Mathilde, Agathe, Louise, Irène, Nadège, Margot, Élise, Odile, Yasmine, Inès")
FIRST_M = words("Antoine, Bastien, Émile, Julien, Mathieu, Thibault, Olivier, Karim, Rémi, Gaspard, Étienne, Lucas, Fabien, Yann, Noël")
LAST = words("Vasseur, Delmas, Roussel, Kermadec, Lambert, Teyssier, Morvan, Chabrier, Lenoir, Aubry, Ferrand, Guillou, Bonnefoy, Marchetti,"
             " Dubreuil, Saunier, Pelletier, Zeller, Haddad, Castaing")
TITLE_HEAD = nouns("Ombres:fp, Jardin:m, Maison:f, Silence:m, Veilleurs:mp, Saisons:fp, Nuit:f, Île:f, Chemins:mp, Fille:f, Dernier Train:m, Promesse:f,"
                   " Lettres:fp, Orage:m, Voyageur:m, Miroir:m, Marées:fp, Secret:m, Voix:fp, Horloger:m, Route:f, Archives:fp")
TITLE_TAIL = nouns("canal:m, vent:m, collines:fp, oubli:m, hiver:m, lune:f, port:m, vallée:f, étangs:mp, sable:m, brume:f, absents:mp, nord:m, verre:m,"
                   " neige:f, falaises:fp, tilleuls:mp, pluie:f")
BANDS = words("Les Marées hautes, Gare du Nord, Les Tilleuls bleus, Orage magnétique, Les Enfants du quai, Velours gris, Sept Lunes,"
              " La Belle Équipe, Nuit polaire, Les Cerfs-volants, Radio Brume, Trois Moulins")
RELATIVES = ["ma sœur", "mon frère", "ma mère", "mon père", "mon mari", "ma femme", "ma fille", "mon fils", "une collègue", "un ami", "ma voisine",
             "mon libraire", "mon beau-frère", "ma meilleure amie", "mon voisin", "ma tante", "un collègue"]
OTHERS = ["la critique", "la presse", "tout le monde", "le journal local", "la radio", "mon club de lecture", "mon entourage", "toute la famille"]
MONTHS = words("janvier, février, mars, avril, mai, juin, juillet, août, septembre, octobre, novembre, décembre")
CITIES = ["à Lyon", "à Nantes", "à Marseille", "à Lille", "à Rennes", "à Toulouse", "au Havre", "à Strasbourg", "à Brest", "à Genève", "à Québec",
          "à Bruxelles", "à Dieppe", "à Grenoble", "à Bordeaux", "à Limoges"]

# -------------------------------------------------------------------------- plots
TRADES_M = words("un instituteur, un horloger, un facteur, un ancien policier, un pêcheur, un jeune médecin, un archiviste, un boulanger,"
                 " un pianiste, un chauffeur de taxi, un gardien de phare, un notaire")
TRADES_F = words("une infirmière, une jeune avocate, une libraire, une photographe, une veuve, une lycéenne, une journaliste, une couturière,"
                 " une botaniste, une ancienne danseuse, une institutrice, une pilote")
DISCOVERIES = ["une lettre jamais ouverte", "un carnet rempli de dates", "le corps d'un inconnu", "une vieille photographie", "un tableau volé",
               "un violon sans cordes", "une carte dessinée à la main", "une valise pleine de billets", "un enfant endormi", "une porte condamnée",
               "un journal intime", "une bague gravée", "un message codé", "une cassette sans étiquette"]
PLACES = ["dans un grenier", "au bord d'un canal", "dans une gare abandonnée", "au fond d'une cave", "sur une plage déserte", "dans un vieux théâtre",
          "derrière une église", "dans un hôtel fermé pour l'hiver", "au milieu d'un champ", "dans un tiroir de la mairie", "sous un pont",
          "dans la cour d'une école", "sur le quai d'un port", "au sommet d'un phare"]
TURNS = ["décide de tout quitter", "part à la recherche de son père", "retrouve un amour de jeunesse", "doit choisir entre deux vies",
         "mène sa propre enquête", "change d'identité", "revient dans son village natal", "apprend la vérité sur sa naissance",
         "traverse le pays en train", "s'installe chez une inconnue", "perd la mémoire", "accepte un étrange marché", "écrit à un mort",
         "se cache pendant trois jours"]
THEMES = ["du deuil", "de la mémoire", "de l'exil", "de la famille", "de la vengeance", "du pardon", "de l'amitié", "du mensonge", "de la guerre",
          "de la vieillesse", "de l'enfance", "du travail", "de la solitude", "de la jalousie"]
GENRES = {"books": words("polars, romans historiques, récits de voyage, biographies, bandes dessinées, nouvelles, romans d'aventures"),
          "dvd": words("comédies, westerns, films d'horreur, documentaires, dessins animés, films de guerre, séries policières, films muets"),
          "music": words("chansons à texte, disques de jazz, opéras, albums de rock, musiques de film, quatuors, disques de blues, chants marins")}
INSTRUMENTS = words("la guitare, le piano, le violoncelle, l'accordéon, la batterie, la trompette, la harpe, le saxophone, la flûte, la contrebasse")
MOMENTS = {"books": ["dans le train", "avant de dormir", "en deux soirées", "pendant les vacances", "sur la plage", "en une semaine", "d'une traite",
                     "par petits bouts", "pendant mes trajets"],
           "dvd": ["un dimanche soir", "en famille", "avec des amis", "en deux soirées", "en version originale", "sur grand écran", "un jour de pluie",
                   "avec mes enfants", "en une soirée"],
           "music": ["en voiture", "au casque", "pendant que je cuisine", "dans le train", "le soir", "sur une bonne chaîne", "au bureau",
                     "avec mes enfants", "trois fois de suite"]}
