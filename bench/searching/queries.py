"""What `bench.search_speed` asks: queries of several kinds, made of titles that are there."""

import random
import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

WORD: Final = re.compile(r"[^\W_]+")
WORDS, SHORTEST, LONG, MANY = 3, 5, 8, 20
BEGINNING: Final = 4
STRANGE: Final = 9

Words = list[str]


def kinds(titles: Sequence[str], serials: Sequence[int], count: int, rng: random.Random) -> dict[str, list[str]]:
    """Return so many queries of each kind; `titles` is a sample, by which it is told what is frequent."""
    split = [words(title) for title in titles]
    counts = Counter(word for each in split for word in each)
    frequent = [word for word, _ in counts.most_common(MANY)]
    eligible = [each for each in split if len(each) >= WORDS]
    mixed = [each for each in split if set(each) & set(frequent) and min(map(counts.__getitem__, each)) == 1]

    def some(make: Callable[[Words], Words], among: Sequence[Words] = eligible) -> list[str]:
        return [" ".join(make(rng.sample(rng.choice(among), WORDS))) for _ in range(count)]

    def rare_and_frequent() -> str:
        each = rng.choice(mixed)
        return f"{next(word for word in frequent if word in each)} {min(each, key=counts.__getitem__)}"

    return {
        "correct": some(lambda each: each),
        "one typo": some(lambda each: [wrong(each[0], rng), *each[1:]]),
        "two typos": some(lambda each: two_wrong(each, rng)),
        "frequent": [frequent[number % MANY] for number in range(count)],
        "freq + rare": [rare_and_frequent() for _ in range(count)],
        "prefix": some(lambda each: [*each[:-1], each[-1][:BEGINNING]]),
        "code": [f"WO-{rng.choice(serials):06d}" for _ in range(count)],
        "no match": some(lambda each: [each[0], "".join(rng.choices(string.ascii_lowercase, k=STRANGE))]),
    }


def words(title: str) -> Words:
    """Return the longer words of a title, each once."""
    return [word for word in dict.fromkeys(WORD.findall(title.casefold())) if word.isalpha() and len(word) >= SHORTEST]


def wrong(word: str, rng: random.Random) -> str:
    """Return a word with one mistake: a letter lost, doubled or another, or two swapped."""
    while True:
        at = rng.randrange(len(word) - 1)
        first, second, other = word[at], word[at + 1], rng.choice(string.ascii_lowercase)
        changed = word[:at] + rng.choice((second, first * 2 + second, other + second, second + first)) + word[at + 2 :]
        if changed != word:
            return changed


def two_wrong(each: Words, rng: random.Random) -> Words:
    """Return the words with two mistakes: in a long word both, else in two words one each."""
    long = next((word for word in each if len(word) > LONG), None)
    if long:
        return [wrong(wrong(word, rng), rng) if word == long else word for word in each]
    return [wrong(each[0], rng), wrong(each[1], rng), *each[2:]]
