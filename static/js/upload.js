// The upload form: drop a file, see its name and size, watch it go in chunks. What was sent stays on
// the server, so a lost connection, a stop or a reload costs one chunk at most: the same file, chosen
// again, goes on where it stopped. Without this file the form is a plain file field.
"use strict";

// A sentence of the form in the reader's language: data-say-lost="… in {seconds} s …".
function words(form, name, values = {}) {
  const known = form.dataset[`say${name}`];
  return known.replace(/\{(\w+)\}/g, (_, value) => values[value]);
}

// In the units of the server's own messages: 1 KB is 1024 bytes.
function size(form, bytes) {
  if (bytes < 1024) return words(form, "Size", { size: bytes });
  const power = Math.min(Math.floor(Math.log2(bytes) / 10), 4);
  const digits = { minimumFractionDigits: 1, maximumFractionDigits: 1 };
  const number = (bytes / 1024 ** power).toLocaleString(document.documentElement.lang, digits);
  return `${number} ${["KB", "MB", "GB", "TB"][power - 1]}`;
}

function complain(form, sentence) {
  const place = form.querySelector("[data-drop-error]");
  place.replaceChildren();
  place.closest(".field").toggleAttribute("data-invalid", Boolean(sentence));
  if (!sentence) return;
  const line = document.createElement("p");
  line.className = "field__error";
  line.textContent = sentence;
  place.append(line);
}

function showChosen(form) {
  const file = form.querySelector("input[type=file]").files[0];
  const hint = form.querySelector("[data-drop-hint]");
  const name = form.querySelector("[data-drop-chosen]");
  hint.hidden = Boolean(file);
  name.hidden = !file;
  name.textContent = file ? `${file.name} · ${size(form, file.size)}` : "";
}

function chosen(form) {
  showChosen(form);
  const file = form.querySelector("input[type=file]").files[0];
  const limit = Number(form.dataset.limit);
  const tooLarge = file && file.size > limit;
  const sizes = { size: size(form, file?.size ?? 0), limit: size(form, limit) };
  complain(form, tooLarge ? words(form, "Large", sizes) : "");
}

function dress(form) {
  const drop = form.querySelector("[data-drop]");
  const input = form.querySelector("input[type=file]");
  drop.classList.add("drop--live");
  showChosen(form);
  // The server's own words about the last try stay until another file is chosen.
  input.addEventListener("change", () => chosen(form));
  for (const name of ["dragenter", "dragover"]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.add("drop--over");
    });
  }
  for (const name of ["dragleave", "drop"]) {
    drop.addEventListener(name, () => drop.classList.remove("drop--over"));
  }
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    if (!event.dataTransfer.files.length) return;
    input.files = event.dataTransfer.files;
    chosen(form);
  });
  form.querySelector("[data-upload-stop]").addEventListener("click", () => sendings.get(form)?.abort());
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!sendings.has(form)) send(form);
  });
}

function sending(form, on) {
  form.querySelector("[data-upload-progress]").hidden = !on;
  form.querySelector("[data-upload-stop]").hidden = !on;
  form.querySelector("[data-upload-leave]").hidden = on;
  const button = form.querySelector("[data-once]");
  if (on) button.setAttribute("aria-disabled", "true");
  else button.removeAttribute("aria-disabled");
}

function progress(form, sent, total) {
  const part = Math.floor((100 * sent) / total);
  form.querySelector("progress").value = part;
  say(form, words(form, "Part", { sent: size(form, sent), total: size(form, total), part }));
}

function say(form, sentence) {
  form.querySelector("[data-upload-words]").textContent = sentence;
}

const sendings = new Map(); // form → the AbortController of what it sends

// The server's refusal, a sentence for the person. Nothing is tried again.
class Refusal extends Error {}

async function send(form) {
  const file = form.querySelector("input[type=file]").files[0];
  if (!file) {
    complain(form, words(form, "Choose"));
    return;
  }
  if (file.size > Number(form.dataset.limit)) return; // it is said already
  const stop = new AbortController();
  sendings.set(form, stop);
  complain(form, "");
  sending(form, true);
  try {
    const url = await sendAll(form, file, stop.signal);
    say(form, words(form, "All"));
    const done = await ask(form, "POST", url, { name: form.elements.name.value }, stop.signal);
    window.location.assign(done.location);
  } catch (error) {
    sending(form, false);
    if (stop.signal.aborted) complain(form, words(form, "Stopped"));
    else complain(form, error instanceof Refusal ? error.message : words(form, "Unfinished"));
  } finally {
    sendings.delete(form);
  }
}

// Every chunk, as often as it takes: the server says each time from where.
async function sendAll(form, file, signal) {
  const about = { name: file.name, size: file.size, modified: file.lastModified };
  let pause = 1;
  for (;;) {
    try {
      const place = await ask(form, "POST", form.dataset.begin, about, signal);
      let received = place.received;
      while (received < file.size) {
        progress(form, received, file.size);
        received = await sendChunk(form, file, place, received, signal);
        pause = 1;
      }
      return place.url;
    } catch (error) {
      if (signal.aborted || error instanceof Refusal) throw error;
      for (let left = pause; left > 0; left -= 1) {
        say(form, words(form, "Lost", { seconds: left }));
        await wait(1000, signal);
      }
      pause = Math.min(pause * 2, 30);
    }
  }
}

function wait(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    }, { once: true });
  });
}

function token(form) {
  return form.querySelector("[name=csrfmiddlewaretoken]").value;
}

async function ask(form, method, url, fields, signal) {
  const body = new URLSearchParams(fields);
  const answer = await fetch(url, { method, body, signal, redirect: "error", headers: { "X-CSRFToken": token(form) } });
  return read(form, answer.status, await answer.text());
}

function read(form, status, text) {
  if (status === 409 || (status >= 200 && status < 300)) return JSON.parse(text);
  if (status === 422) throw new Refusal(JSON.parse(text).error);
  if (status >= 400 && status < 500) throw new Refusal(words(form, "Refused"));
  throw new Error(`The server answered ${status}.`);
}

// One chunk by XMLHttpRequest, since fetch tells no progress of what it sends.
function sendChunk(form, file, place, offset, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    signal.addEventListener("abort", abort);
    request.upload.addEventListener("progress", (event) => progress(form, offset + event.loaded, file.size));
    request.addEventListener("loadend", () => {
      signal.removeEventListener("abort", abort);
      if (request.status === 0) {
        reject(new Error("The connection is lost."));
        return;
      }
      try {
        resolve(read(form, request.status, request.responseText).received);
      } catch (error) {
        reject(error);
      }
    });
    request.open("PUT", `${place.url}?offset=${offset}`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.setRequestHeader("X-CSRFToken", token(form));
    request.send(file.slice(offset, offset + place.chunk));
  });
}

for (const form of document.querySelectorAll("[data-upload]")) dress(form);
