// The next pair, there before it is asked for: fetched while this one is read, painted as soon as a
// decision leaves. The server's answer then brings what changed around it; where it says something
// else (refused, a colleague was first, nobody answers), that is shown, or this pair comes back.
"use strict";

(() => {
  const HEADER = "SRT-Ahead";
  let next = null; // {from, at, content}: what was fetched, for which pair, when
  let asking = null; // the request under way
  let before = null; // the pair that was decided, hidden until the server has answered

  const room = () => document.getElementById("room");
  const shown = () => room()?.querySelector("[data-room]") ?? null;
  const ours = (act) => (event) => event.detail.target === room() && act(event);

  // The lease of the fetched pair lasts as long as the server says. It is renewed at half its time.
  const age = () => (performance.now() - next.at) / 1000;
  const fitsNow = () => next !== null && next.from === shown()?.dataset.next;
  const usable = () => fitsNow() && age() < 0.9 * shown().dataset.lease;

  async function fetchNext() {
    const from = shown()?.dataset.next;
    if (!from || before || document.hidden) return;
    if (asking?.from === from || (fitsNow() && age() < 0.5 * shown().dataset.lease)) return;
    const stop = new AbortController();
    asking?.stop.abort();
    asking = { from, stop };
    try {
      const answer = await fetch(from, { headers: { "HX-Request": "true" }, signal: stop.signal });
      const template = document.createElement("template");
      if (answer.status === 200 && !answer.redirected) template.innerHTML = await answer.text();
      const content = template.content.querySelector("[data-room]") && template.content;
      next = content ? { from, at: performance.now(), content } : null;
    } catch {
      next = null; // the next decision then leads on in the ordinary way
    } finally {
      if (asking?.stop === stop) asking = null;
      room()?.toggleAttribute("data-ahead", fitsNow());
    }
  }

  function tell(event) {
    const { elt, headers } = event.detail;
    if (elt.matches("[data-onward]") && !before && usable()) {
      headers[HEADER] = next.content.querySelector("[data-room]").dataset.pair;
    }
  }

  function onSend(event) {
    if (event.detail.requestConfig.headers[HEADER]) queueMicrotask(step); // once it is on its way
  }

  function step() {
    before = shown();
    const title = next.content.querySelector("title");
    const inside = next.content.querySelector("[data-room]");
    next = null;
    room().removeAttribute("data-ahead");
    const focused = before.contains(document.activeElement) ? document.activeElement : null;
    room().prepend(inside);
    before.hidden = true;
    focused?.blur();
    if (focused?.id) document.getElementById(focused.id)?.focus({ preventScroll: true });
    if (title) document.title = title.textContent;
    document.dispatchEvent(new Event("room:shown"));
    setTimeout(() => htmx.process(inside)); // its links wait for the answer anyway
  }

  // An answer that only catches up goes to the pair in sight; of the other the form alone is left,
  // whose request this still is.
  function onAnswer(event) {
    const { xhr, requestConfig } = event.detail;
    if (before && xhr.getResponseHeader(HEADER)) before.replaceChildren(requestConfig.elt);
  }

  function onEnd(event) {
    const gone = before;
    before = null;
    if (gone?.isConnected) {
      if (event.detail.xhr.getResponseHeader(HEADER)) {
        gone.remove();
      } else {
        while (shown() !== gone) shown().remove();
        gone.hidden = false;
        document.dispatchEvent(new Event("room:shown"));
      }
    }
    setTimeout(fetchNext);
  }

  document.addEventListener("htmx:configRequest", ours(tell));
  document.addEventListener("htmx:beforeSend", ours(onSend));
  document.addEventListener("htmx:beforeSwap", ours(onAnswer));
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.target === room()) onEnd(event);
    else if (event.detail.elt.id === "presence") fetchNext();
  });
  document.addEventListener("htmx:historyRestore", fetchNext);
  document.addEventListener("visibilitychange", fetchNext);
  fetchNext();
})();
