"use strict";
(() => {
  // bzip2 (Seward 1996), because its bytes are the same wherever a page is made.
  const bunzip = (bytes) => {
    let bit = 32;
    let out = new Uint8Array(bytes.length * 8), size = 0;
    const read = (n) => {
      let value = 0;
      while (n--) { value = value * 2 + ((bytes[bit >> 3] >> (7 - (bit & 7))) & 1); bit++; }
      return value;
    };
    const put = (byte) => {
      if (size === out.length) { const more = new Uint8Array(size * 2); more.set(out); out = more; }
      out[size++] = byte;
    };
    while (read(24) === 0x314159) {
      read(24 + 32 + 1);
      const origin = read(24), map = read(16), used = [];
      for (let i = 0; i < 16; i++) {
        if (!(map & (0x8000 >> i))) continue;
        const part = read(16);
        for (let j = 0; j < 16; j++) if (part & (0x8000 >> j)) used.push(i * 16 + j);
      }
      const groups = read(3), selectors = new Uint8Array(read(15)), recent = [...Array(groups).keys()];
      for (let i = 0; i < selectors.length; i++) {
        let j = 0;
        while (read(1)) j++;
        recent.unshift(recent.splice(j, 1)[0]);
        selectors[i] = recent[0];
      }
      const symbols = used.length + 2, tables = [];
      for (let g = 0; g < groups; g++) {
        const lengths = [], perm = [], first = [], last = [], offset = [];
        let length = read(5), code = 0;
        for (let s = 0; s < symbols; s++) {
          while (read(1)) length += read(1) ? -1 : 1;
          lengths.push(length);
        }
        for (let n = 1; n <= 20; n++) {
          first[n] = code; offset[n] = perm.length;
          lengths.forEach((own, s) => { if (own === n) { perm.push(s); code++; } });
          last[n] = code - 1; code *= 2;
        }
        tables.push({ perm, first, last, offset });
      }
      const block = new Uint32Array(900000), counts = new Uint32Array(257);
      let n = 0, run = 0, weight = 1, left = 0, group = 0, table;
      for (;;) {
        if (!left) { table = tables[selectors[group++]]; left = 50; }
        left--;
        let code = 0, length = 0;
        do { code = code * 2 + read(1); length++; } while (code > table.last[length]);
        const symbol = table.perm[table.offset[length] + code - table.first[length]];
        if (symbol < 2) { run += (symbol + 1) * weight; weight *= 2; continue; }
        if (run) { counts[used[0] + 1] += run; block.fill(used[0], n, n += run); run = 0; weight = 1; }
        if (symbol === symbols - 1) break;
        used.unshift(used.splice(symbol - 1, 1)[0]);
        counts[used[0] + 1]++;
        block[n++] = used[0];
      }
      for (let i = 0; i < 256; i++) counts[i + 1] += counts[i];
      for (let i = 0; i < n; i++) block[counts[block[i] & 255]++] |= i << 8;
      let at = block[origin] >>> 8, same = 0, before = -1;
      for (let i = 0; i < n; i++) {
        at = block[at];
        const byte = at & 255;
        at >>>= 8;
        if (same === 4) { for (let k = 0; k < byte; k++) put(before); same = 0; before = -1; continue; }
        same = byte === before ? same + 1 : 1;
        before = byte;
        put(byte);
      }
    }
    return new TextDecoder().decode(out.subarray(0, size));
  };
  const opened = new Map();
  const unpack = (id) => {
    if (!opened.has(id)) {
      const text = document.getElementById(id)?.textContent;
      opened.set(id, text ? JSON.parse(bunzip(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)))) : null);
    }
    return opened.get(id);
  };
  const make = (tag, css, text) => {
    const element = document.createElement(tag);
    if (css) element.className = css;
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];
  const minus = (text) => text.replace("-", "−");

  // --- sorting: numbers by value, dashes last, controls stay where they are
  const value = (cell) => {
    const text = cell.textContent.trim().replaceAll("−", "-").replaceAll(",", "");
    const number = /^[+]?(-?[\d.]+)/.exec(text);
    return text === "–" ? null : number ? parseFloat(number[1]) : text === "identical" || text === "reference" ? 0 : text.toLowerCase();
  };
  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
  const sort = (table, place, header) => {
    const down = header.getAttribute("aria-sort") ? header.getAttribute("aria-sort") === "ascending" : header.className !== "name" && place > 0;
    all("thead th", table).forEach((other) => other.removeAttribute("aria-sort"));
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
    for (const body of all("tbody:not(.pinned)", table)) {
      const rows = [...body.rows].map((row) => [row.cells[place] ? value(row.cells[place]) : null, row]);
      rows.sort(([a], [b]) => (a === null) - (b === null) || (down ? compare(b, a) : compare(a, b)));
      body.append(...rows.map(([, row]) => row));
    }
  };
  for (const table of all("table.sortable")) {
    all("thead th", table).forEach((header, place) => {
      const button = make("button");
      button.type = "button";
      button.append(...header.childNodes);
      header.append(button);
      button.addEventListener("click", () => sort(table, place, header));
    });
  }

  // --- one data set at a time
  const boards = all(".board");
  const chooser = document.getElementById("boards");
  const show = (id) => {
    for (const board of boards) board.hidden = board.id !== id;
    chooser.value = id;
  };
  if (boards.length > 1) {
    chooser.closest(".chooser").hidden = false;
    chooser.addEventListener("change", () => { show(chooser.value); history.replaceState(null, "", `#${chooser.value}`); });
    show(boards[0].id);
  }

  // --- measures and names
  for (const board of boards) {
    const tools = board.querySelector(".tools"), leaders = all(".leader", board);
    if (!tools || !leaders.length) continue;
    tools.hidden = false;
    const select = tools.querySelector(".measure"), filter = tools.querySelector(".filter"), count = tools.querySelector(".count");
    for (const leader of leaders) {
      select.append(new Option(leader.dataset.measure));
      if (leader.tagName === "DIV") leader.previousElementSibling.hidden = true;
    }
    const pressed = new Set(), chips = (row) => all(".chip", row).map((chip) => chip.textContent);
    for (const name of new Set(leaders.slice(0, 1).flatMap(chips))) {
      const button = make("button", "chip", name);
      button.type = "button";
      button.setAttribute("aria-pressed", "false");
      button.addEventListener("click", () => {
        pressed.delete(name) || pressed.add(name);
        button.setAttribute("aria-pressed", pressed.has(name));
        update();
      });
      tools.append(button);
    }
    const update = () => {
      let shown = 0, whole = 0;
      for (const leader of leaders) {
        leader.hidden = leader.dataset.measure !== select.value;
        if (leader.tagName === "DETAILS") leader.open = !leader.hidden;
        for (const row of all("tbody:not(.pinned) tr", leader)) {
          row.hidden = !row.cells[row.querySelector("th").cellIndex].textContent.toLowerCase().includes(filter.value.toLowerCase())
            || ![...pressed].every((name) => chips(row).includes(name));
          if (!leader.hidden) { whole++; shown += !row.hidden; }
        }
      }
      count.textContent = filter.value || pressed.size ? `${shown} of ${whole} systems` : "";
    };
    select.addEventListener("change", update);
    filter.addEventListener("input", update);
    update();
  }

  // --- the heat map, as values or relative to any system
  for (const board of boards) {
    const select = board.querySelector(".relative"), [table, other] = all(".heat", board);
    if (!select || !table) continue;
    select.closest(".tools").hidden = false;
    const rows = all("tbody tr", table).map((row) => ({ row, cells: all("td", row), name: row.cells[0].textContent }));
    const kept = rows.map(({ cells }) => cells.map((cell) => [cell.className, [...cell.childNodes]]));
    rows.forEach(({ name }, place) => select.append(new Option(`difference from ${name}`, place)));
    if (other) {
      const hidden = other.closest(".scroll");
      hidden.hidden = hidden.previousElementSibling.hidden = true;
      select.add(new Option("difference from the first stage, tested", "tested"), 1);
    }
    select.addEventListener("change", () => {
      const tested = select.value === "tested";
      if (other) {
        for (const [part, off] of [[table, tested], [other, !tested]]) {
          part.closest(".scroll").hidden = off;
          part.closest(".scroll").previousElementSibling.hidden = off;
        }
      }
      if (tested) return;
      const base = select.value === "" ? null : rows[Number(select.value)];
      rows.forEach(({ cells }, i) => cells.forEach((cell, j) => {
        const small = kept[i][j][0].includes("small") ? " small" : "";
        if (!base) { cell.className = kept[i][j][0]; cell.replaceChildren(...kept[i][j][1]); return; }
        const own = parseFloat(cell.dataset.value), from = parseFloat(base.cells[j].dataset.value), gap = own - from;
        cell.className = Number.isNaN(gap) ? "" : `${gap > 0 ? "u" : "d"}${Math.min(5, Math.round(Math.abs(gap) * 10))}${small}`;
        cell.textContent = Number.isNaN(gap) ? "–" : minus((Math.abs(gap) < 0.0005 ? "" : gap > 0 ? "+" : "-") + Math.abs(gap).toFixed(3));
      }));
    });
  }

  // --- the explorer
  const explorers = new Map();
  const explore = (place) => {
    const id = place.dataset.board, data = unpack(`${id}-index`);
    if (!data || explorers.has(id)) return;
    place.hidden = false;
    const { queries, values, systems, controls, held } = data;
    const chunk = new Map(held.flatMap((list, number) => list.map((query, at) => [query, [number, at]])));
    const own = systems.map((_, i) => i).filter((i) => !controls[i]), stage = controls.indexOf("first-stage");
    const compared = own.length ? own : systems.map((_, i) => i);
    const worst = (q) => Math.max(...compared.map((i) => values[q][i]));
    const spread = (q) => { const list = [...compared, ...(stage < 0 ? [] : [stage])].map((i) => values[q][i]); return Math.max(...list) - Math.min(...list); };
    const moved = (i, q) => values[q][i] - (stage < 0 ? 0 : values[q][stage]);
    const kinds = [["widest disagreement first", () => true, spread], ["all systems fail", (q) => worst(q) === 0, spread],
      ["in the data set's order", () => true, null]];
    if (stage >= 0) {
      for (const i of compared) {
        kinds.push([`${systems[i]}: gains on the first stage`, (q) => moved(i, q) > 0, (q) => moved(i, q)]);
        kinds.push([`${systems[i]}: losses against the first stage`, (q) => moved(i, q) < 0, (q) => -moved(i, q)]);
      }
    }
    const tools = make("p", "tools"), search = make("input"), kind = make("select"), category = make("select");
    const label = (text, control) => { const element = make("label", "", `${text} `); element.append(control); tools.append(element); };
    search.type = "search";
    search.placeholder = "id or words";
    kinds.forEach(([name], i) => kind.append(new Option(name, i)));
    category.append(new Option("all", ""));
    for (const name of [...new Set(queries.map((query) => query[1]))].filter(Boolean).sort()) category.append(new Option(name));
    label("Search", search); label("Show", kind); label("Category", category);
    const count = make("p", "soft"), list = make("ul", "found"), detail = make("div", "detail");
    count.setAttribute("role", "status");
    detail.tabIndex = -1;
    if (data.why) place.append(make("p", "soft", `Ids only: ${data.why}.`));
    place.append(tools, count, list, detail);
    const open = (q, link) => {
      all("[aria-pressed=true]", list).forEach((button) => button.setAttribute("aria-pressed", "false"));
      list.querySelector(`[data-query="${q}"]`)?.setAttribute("aria-pressed", "true");
      draw(detail, data, q, chunk.get(q), id);
      if (link) history.replaceState(null, "", `#q=${encodeURIComponent(queries[q][0])}${boards.length > 1 ? `&d=${id}` : ""}`);
    };
    const update = () => {
      const [, keep, by] = kinds[kind.value], words = search.value.toLowerCase();
      const found = queries.map((_, q) => q).filter((q) => keep(q) && (!category.value || queries[q][1] === category.value)
        && (!words || `${queries[q][0]}\n${queries[q][2]}`.toLowerCase().includes(words)));
      if (by) found.sort((a, b) => by(b) - by(a) || a - b);
      const most = 100;
      count.textContent = `${found.length.toLocaleString("en")} queries${found.length > most ? `, the first ${most} of them here` : ""}; ${data.detailed.toLocaleString("en")} of ${queries.length.toLocaleString("en")} in detail.`;
      list.replaceChildren(...found.slice(0, most).map((q) => {
        const item = make("li"), button = make("button"), left = make("span"), text = make("span", "", queries[q][2] || queries[q][0]);
        text.dir = "auto";
        left.append(text, make("span", "id", `  ${[queries[q][2] ? queries[q][0] : "", queries[q][1]].filter(Boolean).join(" · ")}`));
        const best = compared.slice(0, 3).map((i) => (values[q][i] / 1000).toFixed(2)).join("  ");
        button.append(left, make("span", "id", best));
        button.type = "button";
        button.dataset.query = q;
        button.setAttribute("aria-pressed", "false");
        button.addEventListener("click", () => { open(q, true); detail.focus({ preventScroll: true }); });
        item.append(button);
        return item;
      }));
      list.hidden = !found.length;
    };
    [search, kind, category].forEach((control) => control.addEventListener(control === search ? "input" : "change", update));
    update();
    explorers.set(id, (name) => {
      const q = queries.findIndex((query) => query[0] === name);
      if (q >= 0) open(q, false);
      return q >= 0;
    });
  };
  const draw = (detail, data, q, where, id) => {
    const [name, category, text] = data.queries[q];
    const found = where && unpack(`${id}-chunk-${where[0]}`)[where[1]];
    const asked = make("div", "asked");
    for (const turn of found?.context ?? []) { const said = make("p", "soft", turn); said.dir = "auto"; asked.append(said); }
    const question = make("p", "ask", found?.text ?? (text || name));
    question.dir = "auto";
    asked.append(question, make("p", "soft", [name, category, found?.asked && `asked ${found.asked}`].filter(Boolean).join(" · ")));
    detail.replaceChildren(make("h4", "", "Query"), asked);
    const orders = make("div", "orders");
    orders.tabIndex = 0;
    orders.setAttribute("role", "region");
    orders.setAttribute("aria-label", "Orders of the systems, side by side");
    const turn = (i) => (data.controls[i] === "first-stage" ? 0 : data.controls[i] ? 2 : 1);
    data.systems.map((system, i) => [system, i]).sort(([, a], [, b]) => turn(a) - turn(b) || a - b).forEach(([system, i]) => {
      const column = make("section"), rows = found?.systems[i];
      column.append(make("h5", "", `${system}: ${data.headline} ${(data.values[q][i] / 1000).toFixed(3)}`));
      if (rows) {
        const [docs, deep, scores, status] = rows, list = make("ol"), top = docs.length - deep.length;
        if (status !== "ok") column.append(make("p", "down", `${status}: keeps the first stage's order`));
        docs.forEach((number, at) => {
          const [docId, grade, from, memory] = found.docs[number], rank = at < top ? at + 1 : deep[at - top], gap = from - rank;
          if (at >= top && rank > (at === top ? top : deep[at - top - 1]) + 1) list.append(make("li", "gap", "⋯"));
          const line = make("li", grade ? "hit" : ""), move = make("span", gap > 0 ? "up" : gap < 0 ? "down" : "soft");
          move.textContent = `${scores.length ? minus(String(scores[at])) : ""} ${gap > 0 ? `↑${gap}` : gap < 0 ? `↓${-gap}` : "="}`;
          line.append(make("span", "place", `${rank}`), make("span", "id", `${grade ? "★ " : ""}${docId}${grade > 1 ? ` (grade ${grade})` : ""}`), move);
          if (memory) { const words = make("span", "text", memory); words.dir = "auto"; line.append(words); }
          list.append(line);
        });
        column.append(list);
      }
      if (rows || !found) orders.append(column);
    });
    detail.append(make("p", "soft", found ? `★ relevant; arrows: places moved from the first stage's order of ${found.depth}.`
      : "This page holds only the values of this query; `memeval show RESULTS --query` or --detail full shows its orders."), orders);
    if (found?.missed.length) detail.append(make("p", "", `Relevant, but not among the candidates: ${found.missed.join(", ")}`));
  };
  const follow = () => {
    const hash = location.hash.slice(1), parts = new URLSearchParams(hash);
    const target = hash && !parts.has("q") && document.getElementById(hash);
    const board = target && target.closest(".board");
    if (board && boards.length > 1) { show(board.id); target.scrollIntoView({ behavior: "instant" }); }
    if (!parts.has("q")) return;
    const places = all(".explorer").filter((place) => !parts.has("d") || place.dataset.board === parts.get("d"));
    for (const place of places) {
      explore(place);
      if (explorers.get(place.dataset.board)?.(parts.get("q"))) {
        if (boards.length > 1) show(place.dataset.board);
        place.querySelector(".detail").scrollIntoView({ behavior: "instant" });
        return;
      }
    }
  };
  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      const explorer = target.querySelector(".explorer");
      if (explorer) explore(explorer);
      for (const link of all(".parts a", target.closest(".board"))) {
        if (link.hash === `#${target.id}`) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current");
      }
    }
  }, { rootMargin: "-15% 0px -70% 0px" });
  all(".part").forEach((part) => seen.observe(part));
  addEventListener("hashchange", follow);
  follow();
})();
