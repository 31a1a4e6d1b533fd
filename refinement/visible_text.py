"""Texts of others, shown so that none can look like another one.

Control characters (a terminal's escapes among them) become their pictures, and characters that turn
the direction of a line or hide themselves their names. Marks that right-to-left and joined scripts
need stay as they are.
"""

_SIGNS: dict[int, int | str] = {c: 0x2400 + c for c in range(0x20) if c not in b"\t\n\r"}
_SIGNS |= {0x7F: "\u2421", 0xFEFF: "⟦BOM⟧", 0x200B: "⟦ZWSP⟧"}
_SIGNS |= {c: f"⟦{c:02X}⟧" for c in range(0x80, 0xA0)}
_SIGNS |= {0x202A: "⟦LRE⟧", 0x202B: "⟦RLE⟧", 0x202C: "⟦PDF⟧", 0x202D: "⟦LRO⟧", 0x202E: "⟦RLO⟧"}
_SIGNS |= {0x2066: "⟦LRI⟧", 0x2067: "⟦RLI⟧", 0x2068: "⟦FSI⟧", 0x2069: "⟦PDI⟧"}


def visible(text: str) -> str:
    """The text with signs for the characters that hide themselves or turn others round."""
    return text.translate(_SIGNS)
