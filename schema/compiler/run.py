"""What is known of a request while what was compiled for its operation runs."""

from dataclasses import dataclass, field
from typing import Any

from graphql.execution.values import VariableValues

from schema.context import Context

from .errors import RESOLVER, NotCompiledError


@dataclass(frozen=True, slots=True)
class Info:
    """What a compiled resolver is told of the request: the context, and nothing of the execution there is not."""

    context: Context

    @property
    def _raw_info(self) -> Any:
        raise NotCompiledError(RESOLVER, "it looks at what is selected")


@dataclass(slots=True)
class Run:
    """One run of a compiled operation: for whom, of which tenant, with which variables."""

    context: Context
    tenant: int
    variables: VariableValues
    info: Info = field(init=False)

    def __post_init__(self) -> None:
        """Make what resolvers are told."""
        self.info = Info(self.context)
