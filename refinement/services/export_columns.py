"""The field ``srt`` of an exported record: where the pair comes from, and who chose it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection

    from refinement.models import Run
    from refinement.selectors.selection import SelectedPair

SRT_FIELD = "srt"


def about(pair: SelectedPair, run: Run | None, columns: Collection[str]) -> dict[str, Any]:
    """What ``columns`` of ``export_options.COLUMNS`` ask for.

    An absent word is an empty text, not null: ``datasets`` takes a column's type from its first
    megabytes, and could not read a column of nulls in which a text turns up later.
    """
    told: dict[str, Any] = {}
    if "verdict" in columns:
        told |= {"kept": pair.kept, "reason": pair.reason, "verdict": pair.sentence}
    if "decision" in columns:
        told |= {"by": pair.by, "decision": pair.action}
    if "scores" in columns:
        ifd_before, r_ifd_before, ifd_after, r_ifd_after = pair.scores or (None,) * 4
        told |= {
            "ifd_before": ifd_before,
            "ifd_after": ifd_after,
            "r_ifd_before": r_ifd_before,
            "r_ifd_after": r_ifd_after,
        }
    if "lineage" in columns:
        told |= {
            "source": pair.source,
            "run": run.pk if run else 0,
            "pair": pair.position + 1,
            "line": pair.line,
            "content_hash": pair.content_hash,
        }
    return told
