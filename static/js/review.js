// The review room: keys, drafts of edits, focus. Every act is a link or a form of the page, so a
// key only presses what is there, and without this file everything can still be read and decided.
"use strict";

(() => {
  const GUARD_MS = 250; // a second tap of a double one must not decide the pair that just came
  const DRAFT_DAYS = 30;
  const FIELD = "textarea, select, input:not([type=hidden]), [contenteditable]";
  let busy = false;
  let shownAt = performance.now();
  let shownPair = null;
  let asked = null; // a filter chosen while another page was on its way
  let held = null; // a key pressed on a pair that was there before the last decision was answered

  const room = () => document.getElementById("room");
  const find = (selector) => room()?.querySelector(selector) ?? null;
  const tooEarly = () => performance.now() - shownAt < GUARD_MS;
  const tooSoon = () => busy || tooEarly();
  // The answer of a server that was told which pair is in sight already (ahead.js).
  const catchesUp = (event) => Boolean(event.detail.xhr?.getResponseHeader("SRT-Ahead"));

  // -- Keys ---------------------------------------------------------------------------------------
  function onKey(event) {
    if (!room() || event.defaultPrevented || event.isComposing) return;
    if (document.querySelector("dialog[open]")) return;
    const field = event.target.closest?.(FIELD);
    if (field) {
      onFieldKey(event, field);
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.repeat) {
      // Holding Enter on a focused button would press it again on each pair that follows.
      if (event.target.closest?.("[data-decides]")) event.preventDefault();
      return;
    }
    const key = event.shiftKey ? event.key : event.key.toLowerCase(); // Caps Lock does no harm
    const pressed = key === "escape" ? find("[data-key-escape]") : keyed(key);
    if (!pressed) return;
    event.preventDefault();
    if (busy && !tooEarly() && pressed.closest("[data-decides]")) held = key;
    else press(pressed);
  }

  function onFieldKey(event, field) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      const form = field.closest("form[data-save]");
      if (!form) return;
      event.preventDefault();
      if (!event.repeat) form.requestSubmit(form.querySelector("button:not([type=button])"));
    } else if (event.key === "Escape") {
      event.preventDefault();
      if (field.closest("[data-edit]")) find("[data-key-escape]").click();
      else field.blur();
    }
  }

  function keyed(key) {
    if (key === "s") return beside("[data-layout]", 1);
    if (key === "n") return beside("[data-version]", 1);
    if (key === "p") return beside("[data-version]", -1);
    if (key === "f") return find(".fold__more a");
    return /^[a-z0-9/?]$/.test(key) ? find(`[data-key~="${key}"]`) : null;
  }

  // The tab before or after the current one of a group, round its ends.
  function beside(selector, step) {
    const tabs = [...room().querySelectorAll(selector)];
    const now = tabs.findIndex((tab) => tab.hasAttribute("aria-current"));
    return tabs.length > 1 ? tabs[(now + step + tabs.length) % tabs.length] : null;
  }

  function press(element) {
    if (element.disabled) return;
    if (element.matches(FIELD)) {
      element.focus();
      element.scrollIntoView({ block: "nearest" });
    } else if (!(element.closest("[data-decides]") && tooSoon())) {
      element.click();
    }
  }

  // Mouse and Enter come this way too.
  function onSubmit(event) {
    if (!event.target.matches("[data-decides]") || !tooSoon()) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }

  function onClick(event) {
    if (event.target.closest?.("[data-keys]")) document.getElementById("keys").showModal();
    const unfold = event.target.closest?.("[data-unfold]");
    if (unfold) {
      event.preventDefault();
      delete unfold.closest("[data-folded]")?.dataset.folded;
      unfold.parentElement.remove();
    }
    if (event.target.closest?.("[data-draft-discard]")) discardDraft();
  }

  // -- The filter acts at once; its button is only for pages without scripts --------------------------------------
  function onChange(event) {
    if (!event.target.matches("[data-submit-on-change]")) return;
    if (busy) asked = [...event.target.form.elements].filter((f) => f.name).map((f) => [f.name, f.value]);
    else event.target.form.requestSubmit();
  }

  // What was asked of the page that is gone is asked of the one that came: nobody is ignored.
  function askAgain() {
    const form = asked && find(".queue__filter");
    if (!form || busy) return;
    for (const [name, value] of asked) if (form.elements[name]) form.elements[name].value = value;
    asked = null;
    form.requestSubmit();
  }

  // -- Drafts: what was typed and not saved, in this browser, for this person and pair -------------
  const draftKey = (pair) => `srt-draft:${find("[data-room]").dataset.user}:${pair}`;

  function readDraft(pair) {
    try {
      return JSON.parse(localStorage.getItem(draftKey(pair)));
    } catch {
      return null; // storage is off, or holds what this code did not write
    }
  }

  function keepDraft() {
    const form = find("[data-edit]");
    if (!form) return;
    const texts = Object.fromEntries([...form.querySelectorAll("[data-draft]")].map((f) => [f.name, f.value]));
    const draft = { at: Date.now(), base: form.elements.base.value, ...texts };
    try {
      localStorage.setItem(draftKey(shownPair), JSON.stringify(draft));
    } catch {
      // Storage is full or off: the text is still in the field.
    }
  }

  function dropDraft(pair) {
    try {
      localStorage.removeItem(draftKey(pair));
    } catch {
      // Nothing was stored.
    }
  }

  function offerDraft() {
    const draft = readDraft(shownPair);
    if (!draft) return;
    const form = find("[data-edit]");
    if (!form) {
      const edit = find("#do-edit");
      edit?.setAttribute("data-has-draft", "");
      if (edit) edit.querySelector(".choice__means").textContent = room().dataset.unsaved;
      return;
    }
    const fields = [...form.querySelectorAll("[data-draft]")];
    if (fields.every((field) => field.value === draft[field.name])) return;
    if (form.hasAttribute("data-answered")) return; // the server gave back what was sent
    form.dataset.base = form.elements.base.value;
    form.elements.base.value = draft.base;
    for (const field of fields) field.value = draft[field.name] ?? field.value;
    form.querySelector("[data-draft-time]").textContent = new Date(draft.at).toLocaleString(document.documentElement.lang, {
      dateStyle: "medium",
      timeStyle: "short",
    });
    form.querySelector("[data-draft-note]").hidden = false;
  }

  function discardDraft() {
    const form = find("[data-edit]");
    dropDraft(shownPair);
    form.reset();
    form.elements.base.value = form.dataset.base;
    form.querySelector("[data-draft-note]").hidden = true;
    form.elements.instruction.focus();
  }

  function forgetOldDrafts() {
    const oldest = Date.now() - DRAFT_DAYS * 86400000;
    try {
      for (const key of Object.keys(localStorage)) {
        if (!key.startsWith("srt-draft:")) continue;
        if (!(JSON.parse(localStorage.getItem(key))?.at > oldest)) localStorage.removeItem(key);
      }
    } catch {
      // Storage is off.
    }
  }

  // -- A pair leaves, a pair arrives -----------------------------------------------------------------------------
  function left() {
    busy = true;
    delete find("[data-room]")?.dataset.ready;
  }

  function answered(event) {
    busy = false;
    const key = catchesUp(event) ? held : null;
    held = null;
    setTimeout(() => {
      // htmx takes no other request before this event is over
      askAgain();
      const pressed = key && keyed(key);
      if (pressed) press(pressed);
    });
    if (!tooEarly()) find("[data-room]")?.setAttribute("data-ready", "");
  }

  function arrived() {
    const inside = find("[data-room]");
    if (!inside) return;
    const another = shownPair !== inside.dataset.pair;
    shownAt = performance.now();
    shownPair = inside.dataset.pair;
    for (const toast of room().querySelectorAll("[data-room-toast]")) dress(toast);
    offerDraft();
    showCurrentLine();
    if (another) window.scrollTo(0, 0);
    placeFocus();
    setTimeout(() => busy || (inside.dataset.ready = ""), GUARD_MS);
  }

  // What stands around the pair in sight has come, and the pair stays as it is.
  function caughtUp() {
    const toasts = [...room().querySelectorAll("[data-room-toast]")];
    for (const toast of toasts) dress(toast);
    showCurrentLine();
    const words = [...toasts.map((toast) => toast.querySelector("span").textContent), find("[data-room]").dataset.announce];
    document.getElementById("announcer").textContent = words.join(" ");
  }

  function dress(toast) {
    if (toast.dataset.edited) dropDraft(toast.dataset.edited);
    if (!toast.matches(".toast--error")) setTimeout(() => toast.remove(), 8000);
  }

  function showCurrentLine() {
    const list = find(".queue__list");
    const line = list?.querySelector("[aria-current]");
    if (line) list.scrollTop = line.offsetTop - list.offsetTop - list.clientHeight / 3;
  }

  // htmx gives the focus back to a button of the same id; elsewhere it is at the pair, so that the
  // space bar scrolls the texts and a screen reader goes on from there. It leaves the field of a
  // comment that was saved: the next key decides.
  function placeFocus() {
    const editor = find("[data-edit] textarea");
    const now = document.activeElement;
    if (editor) editor.focus({ preventScroll: true });
    else if (!now || now === document.body || (now.id === "comment-text" && !now.value)) find("#pair-title")?.focus({ preventScroll: true });
  }

  // -- The way to the server ----------------------------------------------------------------------
  function onBeforeSwap(event) {
    const { target, xhr } = event.detail;
    if (target !== room()) return;
    if (/^\s*<!doctype/i.test(xhr.responseText) && !event.detail.isError) {
      event.detail.shouldSwap = false; // signed out: a whole page came; drafts are kept
      window.location.reload();
    } else if (xhr.status === 409) {
      event.detail.shouldSwap = true; // a colleague came first: the page that says so
      event.detail.isError = false;
    }
  }

  function complain(event) {
    busy = false;
    const status = event.detail.xhr?.status;
    const toast = document.createElement("div");
    toast.className = "toast toast--error";
    toast.setAttribute("role", "alert");
    const words = room().dataset;
    const lost = event.detail.requestConfig?.verb === "get" ? words.notLoaded : words.notSaved;
    toast.textContent = `${lost}: ${status ? words.status.replace("%s", status) : words.noServer}`;
    const place = document.querySelector(".toasts");
    place.replaceChildren(toast);
    setTimeout(() => toast.remove(), 15000);
  }

  function restored() {
    busy = false;
    arrived();
    setTimeout(askAgain);
  }

  const forRoom = (act) => (event) => event.detail.target === room() && act(event);

  document.addEventListener("keydown", onKey);
  document.addEventListener("submit", onSubmit, true);
  document.addEventListener("click", onClick);
  document.addEventListener("change", onChange);
  document.addEventListener("input", (event) => event.target.matches("[data-draft]") && keepDraft());
  document.addEventListener("htmx:beforeRequest", forRoom(left));
  document.addEventListener("htmx:afterRequest", forRoom(answered));
  document.addEventListener("htmx:beforeSwap", onBeforeSwap);
  document.addEventListener("htmx:afterSettle", forRoom((event) => (catchesUp(event) ? caughtUp() : arrived())));
  document.addEventListener("room:shown", arrived);
  document.addEventListener("htmx:historyCacheMiss", left);
  document.addEventListener("htmx:historyCacheMissLoadError", answered);
  document.addEventListener("htmx:historyRestore", restored);
  document.addEventListener("htmx:responseError", complain);
  document.addEventListener("htmx:sendError", complain);
  forgetOldDrafts();
  arrived();
})();
