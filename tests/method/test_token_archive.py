from __future__ import annotations

import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refinement.method.token_archive import pack, unpack
from refinement.method.token_losses import ResponseTokens, TokenLoss

columns = st.lists(
    st.tuples(st.integers(0, 70_000), st.integers(0, 40), st.floats(0, 60, width=32))
)


def tokens(column: list[tuple[int, int, float]]) -> tuple[TokenLoss, ...]:
    """With each start at or behind the one before, as a tokenizer gives them."""
    found, at = [], 0
    for step, width, loss in column:
        at += step
        found.append(TokenLoss(at, at + width, loss))
    return tuple(found)


@given(alone=columns, given_instruction=columns)
@settings(deadline=None)
def test_what_is_packed_comes_back(
    alone: list[tuple[int, int, float]], given_instruction: list[tuple[int, int, float]]
) -> None:
    before = ResponseTokens(tokens(alone), tokens(given_instruction))
    packed = pack(before)
    if packed is None:
        assert not alone
        assert not given_instruction
        return

    after = unpack(packed)

    for one, other in (
        (before.alone, after.alone),
        (before.given_instruction, after.given_instruction),
    ):
        assert [(t.start, t.end) for t in one] == [(t.start, t.end) for t in other]
        assert [t.loss for t in other] == pytest.approx([t.loss for t in one], rel=5e-4, abs=1e-7)


def test_a_loss_or_a_token_beyond_the_columns_is_held_at_their_end() -> None:
    packed = pack(ResponseTokens(alone=(TokenLoss(0, 100_000, 1e6),)))

    assert packed is not None
    assert unpack(packed).alone == (TokenLoss(0, 65_535, 65_504.0),)


def test_some_four_bytes_a_token() -> None:
    losses = [(n * 7919 % 997) / 200 for n in range(250)]
    column = tuple(TokenLoss(5 * n, 5 * n + 4, loss) for n, loss in enumerate(losses))
    packed = pack(ResponseTokens(alone=column[1:], given_instruction=column))

    assert packed is not None
    assert len(packed) < 5 * 250


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no zlib",
        zlib.compress(b""),
        zlib.compress(b"\x02"),
        zlib.compress(b"\x01\xff\xff\xff\xff"),
        zlib.compress(b"\x01" + bytes(9)),
    ],
)
def test_other_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="token losses"):
        unpack(content)
