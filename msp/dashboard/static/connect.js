/* Connecting a server: find a product while typing, snippets in tabs, a reload that asks for no key. All works without it. */
(() => {
  "use strict";
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

  // ---- the page that answered a form has an address of its own: a reload must not send the form again
  const stay = document.querySelector("[data-stay]");
  if (stay) history.replaceState(null, "", stay.dataset.stay);

  // ---- products: those that hold every word typed; arrows move among them, Enter opens the first
  const field = document.querySelector("[data-filter]");
  const tiles = field ? $$("li", document.getElementById(field.dataset.filter)) : [];
  const shown = () => tiles.filter((tile) => !tile.hidden).map((tile) => tile.firstElementChild);
  const filter = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    tiles.forEach((tile) => { tile.hidden = !words.every((word) => tile.dataset.words.includes(word)); });
    const count = shown().length;
    document.getElementById("product-count").textContent = count === 1 ? "1 product" : `${count} products`;
    document.getElementById("products-none").hidden = count > 0;
  };
  const columns = (links) => {
    const top = links[0].getBoundingClientRect().top;
    return links.filter((link) => link.getBoundingClientRect().top === top).length;
  };
  const onArrow = (event) => {
    const links = shown();
    const at = links.indexOf(document.activeElement);
    const typing = document.activeElement === field;
    if (!links.length || (!typing && at < 0)) return;
    if (event.key === "Enter" && typing) { event.preventDefault(); links[0].click(); return; }
    const steps = { ArrowDown: columns(links), ArrowUp: -columns(links), ArrowRight: 1, ArrowLeft: -1 };
    if (!Object.hasOwn(steps, event.key) || (typing && event.key !== "ArrowDown")) return;
    event.preventDefault();
    const next = typing ? 0 : at + steps[event.key];
    if (next < 0) field.focus();
    else links[Math.min(next, links.length - 1)].focus();
  };
  if (field && tiles.length) {
    field.addEventListener("input", filter);
    document.addEventListener("keydown", onArrow);
  }

  // ---- the form is short: its first input is ready for typing
  if (document.querySelector(".connect-steps")) document.querySelector("form.form input[type=text]")?.focus();

  // ---- tabs: made of the sections that stand below each other without this script
  const choose = (list, panels, place) => {
    $$("button", list).forEach((button, nth) => {
      button.setAttribute("aria-selected", String(nth === place));
      button.tabIndex = nth === place ? 0 : -1;
      panels[nth].hidden = nth !== place;
    });
  };
  const makeTabs = (box) => {
    const panels = $$(":scope > [data-tab]", box);
    if (panels.length < 2) { box.classList.toggle("tabbed", panels.length === 1 && box.matches(".ways")); return; }
    const list = document.createElement("div");
    list.className = "tablist";
    list.setAttribute("role", "tablist");
    panels.forEach((panel, nth) => {
      const button = document.createElement("button");
      button.type = "button";
      button.id = `tab-${panel.id}`;
      button.textContent = panel.dataset.tab;
      button.setAttribute("role", "tab");
      button.setAttribute("aria-controls", panel.id);
      if (panel.dataset.tabNote) {
        const note = document.createElement("small");
        note.textContent = panel.dataset.tabNote;
        button.append(note);
      }
      button.addEventListener("click", () => choose(list, panels, nth));
      panel.setAttribute("role", "tabpanel");
      panel.removeAttribute("aria-label");
      panel.setAttribute("aria-labelledby", button.id);
      list.append(button);
    });
    list.addEventListener("keydown", (event) => {
      const buttons = $$("button", list);
      const at = buttons.indexOf(document.activeElement);
      const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
      if (at < 0 || next === undefined) return;
      event.preventDefault();
      const place = (next + buttons.length) % buttons.length;
      choose(list, panels, place);
      buttons[place].focus();
    });
    box.prepend(list);
    box.classList.add("tabbed");
    choose(list, panels, 0);
  };
  $$("[data-tabs]").forEach(makeTabs);
})();
