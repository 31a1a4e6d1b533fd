"""How far a run is, in a terminal, and what came of it in the end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from refinement.selectors.runs import RunProgress, RunSummary

LOG_SECONDS = 10.0  # between lines where nobody watches
STAGE_WORDS = {
    "reflect_instruction": "reflecting on instructions",
    "select_instruction": "selecting instructions",
    "reflect_response": "reflecting on responses",
    "select_response": "selecting responses",
}


class ProgressLine:
    """One line that changes where somebody watches, else one now and then."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._watched = stream.isatty()
        self._shown_at = float("-inf")
        self._notice = ""

    def show(self, progress: RunProgress) -> None:
        if progress.notice and progress.notice != self._notice:
            self.say(progress.notice)
        self._notice = progress.notice
        now = time.monotonic()
        if not self._watched and now - self._shown_at < LOG_SECONDS:
            return
        self._shown_at = now
        line = progress_line(progress)
        self._write(f"\r\x1b[K{line}" if self._watched else f"{line}\n")

    def say(self, sentence: str) -> None:
        """A line that stays."""
        self._write(f"\r\x1b[K{sentence}\n" if self._watched else f"{sentence}\n")

    def end(self) -> None:
        if self._watched:
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        self._stream.write(text, ending="")
        self._stream.flush()


def progress_line(progress: RunProgress) -> str:
    stages = [
        f"{sum(n for state, n in progress.counts[stage].items() if state != 'failed')} {words}"
        for stage, words in STAGE_WORDS.items()
        if any(n for state, n in progress.counts[stage].items() if state != "failed")
    ]
    failed = f", {progress.failed:,} failed" if progress.failed else ""
    return " · ".join(
        [
            f"{progress.done:,} of {progress.total:,} done{failed}",
            *stages,
            f"teacher {progress.tokens_per_second:.0f} tokens/s",
            f"student {progress.pairs_per_second:.1f} pairs/s",
            *([f"about {duration(progress.eta_seconds)} left"] if progress.eta_seconds else []),
        ]
    )


def duration(seconds: float) -> str:
    """``45 s``, ``3:05 min`` or ``2:07 h``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02} h"


def summary_table(summary: RunSummary) -> str:
    """What came of a run: counts, tokens, and the seconds of each stage."""
    tokens = f"{summary.prompt_tokens:,} read, {summary.completion_tokens:,} written"
    rows = [
        ("samples", f"{summary.total:,}"),
        ("accepted instructions", f"{summary.accepted_instructions:,}"),
        ("accepted responses", f"{summary.accepted_responses:,}"),
        ("kept", f"{summary.kept:,}"),
        ("unscorable pairs", f"{summary.unscorable:,}"),
        ("failed", f"{summary.failed:,}"),
        ("teacher calls", f"{summary.teacher_calls:,}"),
        ("teacher tokens", tokens),
        *([("teacher cost", f"{summary.cost:.4f}")] if summary.cost else []),
        *([("student tokens", _student_tokens(summary))] if summary.forward_tokens else []),
        *((words, duration(summary.stage_seconds[stage])) for stage, words in STAGE_WORDS.items()),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def _student_tokens(summary: RunSummary) -> str:
    """Also a sample, and beside what the same pairs cost one by one."""
    text = f"{summary.forward_tokens:,}"
    if summary.done:
        text += f", {summary.forward_tokens / summary.done:,.0f} a sample"
    if summary.forward_tokens_apart:
        saved = 1 - summary.forward_tokens / summary.forward_tokens_apart
        text += f"; {saved:.0%} fewer than {summary.forward_tokens_apart:,} for pairs one by one"
    return text
