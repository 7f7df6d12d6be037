"""Room on the stack on which the interpreter keeps the variables of running functions."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

ROOM = 17_000  # values of 8 bytes, so that the piece is one of 256 KB and has half of them left


def roomy(function: Callable[P, R]) -> Callable[P, R]:
    """Return the function with room for all that it calls on one piece of the interpreter's stack.

    CPython gets this stack in pieces of 16 KB and, until late in 3.13 and 3.14, gives back one as soon as it is
    empty. A loop that happens to run at the end of a piece gets and gives back one in each round, by two system
    calls: the hundreds of rounds that a GraphQL answer takes cost up to three times the answer (python/cpython issue
    142183). So this asks for a big piece, once.
    """

    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return function(*args, **kwargs)

    call.__code__ = call.__code__.replace(co_stacksize=ROOM)
    return call
