"""Shapes whose texts lie in fields of their own: Alpaca, columns, fields at a path.

``system`` and ``history`` (a list of [question, answer]) become the turns before the pair, as in
LLaMA-Factory's Alpaca variant. Data that was reflected elsewhere has its rewrites in fields of the
same record: see ``REWRITE_FIELDS``. Every other field is kept aside and written back in its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from refinement.formats.errors import RecordError
from refinement.formats.paths import MISSING, Path, get, path_in, replaced
from refinement.formats.shape import LAST, GivenRewrite, Parts, chosen_fields
from refinement.formats.strict_json import check_storable, kind
from refinement.method.pairs import Pair, Turn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PLAIN_LAYOUT = ["instruction", "input", "output"]
OWN = ("instruction", "input", "output", "system", "history")  # whose values are taken out
REWRITE_FIELDS = {
    "reflected_instruction": "the rewritten instruction",
    "reflected_input": "the input of the rewritten instruction",
    "reflected_output": "the answer written with it; alone, a rewrite of the response",
    "improved_output": "the rewritten response to the instruction as it then is",
    "instruction_criticism": "what was criticised in the pair before the instruction's rewrite",
    "response_criticism": "what was criticised in the response before its rewrite",
}


class FieldsShape:
    """Fields of any name. ``mapping`` tells which, ours → theirs; theirs may be paths."""

    name: ClassVar[str] = "fields"
    label: ClassVar[str] = "Fields of any name"
    hint: ClassVar[str] = "you choose which field is what"
    fields: ClassVar[Mapping[str, str]] = {
        "instruction": "what is asked",
        "output": "the response",
        "input": "what the instruction is about",
        "system": "the system prompt",
        "history": "earlier turns, a list of [question, answer]",
        **REWRITE_FIELDS,
    }
    required: ClassVar[tuple[str, ...]] = ("instruction", "output")
    defaults: ClassVar[Mapping[str, str]] = {}  # ours → theirs

    def __init__(self, mapping: Mapping[str, str] | None = None, *, turns: str = LAST) -> None:  # noqa: ARG002
        self._theirs = chosen_fields(type(self), mapping)
        self._rewrites = [field for field in REWRITE_FIELDS if field in self._theirs]
        self._plain = {f: self._theirs.get(f) for f in OWN} == {f: f for f in OWN}

    @property
    def mapping(self) -> dict[str, str]:
        return dict(self._theirs)

    def recognises(self, record: Mapping[str, Any]) -> bool:
        return all(
            field in self._theirs and self._get(record, field) is not MISSING
            for field in self.required
        )

    # -- In ---------------------------------------------------------------------------------------
    def read(self, record: dict[str, Any], *, escapes: bool) -> list[Parts]:
        if self._plain and not escapes and list(record) == PLAIN_LAYOUT:
            texts = instruction, input_, output = record.values()  # nearly every record
            if set(map(type, texts)) == {str} and instruction and not instruction.isspace():
                return [Parts(Pair(instruction, output, input_))]
        instruction = self._text(record, "instruction")
        response = self._text(record, "output")
        if not instruction or instruction.isspace():
            raise RecordError(self._theirs["instruction"], "the instruction is empty")
        if escapes:
            check_record(record)
        if self._plain and list(record) == PLAIN_LAYOUT and type(record["input"]) is str:
            return [Parts(Pair(instruction, response, record["input"]))]
        pair = Pair(
            instruction, response, self._optional_text(record, "input"), self._context(record)
        )
        extra = self._without_texts(record)
        if not escapes:
            check_record(extra)
        rewrites = self._given(record, pair) if self._rewrites else ()
        return [Parts(pair, extra, tuple(record), rewrites=rewrites)]

    def _get(self, record: Mapping[str, Any], field: str) -> Any:
        theirs = self._theirs.get(field)
        if theirs is None:
            return MISSING
        return record[theirs] if theirs in record else get(record, path_in(record, theirs))

    def _text(self, record: Mapping[str, Any], field: str) -> str:
        value = self._get(record, field)
        if type(value) is str:
            return value
        theirs = self._theirs.get(field)
        if theirs is None:
            raise RecordError(field, f"no field was chosen for the {field}")
        if value is MISSING:
            raise RecordError(theirs, f"the field {theirs!r} is missing")
        raise RecordError(theirs, f"the field {theirs!r} is {kind(value)}, not text")

    def _optional_text(self, record: Mapping[str, Any], field: str) -> str:
        value = self._get(record, field)
        return "" if value is MISSING or value is None else self._text(record, field)

    def _context(self, record: Mapping[str, Any]) -> tuple[Turn, ...]:
        turns = []
        if system := self._optional_text(record, "system"):
            turns.append(Turn("system", system))
        for exchange in self._history(record):
            turns.append(Turn("user", exchange[0]))
            turns.append(Turn("assistant", exchange[1]))
        return tuple(turns)

    def _history(self, record: Mapping[str, Any]) -> list[list[str]]:
        history = self._get(record, "history")
        if history is MISSING or history is None:
            return []
        if not isinstance(history, list) or not all(map(_is_exchange, history)):
            theirs = self._theirs["history"]
            raise RecordError(
                theirs, f"the field {theirs!r} is not a list of [question, answer] texts"
            )
        return history

    def _without_texts(self, record: dict[str, Any]) -> dict[str, Any]:
        """The other fields. A null in place of an optional text stays, to be written as null."""
        top, deep = self._places(record)
        extra = {k: v for k, v in record.items() if k not in top or v is None}
        for path in deep.values():
            value = get(extra, path)
            if value is not MISSING and value is not None:
                extra = replaced(extra, path, [] if isinstance(value, list) else "")
        return extra

    def _places(self, names: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, Path]]:
        """Theirs → ours for whole fields, ours → path for what lies within one."""
        top, deep = {}, {}
        for field in OWN:
            if field in self._theirs:
                path = path_in(names, self._theirs[field])
                if len(path) == 1:
                    top[str(path[0])] = field
                else:
                    deep[field] = path
        return top, deep

    def _given(self, record: Mapping[str, Any], pair: Pair) -> tuple[GivenRewrite, ...]:
        told = {field: self._optional_text(record, field) for field in self._rewrites}
        instruction, response = told.get("reflected_instruction", ""), pair.response
        rewrites = []
        reflected = told.get("reflected_output", "")
        improved = told.get("improved_output", "")
        now = pair
        if instruction.strip():
            now = Pair(
                instruction, reflected or response, told.get("reflected_input", "") or pair.input
            )
            rewrites.append(
                _given_rewrite("instruction", now, told.get("instruction_criticism", ""))
            )
        else:
            improved = improved or reflected
        if improved.strip():
            better = Pair(now.instruction, improved, now.input)
            rewrites.append(_given_rewrite("response", better, told.get("response_criticism", "")))
        return tuple(rewrites)

    # -- Out --------------------------------------------------------------------------------------
    def write(self, parts: Sequence[Parts]) -> dict[str, Any]:
        (part,) = parts
        own = own_values(part.pair)
        order = [str(name) for name in part.layout] or list(PLAIN_LAYOUT)
        top, deep = self._places(dict.fromkeys(order))
        ours = {field: theirs for theirs, field in top.items()}
        for field in ("input", "system", "history"):
            if own[field] and field not in deep and ours.get(field, field) not in order:
                top[ours.setdefault(field, field)] = field
                _insert(
                    order, ours[field], behind=ours.get("instruction") if field == "input" else None
                )
        record = {}
        for name in order:
            if name in top:
                value = own[top[name]]
                record[name] = value or part.extra.get(name, value)
            else:
                record[name] = part.extra[name]
        for field, path in deep.items():
            record = _filled(record, path, own[field])
        return record

    def others(self, parts: Parts) -> dict[str, Any]:
        top, deep = self._places(dict.fromkeys(str(name) for name in parts.layout))
        inside = {path[0] for path in deep.values()}
        return {k: v for k, v in parts.extra.items() if k not in top and k not in inside}


class AlpacaShape(FieldsShape):
    name = "alpaca"
    label = "Alpaca"
    hint = "instruction, optional input, output"
    defaults: ClassVar[Mapping[str, str]] = {field: field for field in OWN}

    def recognises(self, record: Mapping[str, Any]) -> bool:
        """One of the two is enough: then the others can be told what they lack."""
        return any(self._get(record, field) is not MISSING for field in self.required)


class PromptShape(FieldsShape):
    name = "prompt"
    label = "Prompt and completion"
    hint = "prompt, completion; optional system"
    defaults: ClassVar[Mapping[str, str]] = {
        "instruction": "prompt",
        "output": "completion",
        "system": "system",
    }


class QuestionShape(FieldsShape):
    name = "question"
    label = "Question and answer"
    hint = "question, answer; optional context"
    defaults: ClassVar[Mapping[str, str]] = {
        "instruction": "question",
        "output": "answer",
        "input": "context",
        "system": "system_prompt",
    }


def own_values(pair: Pair) -> dict[str, Any]:
    """The values of ``OWN``. Raises ValueError where the turns before the pair are no history."""
    system, history = _split_context(pair)
    return {
        "instruction": pair.instruction,
        "input": pair.input,
        "output": pair.response,
        "system": system,
        "history": history,
    }


def check_record(fields: Mapping[str, Any]) -> None:
    """Refuse what cannot be stored, by the field it stands in. Raises RecordError."""
    for key, value in fields.items():
        check_storable(key, key)
        check_storable(value, key)


def _is_exchange(value: object) -> bool:
    return (
        isinstance(value, list) and len(value) == 2 and all(isinstance(text, str) for text in value)
    )


def _given_rewrite(kind: str, pair: Pair, criticism: str) -> GivenRewrite:
    return GivenRewrite(kind, pair.instruction, pair.input, pair.response, criticism)


def _insert(order: list[str], name: str, *, behind: str | None) -> None:
    at = order.index(behind) + 1 if behind in order else len(order)
    order.insert(at, name)


def _filled(record: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    """With ``value`` at ``path``; an empty one leaves a null, or nothing, as it is."""
    if not value and get(record, path) in (None, MISSING):
        return record
    filled: dict[str, Any] = replaced(record, path, value)
    return filled


def _split_context(pair: Pair) -> tuple[str, list[list[str]]]:
    turns = list(pair.context)
    system = turns.pop(0).content if turns and turns[0].role == "system" else ""
    if [turn.role for turn in turns] != ["user", "assistant"] * (len(turns) // 2):
        raise ValueError("Alpaca holds a system prompt and whole exchanges of user and assistant")
    texts = [turn.content for turn in turns]
    return system, [list(exchange) for exchange in zip(texts[::2], texts[1::2], strict=True)]
