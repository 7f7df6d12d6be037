"""How a write can be refused. Nothing is changed then, and a client can act on what it is told.

* RefusedError: has a code, a sentence, and data
    * VersionConflictError (VERSION_CONFLICT): somebody changed the entity after the caller had read it
    * TransitionNotAllowedError (TRANSITION_NOT_ALLOWED): the entity's state, or a guard, stands against it
    * ValidationFailedError (VALIDATION_FAILED): what was entered makes no sense, field by field
    * PermissionDeniedError (PERMISSION_DENIED): the actor's role does not suffice
    * NotFoundError (NOT_FOUND): there is no such entity in the actor's tenant
"""

from collections.abc import Iterable, Sequence
from typing import ClassVar, NamedTuple

from django.db.models import TextChoices

from apps.accounts.trail import Past


class ErrorCode(TextChoices):
    """Why a write was refused."""

    VERSION_CONFLICT = "VERSION_CONFLICT", "Somebody changed it after you had read it"
    TRANSITION_NOT_ALLOWED = "TRANSITION_NOT_ALLOWED", "Its state, or a rule of its workflow, stands against it"
    VALIDATION_FAILED = "VALIDATION_FAILED", "What you entered makes no sense"
    PERMISSION_DENIED = "PERMISSION_DENIED", "Your role does not suffice"
    NOT_FOUND = "NOT_FOUND", "There is no such thing in your organisation"


class Problem(NamedTuple):
    """What is wrong with one part of an input: the column or the argument, and a sentence."""

    path: str
    message: str


class RefusedError(Exception):
    """A write that was refused, in a sentence."""

    code: ClassVar[ErrorCode]

    def __init__(self, message: str) -> None:
        """Say what is wrong and what to do."""
        super().__init__(message)
        self.message = message


class VersionConflictError(RefusedError):
    """Raised when somebody changed the entity after the caller had read it."""

    code = ErrorCode.VERSION_CONFLICT

    def __init__(self, kind: str, key: int, versions: tuple[int, int], past: Past, fields: Iterable[str] = ()) -> None:
        """Say what changed; `versions` are the caller's and the present one, `fields` what the caller would change."""
        self.kind, self.key, self.past, self.fields = kind, key, past, sorted(fields)
        self.expected_version, self.current_version = versions
        touched = {change.field for change in past.changes}
        self.safe_to_merge = past.complete and touched.isdisjoint(self.fields)
        newer = self.current_version > self.expected_version
        what = "was changed meanwhile" if newer else "never had that version"
        super().__init__(
            f"It {what}: you saw version {self.expected_version}, now it is {self.current_version}. " + self._advice()
        )

    def _advice(self) -> str:
        if self.past.complete or self.current_version < self.expected_version:
            return "Look at what changed, then send the present version."
        return "Not all that changed is on record: compare it with what you saw, then send the present version."


class TransitionNotAllowedError(RefusedError):
    """Raised when the entity's state, or a guard, stands against what was asked."""

    code = ErrorCode.TRANSITION_NOT_ALLOWED

    def __init__(self, message: str, *, current_status: str, allowed_actions: Sequence[str]) -> None:
        """Say what stands against it, and what the actor may do instead."""
        super().__init__(message)
        self.current_status = current_status
        self.allowed_actions = list(allowed_actions)


class ValidationFailedError(RefusedError):
    """Raised when what was entered makes no sense."""

    code = ErrorCode.VALIDATION_FAILED

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Name every problem."""
        self.problems = list(problems)
        super().__init__(" ".join(dict.fromkeys(problem.message for problem in problems)))

    @classmethod
    def of(cls, path: str, message: str) -> "ValidationFailedError":
        """Return the refusal for a single problem."""
        return cls([Problem(path, message)])


class PermissionDeniedError(RefusedError):
    """Raised when the actor's role does not suffice."""

    code = ErrorCode.PERMISSION_DENIED


class NotFoundError(RefusedError):
    """Raised when there is no such entity in the actor's tenant."""

    code = ErrorCode.NOT_FOUND

    def __init__(self, kind: str) -> None:
        """Say what there is none of; another tenant's is none."""
        self.kind = kind
        super().__init__(f"There is no {kind} with this id.")
