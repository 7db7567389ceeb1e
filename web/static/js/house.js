// What every page does beyond HTML: polling with manners, ages and local times, copy, one submit.
// Every page works without this file.

"use strict";

const SLOW_AFTER_MS = 5 * 60 * 1000; // without input, polls slow down
const SLOW_EVERY_MS = 60 * 1000;
const MISSES_MAX = 3; // polls without an answer before the data is called late

const root = document.documentElement;
const all = (selector, from = document) => [...from.querySelectorAll(selector)];
const live = () => document.querySelector("[data-live]");
const say = (text) => {
  const line = document.getElementById("announce");
  if (line && text && line.textContent !== text) line.textContent = text;
};
root.classList.add("scripted");

// ---- Times: the server writes UTC, the reader sees their own zone, the zone on hover.

const SHAPES = {
  time: { dateStyle: "medium", timeStyle: "short", hourCycle: "h23" },
  second: { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" },
  clock: { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" },
  minute: { hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
  date: { dateStyle: "medium" },
};
const LOCALE = "en-GB";
const FULL = { dateStyle: "full", timeStyle: "long", hourCycle: "h23" };
const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

function span(seconds) {
  const first = UNITS.findIndex(([, size]) => seconds >= size);
  if (first < 0) return "";
  const [unit, size] = UNITS[first];
  const whole = Math.floor(seconds / size);
  const [small, smallSize] = UNITS[first + 1] ?? ["", 0];
  const rest = smallSize ? Math.floor((seconds % size) / smallSize) : 0;
  return rest && whole < 10 || rest && unit === "h" ? `${whole} ${unit} ${rest} ${small}` : `${whole} ${unit}`;
}

function age(at) {
  const seconds = Math.round((Date.now() - at) / 1000);
  if (Math.abs(seconds) < 1) return "now";
  return seconds > 0 ? `${span(seconds)} ago` : `in ${span(-seconds)}`;
}

const format = Object.fromEntries(
  Object.entries({ ...SHAPES, full: FULL }).map(([name, shape]) => [name, new Intl.DateTimeFormat(LOCALE, shape)]));

function showAges(from = document) {
  for (const time of all("time[data-as=ago]", from)) {
    const text = age(Date.parse(time.dateTime));
    if (time.textContent !== text) time.textContent = text;
  }
}

function showTimes(from = document) {
  for (const time of all("time[data-as]", from)) {
    const at = new Date(time.dateTime);
    if (time.dataset.as !== "ago") time.textContent = format[time.dataset.as].format(at);
    time.title = format.full.format(at);
  }
  for (const zone of all("[data-zone]", from)) {
    zone.textContent = Intl.DateTimeFormat().resolvedOptions().timeZone;
  }
  showAges(from);
}

// ---- Polling: none in hidden tabs, slow when nobody is there, and the age always on the page.

let heardAt = Date.now();
let polledAt = Date.now();
let inputAt = Date.now();
let misses = 0;

function showFreshness() {
  const line = document.querySelector("[data-fresh]");
  if (!line) return;
  const late = misses >= MISSES_MAX;
  line.classList.toggle("late", late);
  const clock = format.clock.format(heardAt);
  const seconds = Math.round((Date.now() - heardAt) / 1000);
  line.textContent = late ? `Data from ${clock}` : `Updated ${seconds < 1 ? "now" : `${span(seconds)} ago`}`;
}

for (const input of ["pointermove", "keydown", "scroll"]) {
  addEventListener(input, () => { inputAt = Date.now(); }, { passive: true });
}

document.addEventListener("htmx:config:request", (event) => {
  if (event.detail.ctx.sourceEvent?.type !== "every") return;
  const idle = Date.now() - inputAt > SLOW_AFTER_MS;
  if (document.hidden || (idle && Date.now() - polledAt < SLOW_EVERY_MS)) event.preventDefault();
  else { polledAt = Date.now(); misses += 1; }
});

document.addEventListener("htmx:before:response", (event) => {
  const { raw } = event.detail.ctx.response;
  if (raw.status !== 401 && !raw.redirected) return;
  event.preventDefault();
  const banner = document.getElementById("signed-out");
  if (banner) banner.hidden = false;
  say("Signed out. Sign in to go on; what you typed is kept.");
});

document.addEventListener("htmx:after:request", (event) => {
  const { status } = event.detail.ctx.response;
  if (status !== 200 && status !== 304) return;
  heardAt = Date.now();
  misses = 0;
  showFreshness();
});

for (const failed of ["htmx:response:error", "htmx:error"]) document.addEventListener(failed, showFreshness);

// Nothing moves under the pointer: while a row has focus or hover, rows keep their order.
function keepOrder(region, fresh) {
  if (!region.querySelector("tbody tr:hover, tbody tr:focus-within")) return;
  const rows = new Map(all("tbody > tr[id]", fresh).map((row) => [row.id, row]));
  const held = all("tbody > tr[id]", region).map((row) => rows.get(row.id)).filter(Boolean);
  for (const row of held.reverse()) row.parentNode.prepend(row);
}

document.addEventListener("htmx:before:swap", (event) => {
  for (const { fragment } of event.detail.tasks ?? []) {
    if (!fragment) continue;
    showTimes(fragment);
    const region = event.detail.ctx.target;
    keepOrder(region, fragment);
    for (const open of all("details[id]", region)) {
      const next = fragment.querySelector(`#${CSS.escape(open.id)}`);
      if (next) next.open = open.open;
    }
  }
});

document.addEventListener("htmx:after:swap", (event) => {
  const region = event.detail.ctx.target;
  say(region?.dataset.announce);
  if (region?.dataset.title) document.title = region.dataset.title;
  if (region?.dataset.icon) document.querySelector("link[rel=icon]").href = region.dataset.icon;
});

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && live() && globalThis.htmx) htmx.trigger(live(), "every");
});

