"use strict";
// The page is whole without this: it filters, folds long lists, and brings a cell's failures to where it was clicked.
(() => {
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const one = (selector) => document.querySelector(selector);
  const find = one("#find"), backend = one("#backend"), chips = all(".chip"), dialog = one("#detail"), tip = one("#tip");
  const keys = (element) => (element.dataset.o || "").split(" ");
  const outcomeOf = (cell) => (cell.className.match(/o-([a-z-]+)/) || [])[1];

  // -- long lists show their beginning
  for (const list of all(".fold")) {
    const most = Number(list.dataset.fold), items = [...list.children];
    if (items.length <= most) continue;
    items.forEach((item, i) => item.classList.toggle("late", i >= most));
    list.classList.add("folded");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "more";
    button.textContent = `Show all ${items.length}`;
    button.onclick = () => { list.classList.remove("folded"); button.remove(); };
    list.after(button);
  }

  // -- the filter, kept in the address
  function filter() {
    const text = find.value.trim().toLowerCase();
    const wanted = chips.filter((c) => c.getAttribute("aria-pressed") === "true").map((c) => c.dataset.o);
    const on = backend ? backend.value : "";
    const named = (e) => !text || e.dataset.p.toLowerCase().includes(text);
    const had = (e) => !wanted.length || keys(e).some((k) => wanted.includes(k));
    for (const part of all(".backend")) part.hidden = Boolean(on) && part.dataset.b !== on;
    const rows = all(".map tbody tr");
    for (const row of rows) row.hidden = !(named(row) && had(row));
    for (const map of all(".map")) {
      map.classList.toggle("some", wanted.length > 0);
      if (wanted.length) for (const cell of all("td[class]", map)) cell.classList.toggle("dim", !wanted.includes(outcomeOf(cell)));
      map.parentElement.nextElementSibling.hidden = all("tbody tr:not([hidden])", map).length > 0;
    }
    for (const f of all("#failures .failure"))
      f.hidden = !(named(f) && had(f) && (!on || !f.dataset.b || f.dataset.b === on));
    for (const item of all("li[data-p]")) item.hidden = !named(item);
    // What is filtered is short: it is shown whole, and folded again when nothing is asked for.
    for (const list of all(".fold"))
      list.classList.toggle("folded", !text && !wanted.length && list.nextElementSibling?.className === "more");
    const seen = new Set(rows.filter((r) => !r.hidden && !r.closest(".backend").hidden).map((r) => r.dataset.p));
    one("#shown").textContent = `${seen.size} of ${new Set(rows.map((r) => r.dataset.p)).size} primitives`;
    const asked = new URLSearchParams();
    if (text) asked.set("find", text);
    if (wanted.length) asked.set("outcome", wanted.join(" "));
    if (on) asked.set("backend", on);
    if (asked.size || location.hash.includes("=")) history.replaceState(null, "", `#${asked}`);
  }

  const asked = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
  find.value = asked.get("find") || "";
  if (backend) backend.value = asked.get("backend") || "";
  for (const chip of chips) {
    chip.setAttribute("aria-pressed", String((asked.get("outcome") || "").split(" ").includes(chip.dataset.o)));
    chip.onclick = () => {
      chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true"));
      filter();
    };
  }
  find.oninput = filter;
  if (backend) backend.onchange = filter;
  filter();

  // -- cells
  const dtypeOf = (cell) => cell.closest("table").tHead.rows[0].cells[cell.cellIndex].textContent;
  const nameOf = (cell) => `${cell.parentElement.dataset.p} ${dtypeOf(cell)}`;
  function words(cell) {
    if (cell.title) { // a tip of our own takes the place of the browser's, which touch does not show
      cell.dataset.t = cell.title;
      cell.setAttribute("aria-label", `${outcomeOf(cell).replace("-", " ")}: ${cell.title}`);
      cell.removeAttribute("title");
    }
    return cell.dataset.t || "";
  }
  const cellAt = (event) => event.target.closest?.(".map td[class]");
  function show(cell) {
    tip.textContent = `${nameOf(cell)}\n${words(cell)}`;
    tip.hidden = false;
    const box = cell.getBoundingClientRect(), size = tip.getBoundingClientRect();
    const left = Math.min(Math.max(8, box.left), innerWidth - size.width - 8);
    const below = box.bottom + 6 + size.height < innerHeight;
    tip.style.left = `${left}px`;
    tip.style.top = `${below ? box.bottom + 6 : box.top - size.height - 6}px`;
  }
  const hide = () => { tip.hidden = true; };

  function open(cell) {
    hide();
    const name = cell.closest("table").dataset.b, dtype = dtypeOf(cell);
    one("#detail-name").textContent = all(".map").length > 1 ? `${nameOf(cell)} on ${name}` : nameOf(cell);
    one("#detail-words").textContent = words(cell);
    const known = all(".map thead th", cell.closest("table")).map((th) => th.textContent);
    const found = all("#failures .failure").filter((f) =>
      f.dataset.p === cell.parentElement.dataset.p && (f.dataset.b === name || !f.dataset.b) &&
      (known.includes(f.dataset.d) ? f.dataset.d : "other") === dtype);
    one("#detail-list").replaceChildren(...found.map((f, i) => {
      const copy = f.cloneNode(true);
      copy.removeAttribute("id");
      copy.hidden = false;
      copy.open = i === 0;
      return copy;
    }));
    dialog.showModal();
    dialog.scrollTop = 0;
  }

  for (const map of all(".map")) {
    map.setAttribute("role", "grid");
    const first = map.querySelector("td[class]");
    if (first) first.tabIndex = 0;
    map.addEventListener("pointerover", (e) => { const cell = cellAt(e); if (cell && e.pointerType !== "touch") show(cell); });
    map.addEventListener("pointerleave", hide);
    map.addEventListener("focusin", (e) => { const cell = cellAt(e); if (cell && cell.matches(":focus-visible")) show(cell); });
    map.addEventListener("focusout", hide);
    map.addEventListener("click", (e) => { const cell = cellAt(e); if (cell) { focus(cell, map); open(cell); } });
    map.addEventListener("keydown", (e) => {
      const cell = cellAt(e);
      if (!cell) return;
      if (e.key === "Enter" || e.key === " ") { e.preventDefault(); open(cell); return; }
      const rows = all("tbody tr:not([hidden])", map), row = rows.indexOf(cell.parentElement), column = cell.cellIndex;
      const next = {
        ArrowRight: () => seek(cell, "nextElementSibling"), ArrowLeft: () => seek(cell, "previousElementSibling"),
        ArrowDown: () => rows.slice(row + 1).map((r) => r.cells[column]).find((c) => c.className),
        ArrowUp: () => rows.slice(0, row).reverse().map((r) => r.cells[column]).find((c) => c.className),
      }[e.key]?.();
      if (next) { e.preventDefault(); focus(next, map); }
    });
  }
  function seek(cell, way) {
    do cell = cell[way]; while (cell && !(cell.tagName === "TD" && cell.className));
    return cell;
  }
  function focus(cell, map) { // one cell of a map is reached by the Tab key, the others from it by arrows
    words(cell);
    for (const other of all("td[tabindex]", map)) other.removeAttribute("tabindex");
    cell.tabIndex = 0;
    cell.focus();
  }
  dialog.addEventListener("click", (e) => { if (e.target === dialog) dialog.close(); });
  addEventListener("scroll", hide, { capture: true, passive: true });

  // -- commands are copied; on paper everything is open
  for (const button of all(".copy")) button.hidden = !navigator.clipboard;
  document.addEventListener("click", async (e) => {
    const button = e.target.closest?.(".copy");
    if (!button) return;
    await navigator.clipboard.writeText(button.previousElementSibling.textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  let opened = [], folded = [];
  addEventListener("beforeprint", () => {
    opened = all("main details:not([open])");
    folded = all(".folded");
    for (const d of opened) d.open = true;
    for (const list of folded) list.classList.remove("folded");
  });
  addEventListener("afterprint", () => {
    for (const d of opened) d.open = false;
    for (const list of folded) list.classList.add("folded");
  });

  // -- an address may name one failure
  const named = /^#f\d+$/.test(location.hash) && one(location.hash);
  if (named) { named.classList.remove("late"); named.open = true; named.scrollIntoView(); }
})();
