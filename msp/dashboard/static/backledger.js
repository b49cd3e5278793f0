/* Keyboard, theme, tooltips, bulk selection and messages. Every page works without it; nothing here decides anything. */
(() => {
  "use strict";
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

  // ---- theme: system, or what was chosen; kept in a cookie so that the server draws the page right at once
  const isDark = () => {
    const set = document.documentElement.dataset.theme;
    return set ? set === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  };
  const turnTheme = () => {
    const theme = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `theme=${theme}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
  };

  // ---- tooltips of day strips: the letters of data-marks, one a day from data-first on
  const WORDS = { g: "good", w: "warnings", f: "failed", m: "missed", u: "no verdict", n: "no run", r: "not active" };
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  const showTip = (event) => {
    const strip = event.target.closest?.(".strip");
    if (!strip) { tip.hidden = true; return; }
    const box = strip.getBoundingClientRect();
    const marks = strip.dataset.marks;
    const place = Math.min(marks.length - 1, Math.max(0, Math.floor((event.clientX - box.left) / box.width * marks.length)));
    const day = new Date(`${strip.dataset.first}T00:00:00Z`);
    day.setUTCDate(day.getUTCDate() + place);
    const words = day.toLocaleDateString("en-GB", { weekday: "short", day: "numeric", month: "short", timeZone: "UTC" });
    const letter = marks[place];
    const mended = letter !== letter.toLowerCase() ? ", good at the end of the day" : "";
    tip.textContent = `${words}: ${WORDS[letter.toLowerCase()]}${mended}`;
    tip.hidden = false;
    const left = Math.min(innerWidth - tip.offsetWidth - 8, Math.max(8, event.clientX - tip.offsetWidth / 2));
    tip.style.setProperty("left", `${left}px`);
    tip.style.setProperty("top", `${box.top - tip.offsetHeight - 6}px`);
  };

  // ---- lists: j and k move, Enter opens, x picks, a acknowledges
  const rows = () => $$("[data-row]").filter((row) => row.offsetParent !== null);
  const current = () => $("[data-row].at");
  const move = (step) => {
    const all = rows();
    if (!all.length) return;
    const next = all[Math.min(all.length - 1, Math.max(0, all.indexOf(current()) + step))];
    $$("[data-row].at").forEach((row) => row.classList.remove("at"));
    next.classList.add("at");
    next.scrollIntoView({ block: "nearest" });
    $("[data-open]", next)?.focus({ preventScroll: true });
  };

  const goTo = (key) => $(`[data-go="${key}"]`)?.click();
  let waitingForGo = false;
  const KEYS = {
    "/": () => $("#find")?.focus(),
    "?": () => $("#keys")?.showModal(),
    j: () => move(1),
    k: () => move(-1),
    o: () => $("[data-open]", current() ?? document.createElement("i"))?.click(),
    x: () => $("input[type=checkbox]", current() ?? document.createElement("i"))?.click(),
    a: () => $("[data-acknowledge]", current() ?? document)?.click(),
    t: turnTheme,
    g: () => { waitingForGo = true; setTimeout(() => { waitingForGo = false; }, 1200); },
  };
  const onKey = (event) => {
    const typing = event.target.closest?.("input:not([type=checkbox]), textarea, select");
    if (event.key === "Escape") {
      $$("details.menu[open]").forEach((menu) => { menu.open = false; });
      if (typing) typing.blur();
      return;
    }
    if (typing || event.ctrlKey || event.metaKey || event.altKey || $("dialog[open]")) return;
    if (waitingForGo) { waitingForGo = false; goTo(event.key); event.preventDefault(); return; }
    if (Object.hasOwn(KEYS, event.key)) { event.preventDefault(); KEYS[event.key](); }
  };

  // ---- picking several
  const countPicked = () => {
    const bar = $("#bulk");
    if (!bar) return;
    const picked = $$("input[name=item]:checked").length;
    bar.hidden = picked === 0;
    $("[data-picked]", bar).textContent = `${picked} selected`;
  };

  const onClick = (event) => {
    const target = event.target;
    $$("details.menu[open]").forEach((menu) => { if (!menu.contains(target)) menu.open = false; });
    if (target.closest("[data-theme-turn]")) turnTheme();
    if (target.closest("[data-keys]")) $("#keys")?.showModal();
    if (target.closest("[data-wrap]")) $(".log")?.classList.toggle("wrap");
    if (target.closest("[data-next-telling]")) nextTelling();
    if (target.matches("dialog")) target.close();
  };
  let telling = -1;
  const nextTelling = () => {
    const lines = $$(".log .telling, .log .hit");
    if (!lines.length) return;
    telling = (telling + 1) % lines.length;
    lines[telling].scrollIntoView({ block: "center" });
  };
  const onChange = (event) => {
    if (event.target.matches("[data-pick-all]")) $$("input[name=item]").forEach((box) => { box.checked = event.target.checked; });
    if (event.target.matches("select[data-submit]")) event.target.form.requestSubmit();
    countPicked();
  };
  const hideToasts = () => $$(".toast").forEach((toast) => setTimeout(() => toast.remove(), 6000));

  document.addEventListener("keydown", onKey);
  document.addEventListener("click", onClick);
  document.addEventListener("change", onChange);
  document.addEventListener("mousemove", showTip, { passive: true });
  document.addEventListener("scroll", () => { tip.hidden = true; }, { passive: true, capture: true });
  document.addEventListener("DOMContentLoaded", () => { document.body.append(tip); hideToasts(); countPicked(); });
  // htmx: show the sentence of a refusal in place instead of dropping it
  document.addEventListener("htmx:beforeSwap", (event) => {
    if ([403, 404, 409].includes(event.detail.xhr.status)) { event.detail.shouldSwap = true; event.detail.isError = false; }
  });
  document.addEventListener("htmx:afterSwap", hideToasts);
})();
