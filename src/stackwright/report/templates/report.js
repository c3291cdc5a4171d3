"use strict";
(() => {
  const root = document.documentElement;
  const all = (selector) => [...document.querySelectorAll(selector)];
  root.classList.add("scripted");

  // A page opened from a file may be denied storage; the choice then lasts for the visit.
  const stored = (action) => { try { return action(localStorage); } catch { return null; } };
  const button = document.getElementById("theme");
  const dark = () => (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const show = () => button.setAttribute("aria-pressed", String(dark()));
  const kept = stored((storage) => storage.getItem("stackwright-theme"));
  if (kept === "dark" || kept === "light") root.dataset.theme = kept;
  button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    stored((storage) => storage.setItem("stackwright-theme", root.dataset.theme));
    show();
  });
  show();

  const filter = document.getElementById("filter");
  filter.addEventListener("input", () => {
    const wanted = filter.value.trim().toLowerCase();
    for (const item of all("[data-case]")) item.hidden = !item.dataset.case.toLowerCase().includes(wanted);
    const rows = all("tr[data-case]");
    document.getElementById("filtered").textContent =
      wanted ? `${rows.filter((row) => !row.hidden).length} of ${rows.length}` : "";
  });

  const cases = all("details.case");
  const setAll = (open) => cases.forEach((item) => { item.open = open; });
  document.getElementById("open-all").addEventListener("click", () => setAll(true));
  document.getElementById("close-all").addEventListener("click", () => setAll(false));

  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const around = target?.closest("details.case");
    if (around) { around.open = true; around.scrollIntoView(); }
  };
  addEventListener("hashchange", reveal);
  reveal();

  let closed = [];
  addEventListener("beforeprint", () => { closed = cases.filter((item) => !item.open); setAll(true); });
  addEventListener("afterprint", () => closed.forEach((item) => { item.open = false; }));

  if (navigator.clipboard) {
    for (const item of all("[data-copy]")) {
      const copy = document.createElement("button");
      copy.type = "button";
      copy.className = "copy";
      copy.textContent = "copy";
      copy.setAttribute("aria-label", `Copy ${item.dataset.copy}`);
      copy.addEventListener("click", async () => {
        try { await navigator.clipboard.writeText(item.dataset.copy); copy.textContent = "copied"; }
        catch { copy.textContent = "not allowed"; }
        setTimeout(() => { copy.textContent = "copy"; }, 1500);
      });
      item.after(copy);
    }
  }
})();
