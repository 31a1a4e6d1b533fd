"""What ``manage.py score`` answers: one JSON object for every record of a file, in order."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from refinement.formats.records import Kept, Record, Rejected
from refinement.method.pairs import Scores, Status
from refinement.method.scoring import score_with_tokens
from refinement.method.token_losses import ResponseTokens, TokenLoss

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from refinement.method.student import Student
    from refinement.method.templates import Template

    Read = Record | Kept | Rejected

CHUNK_RECORDS = 64  # enough to batch well on a CPU, few enough to see progress
CHUNK_CHARACTERS = 2_000_000  # whichever comes first: records may be long
REJECTED = "rejected"


def in_chunks(records: Iterable[Read]) -> Iterator[list[Read]]:
    """Records in their order, as many at a time as are scored together."""
    waiting = iter(records)
    while chunk := list(islice(waiting, 1)):
        characters = _characters(chunk[0])
        for read in islice(waiting, CHUNK_RECORDS - 1):
            chunk.append(read)
            characters += _characters(read)
            if characters >= CHUNK_CHARACTERS:
                break
        yield chunk


def answer(
    chunk: Sequence[Read], *, first: int, student: Student, template: Template, tokens: bool
) -> list[dict[str, Any]]:
    """One line a record, numbered from ``first``. Raises StudentError."""
    pairs = [read.pair for read in chunk if isinstance(read, Record)]
    measured = iter(score_with_tokens(student, pairs, template))
    lines = []
    for index, read in enumerate(chunk, first):
        if not isinstance(read, Record):
            line, found = _rejected(index, read), ResponseTokens()
        else:
            scores, found = next(measured)
            line = _scored(index, scores)
        if tokens:
            line["response_token_losses"] = _tokens(found)
        lines.append(line)
    return lines


def _scored(index: int, scores: Scores) -> dict[str, Any]:
    losses = scores.losses
    return {
        "index": index,
        "status": scores.status.value,
        "reason": scores.reason.value or None,
        "loss_instruction": losses.instruction,
        "loss_response": losses.response,
        "loss_instruction_given_response": losses.instruction_given_response,
        "loss_response_given_instruction": losses.response_given_instruction,
        "ifd": scores.ifd,
        "r_ifd": scores.r_ifd,
        "instruction_tokens": scores.instruction_tokens,
        "response_tokens": scores.response_tokens,
        "truncated": scores.truncated,
        "straddled": scores.straddled,
        "s_ifd": scores.s_ifd,
        "grape": scores.grape,
        "rsr": scores.rsr,
        "perplexity": scores.perplexity,
    }


def _rejected(index: int, read: Kept | Rejected) -> dict[str, Any]:
    """A record that could not be read answers too, so that line i is always record i's."""
    line = _scored(index, Scores(status=Status.UNSCORABLE))
    no_pair = "no pair to score: " if isinstance(read, Kept) else ""
    reason = f"line {read.line}: {no_pair}{read.reason}"
    return line | {
        "status": REJECTED,
        "reason": reason,
        "instruction_tokens": None,
        "response_tokens": None,
    }


def _tokens(found: ResponseTokens) -> dict[str, Any]:
    return {
        "alone": _triples(found.alone),
        "given_instruction": _triples(found.given_instruction),
    }


def _triples(tokens: Sequence[TokenLoss]) -> list[tuple[int, int, float]]:
    return [(token.start, token.end, token.loss) for token in tokens]


def _characters(read: Read) -> int:
    if not isinstance(read, Record):
        return 0
    pair = read.pair
    turns = sum(len(turn.content) for turn in pair.context)
    return len(pair.instruction) + len(pair.input) + len(pair.response) + turns
