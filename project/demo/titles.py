"""Titles as technicians type them: terse, shortened, in capitals, and sometimes misspelt."""

import random
from typing import Final

from .words import FOR_A_PART, FOR_A_SYMPTOM, ROUTINE, WHERE, Category

ABBREVIATIONS: Final = {
    "replace": ("repl", "rplc", "rep"), "repair": ("rep", "rpr"), "inspect": ("insp",), "inspection": ("insp",),
    "maintenance": ("maint", "mtce"), "service": ("svc", "serv"), "hydraulic": ("hyd", "hydr"), "pressure": ("press",),
    "temperature": ("temp",), "valve": ("vlv",), "motor": ("mtr",), "bearing": ("brg",), "cylinder": ("cyl",),
    "assembly": ("assy",), "and": ("&",), "number": ("no", "#"), "left": ("l/h", "lft"), "right": ("r/h", "rht"),
    "front": ("frnt", "frt"), "hand": ("hd",), "level": ("lvl",), "building": ("bldg",), "room": ("rm",),
    "requires": ("req", "reqs"), "investigate": ("invest",), "emergency": ("emerg",), "generator": ("gen",),
    "compressor": ("comp",), "transmission": ("trans",), "monthly": ("mthly",), "weekly": ("wkly",), "annual": ("ann",),
    "hour": ("hr",), "damaged": ("dmgd",), "electrical": ("elec",), "switch": ("sw",), "filter": ("fltr",),
    "leaking": ("lkg",), "temporary": ("temp",), "adjust": ("adj",), "lubricate": ("lube",),
}  # fmt: skip
MISSPELLINGS: Final = {
    "hydraulic": ("hydrolic", "hyrdaulic", "hydralic"), "leaking": ("leeking", "leaking"), "leak": ("leek",),
    "bearing": ("bareing", "bering"), "broken": ("brocken",), "cable": ("cabel",), "switch": ("swich",),
    "brakes": ("breaks",), "brake": ("break",), "seized": ("siezed",), "gauge": ("guage",), "cylinder": ("cylnder",
    "cilinder"),
    "compressor": ("compresser",), "battery": ("batery", "battrey"), "alternator": ("alternater",), "noise": ("noize",),
    "requires": ("requiers",), "maintenance": ("maintenence", "maintainance"), "transmission": ("transmision",),
    "tyre": ("tire",), "worn": ("warn",), "pulley": ("pully",), "chain": ("chian",), "loose": ("lose",),
}  # fmt: skip
SHORTENED, MISSPELT, PLACED = 0.35, 0.2, 0.45
CAPITALS, LOWER_CASE = 0.4, 0.6
SHORTEST_MISSPELT: Final = 4


def title(category: Category, rng: random.Random) -> str:
    """Return the title of a work order on an asset of this category, at most 200 characters."""
    words = _words(category, rng).split()
    if rng.random() < SHORTENED:
        words = [rng.choice(ABBREVIATIONS[word]) if word in ABBREVIATIONS else word for word in words]
    if rng.random() < MISSPELT:
        at = int(rng.random() * len(words))
        words[at] = misspell(words[at], rng)
    return _in_case(" ".join(words), rng.random())


def misspell(word: str, rng: random.Random) -> str:
    """Return the word with a mistake people make, or with two letters swapped, one lost or one doubled."""
    if word in MISSPELLINGS:
        return rng.choice(MISSPELLINGS[word])
    if len(word) < SHORTEST_MISSPELT or not word.isalpha():
        return word
    at = 1 + int(rng.random() * (len(word) - 2))
    first, second = word[at], word[at + 1]
    return word[:at] + rng.choice((second + first, second, first + first + second)) + word[at + 2 :]


def fill(pattern: str, rng: random.Random) -> str:
    """Return the pattern with a number from 1 to 9 in the place of each {n}."""
    return pattern.replace("{n}", str(1 + int(rng.random() * 9))) if "{" in pattern else pattern


def _words(category: Category, rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.65:  # noqa: PLR2004 (two thirds of all orders name a part)
        text = rng.choice(FOR_A_PART).format(part=rng.choice(category.parts))
    elif kind < 0.85:  # noqa: PLR2004 (a fifth names what is wrong)
        text = rng.choice(FOR_A_SYMPTOM).format(symptom=rng.choice(category.symptoms))
    else:
        text = f"{category.name.lower()} {rng.choice(ROUTINE).format(hours=250 * (1 + int(rng.random() * 8)))}"
    return f"{text} {fill(rng.choice(WHERE), rng)}" if rng.random() < PLACED else text


def _in_case(text: str, chance: float) -> str:
    if chance < CAPITALS:
        return text.upper()
    return text if chance < LOWER_CASE else text[0].upper() + text[1:]
