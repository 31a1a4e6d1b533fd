"""A pair of any origin, said in Alpaca's fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refinement.formats.fields import AlpacaShape
from refinement.formats.shape import Parts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refinement.method.pairs import Pair


def write_record(
    pair: Pair, extra: Mapping[str, Any], layout: Sequence[str] = ()
) -> dict[str, Any]:
    """An Alpaca record of ``pair``, each further field in the place that ``layout`` gives it.

    A field of the pair that had no place gets one when it has content: a rewrite may add an input.
    Raises ValueError where the turns before the pair are none that Alpaca can say.
    """
    parts = Parts(pair, dict(extra), tuple(layout))
    record = AlpacaShape().write([parts])
    return record | {name: value for name, value in extra.items() if name not in record}
