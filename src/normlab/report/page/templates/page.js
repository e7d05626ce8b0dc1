"use strict";
// What the page can do beyond being read. Everything that it shows stands in the page already; the
// state is kept in the address (#section?ref=gn&block=3), so that a view can be passed on.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const one = (selector, root = document) => root.querySelector(selector);
  const data = JSON.parse(one("#page-data").textContent);
  const page = document.documentElement;
  const say = (text) => { const box = one("#status"); if (box) box.textContent = text; };
  const pick = (id) => one("#" + id);

  // ---- the state and the address -------------------------------------------------------------
  const first = pick("reference") ? pick("reference").value : "";
  const defaults = { ref: first, setting: "", block: "", x: "epochs" };
  const state = { ...defaults };
  let section = "";

  function readAddress() {
    const [anchor, query] = location.hash.slice(1).split("?");
    section = decodeURIComponent(anchor || "");
    const given = new URLSearchParams(query || "");
    for (const name of Object.keys(defaults)) state[name] = given.get(name) ?? defaults[name];
  }
  function writeAddress() {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(state)) if (value !== defaults[name]) query.set(name, value);
    const text = query.toString();
    history.replaceState(null, "", "#" + section + (text ? "?" + text : ""));
  }
  function goTo(anchor) {
    const target = anchor && document.getElementById(anchor);
    for (let fold = target && target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    if (target) target.scrollIntoView({ behavior: "instant" });
  }

  // ---- reference, setting, block ---------------------------------------------------------------
  const minus = "\u2212";
  const signed = (value) => {
    const text = Math.abs(100 * value).toFixed(1);
    return text === "0.0" ? text : (value < 0 ? minus : "+") + text;
  };

  function showReference(arm) {
    for (const article of all("article")) {
      const views = all(".perspective", article);
      if (!views.length) continue;
      const known = views.some((view) => view.dataset.reference === arm);
      const wanted = known ? arm : views.length ? views[0].dataset.reference : "";
      for (const view of views) view.hidden = view.dataset.reference !== wanted;
    }
    for (const table of all("table.recall")) showRecall(table, arm);
  }
  function showRecall(table, arm) {
    const heads = all("thead th[data-arm-name]", table).map((head) => head.dataset.armName);
    const planned = table.dataset.reference;
    const reference = heads.includes(arm) ? arm : planned;
    const base = heads.indexOf(reference);
    table.classList.toggle("other-reference", reference !== planned);
    for (const name of all(".reference-name", table.closest("article"))) name.textContent = reference;
    for (const row of table.tBodies[0].rows) {
      const cells = all("td[data-v]", row);
      const own = Number(cells[base].dataset.v);
      cells.forEach((cell, number) => {
        const difference = Number(cell.dataset.v) - own;
        cell.textContent = number === base ? (100 * own).toFixed(1) : signed(difference);
        cell.classList.toggle("shade", number !== base);
        cell.classList.toggle("up", difference > 0);
        cell.classList.toggle("down", difference <= 0);
        cell.style.setProperty("--s", Math.min(45, Math.round(220 * Math.abs(difference))));
      });
    }
  }
  function showSetting(slug) {
    for (const element of all("[data-setting]")) element.hidden = slug !== "" && element.dataset.setting !== slug;
    for (const details of all("[data-curves] > details")) if (slug) details.open = true;
  }
  function follow(block, root = document) {
    const marks = all("[data-block]", root);
    (root === document ? page : root).classList.toggle("following", block !== "");
    for (const mark of marks) {
      mark.classList.toggle("followed", block !== "" && mark.dataset.block === block);
      mark.classList.toggle("faded", block !== "" && mark.dataset.block !== block);
    }
    for (const svg of all("svg", root)) {  // of very many blocks there are medians alone
      const rests = block !== "" && one("[data-block]", svg) !== null;
      for (const median of all("path[data-arm]:not([data-block])", svg)) median.classList.toggle("resting", rests);
    }
  }
  let hovered = { setting: "", block: "" };
  function hover(event) {
    if (state.block !== "" || !event.target.closest) return;
    const article = event.target.closest("article[data-setting]");
    let mark = article && event.target.closest("[data-block]");
    if (article && !mark && event.target.closest("svg")) {
      for (const [dx, dy] of [[0, -3], [0, 3], [-3, 0], [3, 0]]) {
        const near = document.elementFromPoint(event.clientX + dx, event.clientY + dy);
        mark = near && near.closest("[data-block]");
        if (mark) break;
      }
    }
    const block = mark && !mark.closest(".runs") ? mark.dataset.block : "";
    const setting = block === "" ? hovered.setting : article.dataset.setting;
    if (block === hovered.block && setting === hovered.setting) return;
    for (const name of new Set([hovered.setting, setting])) {
      for (const other of all(`article[data-setting="${CSS.escape(name)}"]`)) follow(name === setting ? block : "", other);
    }
    hovered = { setting, block };
    say(block === "" ? "" : "block " + block);
  }

  // ---- the axis of the curves ------------------------------------------------------------------
  const original = new WeakMap();
  const kept = (element, read) => {
    if (!original.has(element)) original.set(element, read(element));
    return original.get(element);
  };
  // The lines are written as an absolute point (M) and steps from it (l), to keep the page small.
  function points(d) {
    const found = [];
    let x = 0, y = 0;
    for (const [, move, text] of d.matchAll(/([Ml])([^Ml]*)/g)) {
      const values = text.match(/-?\d*\.?\d+/g).map(Number);
      for (let k = 0; k + 1 < values.length; k += 2) {
        [x, y] = move === "M" ? [values[k], values[k + 1]] : [x + values[k], y + values[k + 1]];
        found.push([move === "M" ? "M" : "L", x, y]);
      }
    }
    return found;
  }
  function showUnit(unit) {
    for (const article of all("[data-curves]")) {
      const axes = data.axes[article.dataset.curves];
      for (const svg of all("svg", article)) showAxis(svg, axes, axes.ticks[unit] ? unit : "epochs");
    }
  }
  function showAxis(svg, axes, unit) {
    const axis = one("[data-axis=x]", svg);
    if (!axis) return;
    const width = Number(one(".role-axis-domain line", axis).getAttribute("x2"));
    for (const [name, label] of [["tick", false], ["label", true]]) {
      const group = one(".role-axis-" + name, axis);
      const before = kept(group, (g) => [...g.children]);
      if (unit === "epochs") { group.replaceChildren(...before); continue; }
      group.replaceChildren(...axes.ticks[unit].map(([place, text]) => {
        const copy = before[0].cloneNode(true);
        const down = /,([^)]*)/.exec(before[0].getAttribute("transform"))[1];
        copy.setAttribute("transform", `translate(${(place * width).toFixed(1)},${down})`);
        if (label) { copy.textContent = text; copy.setAttribute("opacity", "1"); }
        return copy;
      }));
    }
    const title = one(".role-axis-title text", axis);
    if (title) title.textContent = unit === "epochs" ? kept(title, (t) => t.textContent) : (kept(title, (t) => t.textContent), unit);
    for (const path of all("path[data-arm]", svg)) {
      const d = kept(path, (p) => p.getAttribute("d"));
      const places = axes.seconds[path.dataset.arm + "|" + (path.dataset.block ?? "")];
      path.setAttribute("d", unit !== "seconds" || !places ? d : points(d).map(([move, x, y]) => {
        const place = places[Math.round((x / width) * (axes.last - 1))] ?? 0;
        return `${move}${(width * place / 1000).toFixed(1)},${y.toFixed(1)}`;
      }).join(""));
    }
  }

  // ---- tables ------------------------------------------------------------------------------------
  const number = (text) => {
    const found = /^[[+\s]*(\u2212|-)?([\d,]*\.?\d+)/.exec(text.trim());
    return found ? (found[1] ? -1 : 1) * Number(found[2].replaceAll(",", "")) : NaN;
  };
  function sort(table, column, button) {
    const head = button.closest("th");
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of all("thead th[aria-sort]", table)) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => [row, row.cells[column].textContent]);
    const numeric = head.classList.contains("number");
    rows.sort(([, a], [, b]) => {
      if (!numeric) return (up ? 1 : -1) * a.localeCompare(b, "en", { numeric: true });
      const [x, y] = [number(a), number(b)];
      if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
      return (up ? 1 : -1) * (x - y);
    });
    body.append(...rows.map(([row]) => row));
  }
  function makeSortable(table) {
    all("thead th", table).forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => sort(table, column, button));
    });
  }
  async function copy(text) {
    try { await navigator.clipboard.writeText(text); return; } catch { /* not allowed here: the old way */ }
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  function addCopyButtons(box) {
    const texts = data.tables[box.dataset.table];
    if (!texts) return;
    const row = document.createElement("p");
    row.className = "copies";
    ["CSV", "Markdown", "LaTeX"].forEach((name, index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = "Copy " + name;
      button.setAttribute("aria-label", `Copy as ${name}: ${box.dataset.table}`);
      button.addEventListener("click", async () => { await copy(texts[index]); say(name + " copied"); });
      row.append(button);
    });
    box.append(row);
  }
  function showConfusion(select) {
    const article = select.closest("article");
    const { classes, arms } = data.confusion[article.dataset.setting];
    one(".confusion-arm", article).textContent = select.value;
    const rows = one("table.confusion", article).tBodies[0].rows;
    arms[select.value].forEach((counts, row) => {
      const total = Math.max(1, counts.reduce((sum, n) => sum + n, 0));
      classes.forEach((_, column) => {
        const cell = rows[row].cells[column + 1];
        cell.textContent = counts[column] ? Math.round(100 * counts[column] / total) : "";
        cell.style.setProperty("--s", Math.round(55 * counts[column] / total));
      });
    });
  }
  function compareRuns() {
    const [a, b] = [pick("run-a").value, pick("run-b").value];
    const keys = [...new Set([...Object.keys(data.specs[a]), ...Object.keys(data.specs[b])])];
    const rows = keys.filter((key) => data.specs[a][key] !== data.specs[b][key]).map((key) => {
      const row = document.createElement("tr");
      const name = document.createElement("th");
      name.scope = "row";
      name.textContent = key;
      row.append(name, ...[a, b].map((id) => {
        const cell = document.createElement("td");
        cell.className = "wrap";
        cell.textContent = data.specs[id][key] ?? "";
        return cell;
      }));
      return row;
    });
    one("#compare-runs tbody").replaceChildren(...rows);
  }
  function prepareRuns() {
    const rows = all("tr[data-run]");
    if (rows.length < 2) return;
    for (const [id, start] of [["run-a", 0], ["run-b", 1]]) {
      pick(id).append(...rows.map((row) => {
        const name = `block ${row.dataset.block}, ${one("th", row).textContent}, ${row.dataset.run}`;
        return new Option(name, row.dataset.run);
      }));
      pick(id).selectedIndex = start;
      pick(id).addEventListener("change", compareRuns);
    }
    one("#compare-runs").hidden = false;
    compareRuns();
  }

  // ---- start ---------------------------------------------------------------------------------------
  const shown = { ref: first, setting: "", block: "", x: "epochs" };
  const show = { ref: showReference, setting: showSetting, block: follow, x: showUnit };
  function apply() {
    for (const name of Object.keys(show)) {
      if (state[name] === shown[name]) continue;
      show[name](state[name]);
      shown[name] = state[name];
    }
    for (const [id, name] of [["reference", "ref"], ["setting", "setting"], ["block", "block"]]) {
      if (pick(id) && pick(id).value !== state[name]) pick(id).value = state[name];
    }
    for (const input of all("input[name=x]")) input.checked = input.value === state.x;
  }
  function change(name, value) {
    state[name] = value;
    apply();
    writeAddress();
  }
  for (const [id, name] of [["reference", "ref"], ["setting", "setting"], ["block", "block"]]) {
    if (pick(id)) pick(id).addEventListener("change", (event) => change(name, event.target.value));
  }
  for (const input of all("input[name=x]")) input.addEventListener("change", () => change("x", input.value));
  const theme = pick("theme");
  const dress = () => { if (theme.value) page.dataset.theme = theme.value; else delete page.dataset.theme; };
  if (theme) {
    try { theme.value = localStorage.getItem("normlab-theme") ?? ""; } catch { /* no storage here */ }
    dress();
    theme.addEventListener("change", () => {
      dress();
      try { localStorage.setItem("normlab-theme", theme.value); } catch { /* it holds for this visit */ }
    });
  }
  for (const link of all('nav a, main a[href^="#"]')) link.addEventListener("click", (event) => {
    event.preventDefault();
    section = link.getAttribute("href").slice(1);
    writeAddress();
    goTo(section);
  });
  addEventListener("hashchange", () => { readAddress(); apply(); goTo(section); });
  let frame = 0;
  document.addEventListener("mousemove", (event) => {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => hover(event));
  });
  document.addEventListener("focusin", (event) => { if (event.target.closest("tr[data-block]")) hover(event); });

  for (const table of all("table.sortable")) makeSortable(table);
  for (const box of all("[data-table]")) addCopyButtons(box);
  for (const select of all(".confusion-pick")) select.addEventListener("change", () => showConfusion(select));
  for (const box of all(".controls, #units, .pick")) box.hidden = false;
  prepareRuns();
  readAddress();
  apply();
  if (section) goTo(section);
  page.dataset.ready = "";

  // ---- while the study runs: the server marks the page, and tells when there is a newer one -------
  if ("watch" in page.dataset) {
    const from = page.dataset.watch;
    setInterval(async () => {
      try {
        const answer = await fetch("stamp");
        if ((await answer.text()) !== from) location.reload();
      } catch { say("the study is no longer watched"); }
    }, 2000);
  }
})();
