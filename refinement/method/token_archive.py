"""Token losses in few bytes, to be stored with a score.

Layout, little-endian, deflated with zlib: one byte for the version; then, for the tokens of L(y)
and for those of L(y|x), a count (u32) and three columns: how far each token starts behind the one
before it (u32), how many characters it covers (u16), and its loss in nats as a half float. A half
float is right to 0.05 %, finer than bfloat16 makes the losses themselves; the means beside it are
stored whole. Some 4 bytes a token of both losses together, 1 KB for a response of 250 tokens.
"""

from __future__ import annotations

import itertools
import struct
import zlib
from typing import TYPE_CHECKING

from refinement.method.token_losses import ResponseTokens, TokenLoss

if TYPE_CHECKING:
    from collections.abc import Sequence

VERSION = 1
LARGEST = 65504.0  # of a half float
WIDEST = 65535  # characters


def pack(tokens: ResponseTokens) -> bytes | None:
    """``None`` where there are no tokens."""
    if not tokens.alone and not tokens.given_instruction:
        return None
    content = bytes([VERSION]) + _column(tokens.alone) + _column(tokens.given_instruction)
    return zlib.compress(content, 9)


def unpack(packed: bytes) -> ResponseTokens:
    """Raises ValueError for bytes that ``pack`` did not make."""
    try:
        content = zlib.decompress(packed)
        if content[0] != VERSION:
            raise ValueError(f"token losses of version {content[0]}, known is {VERSION}")
        alone, end = _read(content, 1)
        given, end = _read(content, end)
    except (zlib.error, struct.error, IndexError) as error:
        raise ValueError(f"no token losses: {error}") from error
    if end != len(content):
        raise ValueError("more bytes than token losses")
    return ResponseTokens(alone=alone, given_instruction=given)


def _column(tokens: Sequence[TokenLoss]) -> bytes:
    count = len(tokens)
    starts = [0, *(token.start for token in tokens)]
    steps = [after - before for before, after in itertools.pairwise(starts)]
    widths = [min(WIDEST, token.end - token.start) for token in tokens]
    losses = [min(LARGEST, token.loss) for token in tokens]
    return struct.pack(f"<I{count}I{count}H{count}e", count, *steps, *widths, *losses)


def _read(content: bytes, start: int) -> tuple[tuple[TokenLoss, ...], int]:
    (count,) = struct.unpack_from("<I", content, start)
    layout = f"<{count}I{count}H{count}e"
    values = struct.unpack_from(layout, content, start + 4)
    tokens, at = [], 0
    for n in range(count):
        at += values[n]
        tokens.append(TokenLoss(at, at + values[count + n], values[2 * count + n]))
    return tuple(tokens), start + 4 + struct.calcsize(layout)
