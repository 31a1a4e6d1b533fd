"""The right of the room: scores before and after, and the losses behind them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from django.utils.translation import gettext, gettext_noop

from refinement.method.pairs import Side, UnscorableReason
from refinement.method.policies import POLICIES
from refinement.method.specs import PolicySpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from refinement.models import Score, Verdict
    from refinement.selectors.review import PairView, Version

_LEAST_SCALE = 1.25  # so that 1, where a ratio turns, is always inside the picture
_REASONS = {
    UnscorableReason.EMPTY: gettext_noop("a text without tokens"),
    UnscorableReason.TOO_SHORT: gettext_noop("too short to have a loss"),
    UnscorableReason.TRUNCATED: gettext_noop("the prompt fills the student's whole context"),
    UnscorableReason.NON_FINITE: gettext_noop("the student returned no finite number"),
}


@dataclass(frozen=True, slots=True)
class Bar:
    """One ratio as a bar; ``width`` and ``one`` (where 1.0 lies) in percent of the scale."""

    label: str
    value: float | None
    width: float
    one: float
    kind: str  # original or candidate
    won: bool


@dataclass(frozen=True, slots=True)
class ChoiceCard:
    """One of the student's two choices: its signal before → after, the rule and the reason."""

    title: str
    signal: str
    rule: str
    sentence: str
    before: float | None
    after: float | None
    margin: float | None
    took_candidate: bool
    bars: list[Bar]


@dataclass(frozen=True, slots=True)
class Row:
    """One measure for each scored version."""

    label: str
    symbol: str
    values: list[float | int | None]
    digits: int
    scale: float = 0.0  # what fills a bar; 0: no bars

    @property
    def bars(self) -> list[tuple[float | int | None, float]]:
        """Each value with the width of its bar in percent of the scale."""
        return [
            (value, round(100 * min(value or 0.0, self.scale) / self.scale, 2) if self.scale else 0)
            for value in self.values
        ]

    @property
    def role(self) -> str:
        """``strong`` for a ratio, ``given`` for the second of the two losses it comes from."""
        if self.label.endswith("IFD"):
            return "strong"
        return "given" if "|" in self.symbol else ""


@dataclass(frozen=True, slots=True)
class ScoreTable:
    versions: list[Version]
    rows: list[Row]
    notes: list[str]
    template: str


def choice_cards(verdict: Verdict | None) -> list[ChoiceCard]:
    """The choices made so far: none, the instruction's, or both."""
    if verdict is None:
        return []
    (first, first_rule), (second, second_rule) = _rules(verdict.policy)
    cards = [
        _card(
            title=gettext("Instruction"),
            signal=first,
            rule=first_rule,
            sentence=verdict.instruction_sentence,
            values=(verdict.instruction_before, verdict.instruction_after),
            margin=verdict.instruction_margin,
            winner=verdict.instruction_winner,
        )
    ]
    if verdict.response_winner:
        cards.append(
            _card(
                title=gettext("Response"),
                signal=second,
                rule=second_rule,
                sentence=verdict.response_sentence,
                values=(verdict.response_before, verdict.response_after),
                margin=verdict.response_margin,
                winner=verdict.response_winner,
            )
        )
    return cards


# Put together from the catalogue of policies; named here for the translators.
PAPER_RULES = (
    gettext_noop("the higher one wins: more to learn"),
    gettext_noop("the lower one wins: it tells more of its instruction"),
)


def _rules(policy: str) -> list[tuple[str, str]]:
    """What each of a policy's two choices compares, and who wins."""
    name = policy if policy in POLICIES else "paper"
    found = []
    for rule in POLICIES[name].rules(PolicySpec(name=name)):
        signal = rule.signal
        if signal is None:
            found.append((gettext("no score"), gettext("this policy compares nothing here")))
            continue
        side = "higher" if signal.higher_wins != signal.falls else "lower"
        rule_in_words = f"the {side} one wins: {signal.means}"
        found.append((signal.name, gettext(rule_in_words)))
    return found


def score_table(view: PairView) -> ScoreTable | None:
    """All measures of all scored versions; ``None`` when the student has not read any yet."""
    scored = [(version, version.score) for version in view.versions if version.score]
    if not scored:
        return None
    scores = [score for _, score in scored]
    rows = [
        Row(gettext(label), symbol, [read(score) for score in scores], digits)
        for label, symbol, read, digits in _MEASURES
    ]
    losses = [v for row in rows if row.symbol for v in row.values if v is not None]
    scale = max(losses, default=0.0)
    rows = [replace(row, scale=scale) if row.symbol else row for row in rows]
    notes = [f"{version.name}: {note}" for version, score in scored for note in _notes(score)]
    return ScoreTable([version for version, _ in scored], rows, notes, scores[0].template)


_MEASURES: list[tuple[str, str, Callable[[Score], float | int | None], int]] = [
    (gettext_noop("Response alone"), "L(y)", lambda s: s.loss_response, 3),
    (
        gettext_noop("given the instruction"),
        "L(y|x)",
        lambda s: s.loss_response_given_instruction,
        3,
    ),
    ("IFD", "", lambda s: s.ifd, 3),
    (gettext_noop("Instruction alone"), "L(x)", lambda s: s.loss_instruction, 3),
    (gettext_noop("given the response"), "L(x|y)", lambda s: s.loss_instruction_given_response, 3),
    ("r-IFD", "", lambda s: s.r_ifd, 3),
    (gettext_noop("Instruction tokens"), "", lambda s: s.instruction_tokens, 0),
    (gettext_noop("Response tokens"), "", lambda s: s.response_tokens, 0),
]


def _notes(score: Score) -> list[str]:
    notes = []
    if score.reason:
        why = gettext(_REASONS[UnscorableReason(score.reason)])
        notes.append(gettext("not scorable, %(why)s.") % {"why": why})
    if score.truncated:
        notes.append(
            gettext("cut off at the student's context length; the losses are of the first part.")
        )
    if score.ifd is not None and score.ifd > 1:
        notes.append(gettext("IFD above 1, the instruction does not help the student."))
    return notes


def _card(
    *,
    title: str,
    signal: str,
    rule: str,
    sentence: str,
    values: tuple[float | None, float | None],
    margin: float | None,
    winner: str,
) -> ChoiceCard:
    before, after = values
    took = winner == Side.CANDIDATE
    scale = max([_LEAST_SCALE, *(min(value, 4.0) for value in values if value is not None)])
    bars = [
        _bar("original", before, scale, won=not took),
        _bar("candidate", after, scale, won=took),
    ]
    return ChoiceCard(
        title=title,
        signal=signal,
        rule=rule,
        sentence=sentence,
        before=before,
        after=after,
        margin=margin,
        took_candidate=took,
        bars=bars,
    )


def _bar(kind: str, value: float | None, scale: float, *, won: bool) -> Bar:
    return Bar(
        label=gettext("before") if kind == "original" else gettext("after"),
        value=value,
        width=round(min(value or 0.0, scale) / scale * 100, 2),
        one=round(100 / scale, 2),
        kind=kind,
        won=won,
    )
