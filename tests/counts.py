"""How far the metrics of this process move."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import REGISTRY

Moves = dict[str, float]


@contextmanager
def moves(*names: str) -> Iterator[Moves]:
    """Yield what is filled, at the end, with how far each series of these names has moved that has moved at all."""
    moved: Moves = {}
    before = _values(names)
    yield moved
    moved |= {
        series: value - before.get(series, 0)
        for series, value in _values(names).items()
        if value != before.get(series, 0)
    }


def _values(names: tuple[str, ...]) -> Moves:
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in REGISTRY.collect()
        for sample in family.samples
        if sample.name in names
    }
