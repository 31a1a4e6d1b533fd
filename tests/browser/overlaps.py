"""Whether texts of a page lie over each other, as they do when a layout goes wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

# Lines of text as the browser painted them; what is cut off, hidden or floats on purpose is left
# out, and so are letters that only touch.
FIND = """
() => {
  const floats = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const style = getComputedStyle(at);
      if (["fixed", "sticky", "absolute"].includes(style.position)) return true;
      if (style.visibility === "hidden" || style.opacity === "0") return true;
    }
    return false;
  };
  const cut = (rect, element) => {
    let { left, top, right, bottom } = rect;
    for (let at = element; at; at = at.parentElement) {
      if (getComputedStyle(at).overflow === "visible") continue;
      const frame = at.getBoundingClientRect();
      left = Math.max(left, frame.left);
      top = Math.max(top, frame.top);
      right = Math.min(right, frame.right);
      bottom = Math.min(bottom, frame.bottom);
    }
    return { left, top, right, bottom };
  };
  const lines = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    const parent = node.parentElement;
    if (!node.data.trim() || !parent.checkVisibility() || floats(parent)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const rect of range.getClientRects())
      lines.push({ node, text: node.data.trim().slice(0, 40), ...cut(rect, parent) });
  }
  const found = [];
  for (const [index, one] of lines.entries())
    for (const other of lines.slice(index + 1)) {
      const wide = Math.min(one.right, other.right) - Math.max(one.left, other.left);
      const high = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
      if (one.node !== other.node && wide > 4 && high > 6)
        found.push(`“${one.text}” lies over “${other.text}”`);
    }
  return found.slice(0, 3);
}
"""


def overlapping_texts(page: Page) -> list[str]:
    """The first few of them, a line each."""
    found: list[str] = page.evaluate(FIND)
    return found
