// The token view: the figures of the token under the pointer or under the keyboard's focus. One token
// of a text is in the tab order at a time (roving focus); arrows, Home and End move it.
"use strict";

(() => {
  const MOVES = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 10, ArrowUp: -10 };

  const number = (text) => Number(text.replace(",", ".")); // as the reader's language writes it
  const shown = (value) =>
    value.toLocaleString(document.documentElement.lang, { minimumFractionDigits: 2, maximumFractionDigits: 2 });

  function tokenOf(event) {
    return event.target.closest?.("[data-tokens] .tok") ?? null;
  }

  function say(token) {
    const place = document.querySelector("[data-token-figures]");
    if (!place || !token) return;
    const figures = token.dataset.figures ?? token.title;
    token.dataset.figures = figures; // the browser's own bubble would cover the text
    token.removeAttribute("title");
    const [alone, given] = figures.split(" → ");
    const gain = number(alone) - number(given);
    const word = token.textContent.replace(/\n/g, "↵").replace(/\t/g, "⇥").trim() || "␣";
    const change = Number.isNaN(gain)
      ? ""
      : ` · ${gain >= 0 ? place.dataset.lowered : place.dataset.raised} ${shown(Math.abs(gain))}`;
    place.textContent = `“${word}” · ${place.dataset.alone} ${alone} · ${place.dataset.given} ${given}${change}`;
  }

  function rove(token) {
    const text = token.closest("[data-tokens]");
    text.querySelector('.tok[tabindex="0"]')?.setAttribute("tabindex", "-1");
    token.setAttribute("tabindex", "0");
  }

  function prepare() {
    for (const text of document.querySelectorAll("[data-tokens]")) {
      if (!text.querySelector(".tok[tabindex]")) text.querySelector(".tok")?.setAttribute("tabindex", "0");
    }
  }

  document.addEventListener("pointerover", (event) => say(tokenOf(event)));
  document.addEventListener("focusin", (event) => say(tokenOf(event)));
  document.addEventListener("click", (event) => tokenOf(event) && rove(tokenOf(event)));
  document.addEventListener("keydown", (event) => {
    const token = tokenOf(event);
    if (!token || event.ctrlKey || event.metaKey || event.altKey) return;
    const all = [...token.closest("[data-tokens]").querySelectorAll(".tok")];
    const step = MOVES[event.key];
    let to = step ? all.indexOf(token) + step : event.key === "Home" ? 0 : event.key === "End" ? all.length - 1 : null;
    if (to === null) return;
    event.preventDefault();
    to = Math.min(Math.max(to, 0), all.length - 1);
    rove(all[to]);
    all[to].focus();
  });
  document.addEventListener("htmx:afterSettle", prepare);
  prepare();
})();
