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
  const region = (element, label) => {
    element.tabIndex = 0;
    element.setAttribute("role", "region");
    element.setAttribute("aria-label", label);
  };
  const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];
  const minus = (text) => text.replace("-", "−");

  // --- sorting: numbers by value, dashes last, controls stay where they are
  const value = (cell) => {
    const text = cell.textContent.trim().replaceAll("−", "-").replaceAll(",", "");
    const number = /^[+]?(-?[\d.]+(?:e[+-]\d+)?)/.exec(text);
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
      select.add(new Option(`difference from ${select.dataset.against}, tested`, "tested"), 1);
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
        cell.textContent = shown(gap, true);
      }));
    });
  }

  // --- the numbers behind the page: a measure's value of each query, from ranks, grades and what passed a threshold
  const SLICE = "slice · ";
  const numbers = (id) => { // a query has no value of some measures: NaN
    const data = unpack(`${id}-data`);
    if (data && !data.known) {
      data.known = true;
      for (const { values } of data.systems) for (const name of Object.keys(values)) values[name] = values[name].map((x) => x ?? NaN);
    }
    return data;
  };
  const valuesOf = ({ systems, grades }, i, measure) => {
    const system = systems[i];
    if (!system.values[measure]) {
      const [stem, cut] = measure.split("@");
      const gain = (grades, ranks) => grades.reduce((sum, grade, n) => sum + (ranks[n] ? grade / Math.log2(ranks[n] + 1) : 0), 0);
      system.values[measure] = (system.ranks ?? []).map((every, n) => {
        const own = grades[n], last = cut ? Number(cut) : stem === "F1" ? system.let_in[n] : Infinity;
        const ranks = every.map((rank) => (rank <= last ? rank : 0)), there = ranks.filter(Boolean).sort((a, b) => a - b);
        if (stem === "NDCG") return gain(own, ranks) / gain(own.slice(0, last), own.map((_, place) => place + 1));
        if (stem === "MRR") return there.length ? 1 / there[0] : 0;
        if (stem === "MAP") return there.reduce((sum, rank, place) => sum + (place + 1) / rank, 0) / own.length;
        return stem === "F1" ? (2 * there.length) / (last + own.length) : there.length / own.length;
      });
    }
    return system.values[measure];
  };
  const groupsOf = (data) => [...[...new Set(data.categories)].filter(Boolean).sort(), ...Object.keys(data.slices).map((name) => SLICE + name)];
  const placesOf = (data, group) => (group.startsWith(SLICE) ? data.slices[group.slice(SLICE.length)] ?? []
    : data.query_ids.map((_, q) => q).filter((q) => !group || data.categories[q] === group));
  const width = (list) => Math.max(...list) - Math.min(...list);
  const systemOf = (data, name) => data.systems.findIndex((system) => system.name === name || system.shown === name);
  const fixed = (value) => { // as Python writes it: halves that are exact in binary go to the even side
    if (value >= 1e9) return value.toExponential(3).replace(/\+(\d)$/, "+0$1");
    const x = Number(value.toPrecision(12)), even = Number.isInteger(x * 1048576) && (x * 2000) % 4 === 1;
    return (even ? Math.floor(x * 1000) / 1000 : x).toFixed(3);
  };
  const shown = (x, sign) => {
    if (x === undefined || Number.isNaN(x)) return "–";
    const size = fixed(Math.abs(x));
    return Number(size) || !sign ? `${x < 0 && Number(size) ? "−" : sign ? "+" : ""}${size}` : size;
  };

  // --- paired differences: the interval of measures/statistics.py
  const logGamma = (x) => {
    let before = 0;
    for (; x < 9; x++) before += Math.log(x);
    const z = 1 / (x * x);
    return (x - 0.5) * Math.log(x) - x + Math.log(2 * Math.PI) / 2 + (1 / 12 - z * (1 / 360 - z * (1 / 1260 - z / 1680))) / x - before;
  };
  const student = (freedom) => { // its quantile at .975, by halving x where both tails together, I_x(freedom/2, 1/2), are .05
    const a = freedom / 2, b = 0.5, scale = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b)) / a;
    const tails = (x) => {
      let f = 1;
      for (let m = 300; m > 0; m--) {
        f = 1 + (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m)) / f;
        f = 1 - ((a + m - 1) * (a + b + m - 1) * x) / ((a + 2 * m - 2) * (a + 2 * m - 1)) / f;
      }
      return (scale * x ** a * (1 - x) ** b) / f;
    };
    let low = 0, high = (a + 1) / (a + b + 2);
    for (let n = 0; n < 80; n++) { const x = (low + high) / 2; if (tails(x) < 0.05) low = x; else high = x; }
    return Math.sqrt(freedom * (1 / low - 1));
  };
  const paired = (ours, theirs, units) => {
    const moved = ours.map((x, q) => x - theirs[q]), n = moved.length, sums = new Map(), whole = new Set(units).size > 1;
    const total = (list) => list.reduce((sum, x) => sum + x, 0);
    moved.forEach((x, q) => {
      const unit = sums.get(whole ? units[q] : q) ?? [0, 0];
      sums.set(whole ? units[q] : q, [unit[0] + x, unit[1] + 1]);
    });
    const mean = total(moved) / n, clusters = [...sums.values()];
    if (clusters.length < 2) return { mean };
    const variance = total(clusters.map(([sum, size]) => (sum - size * mean) ** 2 / (1 - size / n))) / n ** 2;
    const pull = clusters.map(([, size]) => size ** 2 / (1 - size / n));
    const freedom = n ** 2 / (total(clusters.map(([, size]) => size ** 2)) + (total(pull) ** 2 - total(pull.map((x) => x * x))) / n ** 2);
    const most = Math.max(...moved), least = Math.min(...moved), unseen = Math.min(1, 3 / Math.max(1, moved.filter(Boolean).length));
    const [lower, upper] = least === most ? [least, most] : [Math.min(least, -most * unseen), Math.max(most, -least * unseen)];
    const range = upper - lower;
    if (!range || (!variance && lower < mean && mean < upper)) return { mean, low: mean, high: mean };
    const place = (mean - lower) / range, spread = Math.max(place * (1 - place), 0);
    let size = n, own = freedom;
    if (variance) {
      size = (Math.max(spread, 1e-12) * range ** 2) / variance;
      own = Math.max(1, 2 / (2 / freedom + Math.max(0, 1 - 6 * spread) / Math.max(spread, 1e-12) / size));
    }
    const share = student(own) ** 2 / size, middle = (place + share / 2) / (1 + share);
    const reach = Math.sqrt(share * spread + share ** 2 / 4) / (1 + share);
    return {
      mean,
      low: Math.max(lower, Math.min(mean, lower + range * (middle - reach))),
      high: Math.min(upper, Math.max(mean, lower + range * (middle + reach))),
    };
  };

  // --- every number leads to its queries
  const address = (state) => `#${Object.entries(state).map(([key, text]) => `${key}=${[].concat(text).map(encodeURIComponent).join(",")}`).join("&")}`;
  const link = (text, state) => { const a = make("a", "to", text); a.href = address(state); return a; };
  const nameOf = (row) => {
    const header = row.querySelector("th.name"), text = header && [...header.childNodes].find((node) => node.nodeType === 3 && node.textContent.trim());
    return text ? text.textContent.trim() : "";
  };
  const linked = (cell, state) => {
    const first = [...cell.childNodes].find((node) => node.textContent.trim());
    if (!first || !/^[+−]?[\d.]/.test(first.textContent.trim())) return;
    const a = link(undefined, state);
    first.replaceWith(a);
    a.append(first);
  };

  // --- the explorer
  const explorers = new Map();
  const explore = (place) => {
    const id = place.dataset.board;
    if (explorers.has(id)) return explorers.get(id);
    const index = unpack(`${id}-index`);
    if (!index) return null;
    const data = numbers(id), { queries, held } = index, every = data.systems.map((_, i) => i);
    place.hidden = false;
    const chunk = new Map(held.flatMap((list, number) => list.map((query, at) => [query, [number, at]])));
    const own = every.filter((i) => !data.systems[i].control), stage = data.systems.findIndex((system) => system.control === "first-stage");
    const compared = own.length ? own : every, best = compared[0], other = stage >= 0 ? stage : compared[1] ?? every.find((i) => i !== best) ?? best;
    const names = data.systems.map((system) => system.shown), part = (selector) => place.querySelector(selector);
    const [s, a, b, m, c] = ["s", "a", "b", "m", "c"].map((name) => part(`select.${name}`)), controls = { s, a, b, m, c };
    const initial = { s: "spread", a: best, b: other, m: data.headline, c: "" };
    names.forEach((name, i) => { a.append(new Option(name, i)); b.append(new Option(name, i)); });
    data.measures.forEach((name) => m.append(new Option(name)));
    groupsOf(data).forEach((name) => c.append(new Option(name)));
    const search = part(".search"), count = part("[role=status]"), table = make("table", "found"), head = table.createTHead().insertRow(), body = table.createTBody(), more = part(".more"), detail = part(".detail");
    more.before(table);
    if (index.why) place.prepend(make("p", "soft", `Ids only: ${index.why}.`));
    let found = [], length = 0, picked = -1;
    const value = (i, q) => valuesOf(data, i, m.value)[q];
    const gap = (q) => value(a.value, q) - value(b.value, q);
    const spread = (q) => width([...compared, ...(stage < 0 ? [] : [stage])].map((i) => value(i, q)));
    const ways = {
      spread: [() => true, spread], below: [(q) => gap(q) < 0, (q) => -gap(q)], above: [(q) => gap(q) > 0, gap], low: [() => true, (q) => -value(a.value, q)],
      fail: [(q) => compared.every((i) => value(i, q) === 0), spread], all: [() => true, null],
    };
    const open = (q) => {
      picked = q;
      for (const button of all("button", body)) button.setAttribute("aria-pressed", String(Number(button.dataset.query) === q));
      draw(detail, { index, data, q, id, where: chunk.get(q), first: [Number(a.value), Number(b.value)], measure: m.value });
    };
    const page = () => {
      for (const q of found.slice(length, length += 50)) {
        const row = body.insertRow(), header = make("th", "name"), button = make("button"), text = make("span", "", queries[q][2] || queries[q][0]);
        header.scope = "row";
        text.dir = "auto";
        button.type = "button";
        button.dataset.query = q;
        button.setAttribute("aria-pressed", String(q === picked));
        button.append(text, make("span", "id", [queries[q][2] ? queries[q][0] : "", queries[q][1]].filter(Boolean).join(" · ")));
        button.addEventListener("click", () => {
          open(q);
          history.replaceState(null, "", address({ q: queries[q][0], ...(boards.length > 1 ? { d: id } : {}) }));
          detail.focus({ preventScroll: true });
        });
        header.append(button);
        row.append(header, make("td", "", shown(value(a.value, q))), make("td", "", shown(value(b.value, q))), make("td", "", shown(gap(q), true)));
      }
      more.hidden = length >= found.length;
      more.textContent = `more: ${Math.min(50, found.length - length)} of ${(found.length - length).toLocaleString("en")}`;
    };
    const update = () => {
      const [keep, by] = ways[s.value], words = search.value.toLowerCase();
      found = placesOf(data, c.value).filter((q) => keep(q) && (!words || `${queries[q][0]}\n${queries[q][2]}`.toLowerCase().includes(words)));
      if (by) {
        const size = new Map(found.map((q) => [q, by(q)]));
        found = found.filter((q) => !Number.isNaN(size.get(q))).sort((x, y) => size.get(y) - size.get(x) || x - y);
      }
      head.replaceChildren(...["query", `A: ${names[a.value]}`, `B: ${names[b.value]}`, "A − B"].map((text, n) => {
        const header = make("th", n ? "" : "name", text);
        header.scope = "col";
        return header;
      }));
      body.replaceChildren();
      length = 0;
      page();
      count.textContent = `${found.length.toLocaleString("en")} queries, values of ${m.value}; ${index.detailed.toLocaleString("en")} of ${queries.length.toLocaleString("en")} are here in detail.`;
      table.hidden = !found.length;
      if (picked >= 0) open(picked);
    };
    more.addEventListener("click", page);
    for (const control of [search, s, a, b, m, c]) control.addEventListener(control === search ? "input" : "change", update);
    const set = (state) => {
      search.value = "";
      for (const [key, control] of Object.entries(controls)) {
        control.value = state[key] ?? initial[key];
        if (control.selectedIndex < 0) control.value = initial[key];
      }
      update();
    };
    set({});
    const explorer = {
      set,
      open: (name) => { const q = data.query_ids.indexOf(name); if (q >= 0) open(q); return q >= 0; },
      first: () => found.length && open(found[0]),
    };
    explorers.set(id, explorer);
    return explorer;
  };
  const draw = (detail, { index, data, q, id, where, first, measure }) => {
    const [name, category, text] = index.queries[q];
    const found = where && unpack(`${id}-chunk-${where[0]}`)[where[1]];
    const asked = make("div", "asked");
    for (const turn of found?.context ?? []) { const said = make("p", "soft", turn); said.dir = "auto"; asked.append(said); }
    const question = make("p", "ask", found?.text ?? (text || name));
    question.dir = "auto";
    asked.append(question, make("p", "soft", [name, category, found?.asked && `asked ${found.asked}`].filter(Boolean).join(" · ")));
    detail.replaceChildren(make("h4", "", "Query"), asked);
    const orders = make("div", "orders");
    region(orders, "Orders of the systems, side by side");
    const turn = (i) => (first.includes(i) ? first.indexOf(i) - 9 : data.systems[i].control === "first-stage" ? 0 : data.systems[i].control ? 2 : 1);
    data.systems.map((system, i) => [system.shown, i]).sort(([, a], [, b]) => turn(a) - turn(b) || a - b).forEach(([system, i]) => {
      const column = make("section"), rows = found?.systems[i];
      column.append(make("h5", "", `${system}: ${measure} ${shown(valuesOf(data, i, measure)[q])}`));
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
  // --- two to four systems side by side
  const count = (list) => list.length.toLocaleString("en");
  const MOST = 4, trays = new Map();
  const grid = (caption, heads, rows) => {
    const scroll = make("div", "scroll"), table = make("table");
    const fill = (row, contents, tag, scope) => contents.forEach((content, place) => {
      const cell = make(place ? tag : "th", place ? "" : "name");
      if (cell.tagName === "TH") cell.scope = scope;
      cell.append(...[content].flat());
      row.append(cell);
    });
    table.createCaption().append(make("span", "", caption));
    fill(table.createTHead().insertRow(), heads, "th", "col");
    const body = table.createTBody();
    rows.forEach((row) => fill(body.insertRow(), row, "td", "row"));
    region(scroll, caption);
    scroll.append(table);
    return scroll;
  };
  const tray = (board) => {
    const place = board.querySelector(".compare"), bar = board.querySelector(".tray"), select = place.querySelector("select"), ticks = [];
    let chosen = [];
    const result = () => {
      const data = numbers(board.id), systems = chosen.map((name) => systemOf(data, name)), [base, ...others] = systems;
      const units = data.unit === "query" ? data.query_ids : data.store_ids, names = systems.map((i) => data.systems[i].shown);
      const groups = groupsOf(data).filter((group) => placesOf(data, group).length), measure = select.value || data.headline;
      const line = (label, of, group) => {
        const inside = placesOf(data, group), queries = inside.filter((q) => systems.every((i) => !Number.isNaN(valuesOf(data, i, of)[q])));
        if (!group && queries.length < inside.length) label = `${label} (n\u00a0=\u00a0${count(queries)})`;
        const pick = (i) => queries.map((q) => valuesOf(data, i, of)[q]);
        const state = (i, s) => ({ find: board.id, a: data.systems[i].name, b: data.systems[base].name, m: of, c: group, s });
        const mean = (list) => list.reduce((sum, x) => sum + x, 0) / list.length;
        return [label, ...systems.map((i) => link(shown(mean(pick(i))), state(i, "low"))), ...others.map((i) => {
          const [ours, theirs] = [pick(i), pick(base)], { mean: apart, low, high } = paired(ours, theirs, queries.map((q) => units[q]));
          if (!ours.length) return "–";
          if (ours.every((x, q) => x === theirs[q])) return make("span", "", "identical");
          const range = make("span", "range", low === undefined ? "" : `[${shown(low, true)}, ${shown(high, true)}]`), to = link(shown(apart, true), state(i, apart < 0 ? "below" : "above"));
          to.dataset.exact = [apart, low, high].join(" ");
          return [to, range];
        })];
      };
      const heads = (what) => [what, ...names, ...others.map((i) => `${data.systems[i].shown} − ${names[0]}`)];
      const spread = (q) => width(systems.map((i) => valuesOf(data, i, measure)[q]));
      const moved = data.query_ids.map((name, q) => [spread(q), q, name]).filter(([size]) => size > 0).sort(([x, p], [y, q]) => y - x || p - q);
      select.replaceChildren(...data.measures.map((name) => new Option(name)));
      select.value = measure;
      place.querySelector("h4").textContent = `Compared: ${names.join(", ")}`;
      place.querySelector(".compared").replaceChildren(
        grid("Every measure, over all queries.", heads("measure"), data.measures.map((name) => line(name, name, ""))),
        grid(`${measure} by category and slice.`, heads("category"), groups.map((group) => line(`${group} (n\u00a0=\u00a0${count(placesOf(data, group))})`, measure, group))),
        grid(`The queries that moved most, of ${count(moved)} on which ${measure} differs.`, ["query", ...names], moved.slice(0, 10).map(([, q, name]) => [
          link(name, { q: name, d: board.id, a: data.systems[others[0]].name, b: data.systems[base].name, m: measure }), ...systems.map((i) => shown(valuesOf(data, i, measure)[q])),
        ])));
      place.hidden = false;
    };
    const update = (write) => {
      for (const tick of ticks) { tick.checked = chosen.includes(tick.value); tick.disabled = !tick.checked && chosen.length >= MOST; }
      bar.hidden = !chosen.length;
      bar.querySelector(".go").disabled = chosen.length < 2;
      bar.querySelector("span").textContent = `${chosen.join(" · ")}${chosen.length < 2 ? ": tick one to three more to compare" : chosen.length < MOST ? "" : ": that is the most"}`;
      if (chosen.length > 1) result(); else place.hidden = true;
      if (write) history.replaceState(null, "", chosen.length > 1 ? address({ compare: chosen, ...(boards.length > 1 ? { d: board.id } : {}) }) : `#${board.id}`);
    };
    for (const row of all("#" + board.id + "-leaderboard tbody tr")) {
      const name = nameOf(row);
      if (!name || !row.querySelector("a.to")) continue; // nothing was measured
      const tick = make("input", "tick");
      tick.type = "checkbox";
      tick.value = name;
      tick.setAttribute("aria-label", `compare ${name}`);
      tick.addEventListener("change", () => { chosen = tick.checked ? [...chosen, name] : chosen.filter((other) => other !== name); update(true); });
      row.querySelector("th.name").prepend(tick);
      ticks.push(tick);
    }
    select.addEventListener("change", result);
    bar.querySelector(".go").addEventListener("click", () => place.scrollIntoView());
    bar.querySelector(".clear").addEventListener("click", () => { chosen = []; update(true); });
    return (names) => {
      const data = numbers(board.id), known = names.map((name) => data.systems[systemOf(data, name)]?.shown);
      if (known.includes(undefined) || known.length < 2) return false;
      chosen = [...new Set(known)].slice(0, MOST);
      update(false);
      place.scrollIntoView({ behavior: "instant" });
      return true;
    };
  };
  for (const board of boards) {
    const measures = new Set(all(".leader", board).map((leader) => leader.dataset.measure)), way = (cell) => (cell.textContent.trim().startsWith("−") ? "below" : "above");
    const leads = (table, state) => {
      const heads = all("thead th", table).map((header) => [...header.querySelectorAll("button"), header][0].firstChild.textContent.trim());
      for (const row of all("tbody tr", table)) {
        const name = nameOf(row);
        [...row.cells].forEach((cell, place) => { const more = name && cell.tagName === "TD" && state(heads[place], cell); if (more) linked(cell, { find: board.id, a: name, ...more }); });
      }
    };
    for (const table of all(`#${board.id}-leaderboard table`)) {
      const own = table.closest(".leader")?.dataset.measure;
      leads(table, (head, cell) => (measures.has(head) ? { m: head, s: "low" } : own && head.startsWith("vs ") && { m: own, s: way(cell) }));
    }
    for (const table of all(".heat", board)) {
      const is = (word) => table.closest(".scroll").getAttribute("aria-labelledby").includes(word);
      leads(table, (head, cell) => ({ c: (is("slices") ? SLICE : "") + head, s: is("relative") ? way(cell) : "low" }));
    }
    if (board.querySelector(".compare")) trays.set(board.id, tray(board));
  }

  // --- the address says what is shown
  const follow = () => {
    const hash = location.hash.slice(1), parts = new URLSearchParams(hash.replaceAll("+", "%2B"));
    const state = parts.has("q") || parts.has("find") || parts.has("compare");
    const target = hash && !state && document.getElementById(hash);
    const board = target && target.closest(".board");
    if (board && boards.length > 1) { show(board.id); target.scrollIntoView({ behavior: "instant" }); }
    if (!state) return;
    const wanted = parts.get("d") ?? parts.get("find");
    if (parts.has("compare")) {
      const names = /(?:^|&)compare=([^&]*)/.exec(hash)[1].split(",").map(decodeURIComponent);
      for (const [id, compare] of trays) {
        if (wanted && id !== wanted) continue;
        if (boards.length > 1) show(id);
        if (compare(names)) return;
      }
      return;
    }
    for (const place of all(".explorer").filter((one) => !wanted || one.dataset.board === wanted)) {
      const explorer = explore(place), data = explorer && numbers(place.dataset.board);
      if (!explorer) continue;
      const at = (key) => { const i = systemOf(data, parts.get(key)); return i < 0 ? undefined : i; };
      if (parts.has("find") || parts.has("a")) explorer.set({ ...Object.fromEntries(parts), a: at("a"), b: at("b") });
      if (parts.has("q") && !explorer.open(parts.get("q"))) continue;
      if (boards.length > 1) show(place.dataset.board);
      if (!parts.has("q")) explorer.first();
      (parts.has("q") ? place.querySelector(".detail") : place).scrollIntoView({ behavior: "instant" });
      return;
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
