"""What an export shall hold and look like: checked once, stored with the export."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl

from django.utils.translation import gettext

from refinement.formats.writing.containers import CONTAINERS
from refinement.formats.writing.targets import AS_IMPORTED, TARGETS, Target
from refinement.method.specs import PolicySpec
from refinement.selectors.queue import QueueFilter
from refinement.services.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Mapping

COLUMNS = ("scores", "verdict", "decision", "lineage")
SIGNALS = ("ifd", "r_ifd")


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """``include``: ``kept`` or ``all`` pairs of the run. ``filter``: as in the review queue's URL.

    ``policy``: a ``PolicySpec`` as a dict, whose verdicts count in place of the run's own.

    ``top_percent`` keeps that part of what would leave, the best by ``top_by``.
    ``validation_percent`` goes into a file of its own, chosen by ``seed`` and each original's
    content. ``columns`` of ``COLUMNS`` are added as the field ``srt``. ``kept_as_is``: also the
    records that held nothing to refine; only in the shape ``as_imported``.
    """

    include: str = "kept"
    shape: str = AS_IMPORTED
    container: str = "jsonl"
    filter: dict[str, str] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    deduplicate: bool = False
    top_percent: float | None = None
    top_by: str = "ifd"
    validation_percent: float = 0.0
    seed: int = 0
    kept_as_is: bool = True
    policy: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, options: Mapping[str, Any]) -> Self:
        """Raises ServiceError for an unknown option or value."""
        unknown = sorted(set(options) - {option.name for option in fields(cls)})
        if unknown:
            raise ServiceError(
                gettext("An export has no option “%(name)s”.") % {"name": unknown[0]}
            )
        made = cls(**{**options, "columns": tuple(options.get("columns", ()))})
        made._check_choices()
        made._check_numbers()
        return replace(made, policy=made._checked_policy())

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"columns": list(self.columns)}

    @property
    def target(self) -> Target | None:
        """``None``: as imported."""
        return TARGETS.get(self.shape)

    @property
    def preference(self) -> bool:
        return self.target is not None and self.target.preference

    @property
    def spec(self) -> PolicySpec | None:
        """Another policy, where one was chosen."""
        return PolicySpec.from_dict(self.policy) if self.policy else None

    @property
    def queue(self) -> QueueFilter | None:
        """The filter, where one was set."""
        return QueueFilter.from_query({"show": "all", **self.filter}) if self.filter else None

    def _check_choices(self) -> None:
        known: tuple[tuple[str, str, Any], ...] = (
            ("include", "what to export: the kept pairs, or all", {"kept", "all"}),
            ("shape", "a shape", {AS_IMPORTED, *TARGETS}),
            ("container", "a kind of file", CONTAINERS),
            ("top_by", "what the best are the best by", SIGNALS),
        )
        for name, what, values in known:
            if getattr(self, name) not in values:
                said = "." if name == "include" else f": one of {', '.join(sorted(values))}."
                raise ServiceError(f"Choose {what}{said}")
        for name in self.columns:
            if name not in COLUMNS:
                raise ServiceError(
                    gettext("There is no column “%(name)s”: one of %(known)s.")
                    % {"name": name, "known": ", ".join(COLUMNS)}
                )
        for name in ("deduplicate", "kept_as_is"):
            if not isinstance(getattr(self, name), bool):
                raise ServiceError(
                    gettext("The option “%(name)s” is either true or false.") % {"name": name}
                )

    def _checked_policy(self) -> dict[str, Any]:
        if not self.policy:
            return {}
        kinds = {f.name: _KINDS[str(f.type)] for f in fields(PolicySpec)}
        for name, value in self.policy.items():
            if type(value) not in kinds.get(name, ()):
                raise ServiceError(
                    gettext("A policy has no “%(name)s” of %(value)s.")
                    % {"name": name, "value": repr(value)[:50]}
                )
        return PolicySpec.from_dict(self.policy).as_dict()

    def _check_numbers(self) -> None:
        top, validation = self.top_percent, self.validation_percent
        if top is not None and not (_is_number(top) and 0 < top <= 100):
            raise ServiceError(gettext("The best part is above 0 % and at most 100 %."))
        if not (_is_number(validation) and 0 <= validation <= 90):
            raise ServiceError(gettext("The validation part is between 0 % and 90 %."))
        if type(self.seed) is not int:
            raise ServiceError(gettext("The seed is a whole number."))


_KINDS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "bool": (bool,),
    "int": (int,),
    "int | None": (int, type(None)),
    "float | None": (int, float, type(None)),
}
_NO_FILTER = {"order", "page", "part", "policy"}


def filter_of(query: str) -> dict[str, str]:
    """The review queue's words of an address, without those that narrow nothing."""
    found = dict(parse_qsl(query))
    return {name: found[name] for name in sorted(found) if name not in _NO_FILTER}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
