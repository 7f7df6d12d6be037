"""The script that draws, in Redis."""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha1
from pathlib import Path
from typing import Final

from django.core.cache import cache
from redis.exceptions import NoScriptError

from .lines import Argument, lines, of_settings
from .terms import Draw, Limit

TEXT: Final = Path(__file__).with_name("limits.lua").read_text()
SHA: Final = sha1(TEXT.encode(), usedforsecurity=False).hexdigest()


def ask(client: str, draws: Sequence[Draw]) -> list[float]:
    """Draw; return the numbers that `limits.lua` describes."""
    arguments, present = _arguments(client, draws), lines()
    try:
        answer = present.ask("EVALSHA", SHA, *arguments)
    except NoScriptError:
        answer = present.ask("EVAL", TEXT, *arguments)
    return [float(number) for number in answer.split()]


def tell(client: str, draws: Sequence[Draw]) -> None:
    """Draw whatever is there, without waiting for what comes of it."""
    lines().tell("EVALSHA", SHA, *_arguments(client, draws), "settle")


def _arguments(client: str, draws: Sequence[Draw]) -> list[Argument]:
    # What stands in the braces makes one slot of all keys of a client, in a cluster; nothing there would make none.
    tag = f"%{client}" if client[:1] in "%}" else client
    prefix = f"{_prefix()}{{{tag}}}:"
    keys = [prefix + draw.limit.name for draw in draws]
    terms = [f"{_terms(draw.limit)} {draw.wanted}" for draw in draws]
    return [len(keys), *keys, *terms]


@of_settings
def _prefix() -> str:
    return str(cache.make_key("limit:"))


@lru_cache(maxsize=64)
def _terms(limit: Limit) -> str:
    return " ".join(map(str, limit.terms))