setInterval(() => {
  if (document.hidden) return;
  showFreshness();
  showAges();
}, 1000);

// ---- Copy and download.

let leaving = document.querySelector("[data-secret]") !== null;
addEventListener("beforeunload", (event) => { if (leaving) event.preventDefault(); });

document.addEventListener("click", async (event) => {
  const copy = event.target.closest("[data-copy]");
  if (copy) {
    await navigator.clipboard.writeText(document.getElementById(copy.dataset.copy).textContent.trim());
    const label = copy.querySelector("span") ?? copy;
    const before = copy.dataset.label ??= label.textContent;
    label.textContent = "Copied";
    say("Copied");
    setTimeout(() => { label.textContent = before; }, 2000);
  }
  const save = event.target.closest("[data-download]");
  if (save) {
    const text = document.getElementById(save.dataset.download).textContent;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
    link.download = save.dataset.name;
    link.click();
    URL.revokeObjectURL(link.href);
  }
  if ((copy ?? save)?.closest("[data-secret]")) leaving = false;
  const theme = event.target.closest("[data-theme-choice]");
  if (theme) chooseTheme(theme.dataset.themeChoice);
});

// ---- One submit: the button says what is being done and cannot be pressed again.

document.addEventListener("submit", (event) => {
  leaving = false;
  const form = event.target;
  if (form.dataset.sent) { event.preventDefault(); return; }
  if (form.method !== "post") return;
  form.dataset.sent = "yes";
  const button = event.submitter;
  if (!button) return;
  button.setAttribute("aria-disabled", "true");
  if (!button.dataset.busy) return;
  (button.querySelector("span") ?? button).textContent = button.dataset.busy;
  say(button.dataset.busy);
});
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

// ---- Theme: light, dark, or what the system says; the server reads the cookie.

function chooseTheme(theme) {
  const life = theme ? 365 * 24 * 3600 : 0;
  document.cookie = `theme=${theme}; path=/; max-age=${life}; samesite=lax`;
  if (theme) root.dataset.theme = theme;
  else delete root.dataset.theme;
  showTheme();
  dispatchEvent(new Event("themechange"));
}

function showTheme() {
  for (const button of all("[data-theme-choice]")) {
    button.setAttribute("aria-pressed", String(button.dataset.themeChoice === (root.dataset.theme ?? "")));
  }
}

// ---- Keys: Ctrl K searches; single keys filter, list the keys, launch and go. They can be switched off.

const GO = { h: "/", w: "/workloads", b: "/billing", n: "/nodes" };
const GO_WITHIN_MS = 1500;
const KEYS = "single-keys";
let goAt = -GO_WITHIN_MS;

const keysAreOn = () => localStorage.getItem(KEYS) !== "off";

// Only where a link leads: what somebody may not see has none.
function follow(href) {
  const link = document.querySelector(`a[href="${href}"]`);
  link?.click();
  return link !== null;
}

function singleKey(key, at) {
  const going = at - goAt < GO_WITHIN_MS;
  goAt = -GO_WITHIN_MS;
  if (going) return key in GO && follow(GO[key]);
  if (key === "g") { goAt = at; return false; }
  if (key === "l") return follow("/launch");
  const shown = { "/": document.getElementById("filter") ?? document.getElementById("search"), "?": document.getElementById("keys") }[key];
  shown?.showModal ? shown.showModal() : shown?.focus();
  return Boolean(shown);
}

document.addEventListener("keydown", (event) => {
  const search = document.getElementById("search");
  if (search && event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    search.focus();
    return;
  }
  const typing = event.target.closest("input:not([type=radio], [type=checkbox]), textarea, select, [contenteditable]");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || !keysAreOn()) return;
  if (document.querySelector("dialog[open], :popover-open")) return;
  if (singleKey(event.key, event.timeStamp)) event.preventDefault();
});

const keySwitch = document.getElementById("keys-on");
if (keySwitch) {
  keySwitch.checked = keysAreOn();
  keySwitch.addEventListener("change", () => localStorage.setItem(KEYS, keySwitch.checked ? "on" : "off"));
}

// ---- A resend button waits for its moment; a shown choice opens what belongs to it.

function holdBack() {
  for (const button of all("[data-not-before]")) {
    const wait = Math.ceil((Number(button.dataset.notBefore) - Date.now()) / 1000);
    button.disabled = wait > 0;
    const note = document.getElementById(button.getAttribute("aria-describedby"));
    if (note) note.textContent = wait > 0 ? `in ${wait} s` : "";
    if (wait > 0) setTimeout(holdBack, 1000);
  }
}

// Browsers without `command` on buttons open dialogs here.
if (!("command" in HTMLButtonElement.prototype)) {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[commandfor]");
    const dialog = button && document.getElementById(button.getAttribute("commandfor"));
    if (dialog) button.getAttribute("command") === "close" ? dialog.close() : dialog.showModal();
  });
}

showTimes();
showTheme();
showFreshness();
holdBack();
