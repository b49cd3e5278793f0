/* Money and settings: print, copy what is shown. Every page works without it. */
(() => {
  "use strict";
  const select = (source) => {
    const range = document.createRange();
    range.selectNodeContents(source);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
  };
  // Only pages by HTTPS may write to the clipboard; elsewhere the browser copies what is selected, or leaves it selected.
  const copyText = async (source) => {
    if (!navigator.clipboard) { select(source); return document.execCommand("copy"); }
    try {
      await navigator.clipboard.writeText(source.textContent);
      return true;
    } catch {
      select(source);
      return false;
    }
  };
  document.addEventListener("click", async (event) => {
    if (event.target.closest("[data-print]")) window.print();
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const label = button.querySelector("span") ?? button;
    const words = label.dataset.words ?? label.textContent;
    label.dataset.words = words;
    const copied = await copyText(document.getElementById(button.dataset.copy));
    label.textContent = copied ? "Copied" : "Selected";
    button.classList.toggle("copied", copied);
    setTimeout(() => { label.textContent = words; button.classList.remove("copied"); }, 2500);
  });
})();
