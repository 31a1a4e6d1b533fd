"""The Alpaca shape: instruction, optional input, output; optional system and history.

``system`` and ``history`` (a list of [question, answer]) become the turns before the pair, as in
LLaMA-Factory's Alpaca variant. Every other field is kept aside and written back in its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refinement.formats.errors import RecordError
from refinement.formats.strict_json import check_storable, kind
from refinement.method.pairs import Pair, Turn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PLAIN_LAYOUT = ["instruction", "input", "output"]
FIELDS = (*PLAIN_LAYOUT, "system", "history")


class AlpacaReader:
    """Reads Alpaca records. ``mapping`` names the file's fields, ours → theirs."""

    name = "alpaca"
    label = "Alpaca"
    hint = "instruction, optional input, output"

    def __init__(self, mapping: Mapping[str, str] | None = None) -> None:
        unknown = set(mapping or {}) - set(FIELDS)
        if unknown:
            raise ValueError(f"no field of Alpaca: {', '.join(sorted(unknown))}")
        self._theirs = {field: (mapping or {}).get(field, field) for field in FIELDS}
        self._ours = {theirs: ours for ours, theirs in self._theirs.items()}
        self._mapped = bool(mapping)

    def recognises(self, record: Mapping[str, Any]) -> bool:
        """Whether a record of a file may be meant as Alpaca."""
        return self._theirs["instruction"] in record or self._theirs["output"] in record

    def read(
        self, record: dict[str, Any], *, escapes: bool
    ) -> tuple[Pair, dict[str, Any], tuple[str, ...]]:
        """The pair, the further fields and the order of all. Raises RecordError.

        ``escapes``: the JSON had \\u escapes, so that any text may hold what must be refused.
        """
        if self._mapped:
            record = self._renamed(record)
        instruction = self._text(record, "instruction")
        response = self._text(record, "output")
        if not instruction or instruction.isspace():
            raise RecordError(self._theirs["instruction"], "the instruction is empty")
        if escapes:
            _check(record)
        if list(record) == PLAIN_LAYOUT and type(record["input"]) is str:
            return Pair(instruction, response, record["input"]), {}, ()
        # A null in place of an optional text means "none"; it is kept, to be written back as null.
        extra = {k: v for k, v in record.items() if k not in FIELDS or v is None}
        if not escapes:
            _check(extra)
        pair = Pair(
            instruction, response, self._optional_text(record, "input"), self._context(record)
        )
        return pair, extra, tuple(record)

    def _renamed(self, record: dict[str, Any]) -> dict[str, Any]:
        for key in record:
            if key in FIELDS and key not in self._ours:
                theirs = self._theirs[key]
                raise RecordError(
                    key, f"the field {key!r} stands in the way: {theirs!r} was chosen for it"
                )
        return {self._ours.get(key, key): value for key, value in record.items()}

    def _text(self, record: dict[str, Any], field: str) -> str:
        value = record.get(field, record)
        if type(value) is str:
            return value
        theirs = self._theirs[field]
        if value is record:
            raise RecordError(theirs, f"the field {theirs!r} is missing")
        raise RecordError(theirs, f"the field {theirs!r} is {kind(value)}, not text")

    def _optional_text(self, record: dict[str, Any], field: str) -> str:
        return "" if record.get(field) is None else self._text(record, field)

    def _context(self, record: dict[str, Any]) -> tuple[Turn, ...]:
        turns = []
        if system := self._optional_text(record, "system"):
            turns.append(Turn("system", system))
        for exchange in self._history(record):
            turns.append(Turn("user", exchange[0]))
            turns.append(Turn("assistant", exchange[1]))
        return tuple(turns)

    def _history(self, record: dict[str, Any]) -> list[list[str]]:
        history = record.get("history")
        if history is None:
            return []
        if not isinstance(history, list) or not all(map(_is_exchange, history)):
            theirs = self._theirs["history"]
            raise RecordError(
                theirs, f"the field {theirs!r} is not a list of [question, answer] texts"
            )
        return history


def _is_exchange(value: object) -> bool:
    return (
        isinstance(value, list) and len(value) == 2 and all(isinstance(text, str) for text in value)
    )


def _check(fields: Mapping[str, Any]) -> None:
    for key, value in fields.items():
        check_storable(key, key)
        check_storable(value, key)


def write_record(
    pair: Pair, extra: Mapping[str, Any], layout: Sequence[str] = ()
) -> dict[str, Any]:
    """An Alpaca record of ``pair``, each further field in the place that ``layout`` gives it.

    A field of the pair that had no place gets one when it has content: a rewrite may add an input.
    Raises ValueError where the turns before the pair are none that Alpaca can say.
    """
    system, history = _split_context(pair)
    own: dict[str, Any] = {
        "instruction": pair.instruction,
        "input": pair.input,
        "output": pair.response,
        "system": system,
        "history": history,
    }
    record: dict[str, Any] = {}
    for name in _order(own, extra, layout):
        record[name] = (own[name] or extra.get(name, own[name])) if name in own else extra[name]
    return record


def _order(
    own: Mapping[str, Any], extra: Mapping[str, Any], layout: Sequence[str]
) -> Sequence[str]:
    if not layout and not extra and not own["system"] and not own["history"]:
        return PLAIN_LAYOUT
    order = list(layout or PLAIN_LAYOUT)
    if own["input"] and "input" not in order:
        order.insert(order.index("instruction") + 1, "input")
    order += [name for name in ("system", "history") if own[name] and name not in order]
    return order + [name for name in extra if name not in order]


def _split_context(pair: Pair) -> tuple[str, list[list[str]]]:
    turns = list(pair.context)
    system = turns.pop(0).content if turns and turns[0].role == "system" else ""
    if [turn.role for turn in turns] != ["user", "assistant"] * (len(turns) // 2):
        raise ValueError("Alpaca holds a system prompt and whole exchanges of user and assistant")
    texts = [turn.content for turn in turns]
    return system, [list(exchange) for exchange in zip(texts[::2], texts[1::2], strict=True)]
