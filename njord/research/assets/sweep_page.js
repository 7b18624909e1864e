/* The map of a sweep: any two axes as a heat map, one axis as a line; the others best, mean or at a fixed value. */
(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const box = document.getElementById("heat");
  const choices = document.getElementById("choices");
  const readout = document.getElementById("map-readout");
  const SVG = "http://www.w3.org/2000/svg";
  const MINUS = "\u2212";
  const ALL = "all";
  const { axes, metrics, best, near, points, pairs } = data;

  // --- text ---
  const plain = (x, digits) => (x === 0 ? 0 : x).toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }).replace("-", MINUS);
  const say = (x, metric) => {
    if (x === null || x === undefined) return "no value";
    if (metric.kind === "percent") return plain(100 * x, 2) + "%";
    if (metric.kind === "count") return plain(x, Number.isInteger(x) ? 0 : 1);
    return plain(x, 2);
  };
  const told = (axis, cell) => (axis.ends && axis.ends[cell] !== axis.labels[cell] ? `${axis.labels[cell]} to ${axis.ends[cell]}` : axis.labels[cell]);
  const short = (text, n) => (text.length > n ? text.slice(0, n - 1) + "\u2026" : text);

  // --- choices ---
  const select = (label, options, at) => {
    const holder = document.createElement("label");
    holder.append(label);
    const element = document.createElement("select");
    options.forEach(([value, text]) => element.append(new Option(text, value)));
    element.value = String(at);
    element.addEventListener("change", () => { settle(element); draw(); });
    holder.append(element);
    choices.append(holder);
    return element;
  };
  const names = axes.map((axis, i) => [String(i), axis.name]);
  const isLine = axes.length === 1;
  const metricBox = select("Shown", metrics.map((metric, i) => [String(i), metric.name[0].toUpperCase() + metric.name.slice(1)]), 0);
  const acrossBox = isLine ? null : select("Across", names, 0);
  const upBox = isLine ? null : select("Up", names, 1);
  const others = () => axes.map((_, i) => i).filter((i) => !chosen().includes(i));
  const chosen = () => (isLine ? [0] : [Number(acrossBox.value), Number(upBox.value)]);
  const isJoined = axes.some((axis) => axis.ends);
  const modes = [["best", isJoined || axes.length > 2 ? "best of each cell" : "every point"], ["mean", "mean of each cell"]];
  if (pairs && axes.length > 2) modes.push(["at", "at the best point"]);
  const modeBox = axes.length > 2 || isJoined ? select(axes.length > 2 ? "Other parameters" : "Cells", modes, "best") : null;
  const fixed = points && axes.length > 2
    ? axes.map((axis, i) => select(axis.name, [[ALL, "all"], ...axis.labels.map((_, cell) => [String(cell), told(axis, cell)])], ALL))
    : [];
  let before = chosen();
  const settle = (changed) => {
    const now = chosen();
    if (!isLine && now[0] === now[1]) (changed === acrossBox ? upBox : acrossBox).value = String(changed === acrossBox ? before[0] : before[1]);
    before = chosen();
    fixed.forEach((element, i) => { element.parentElement.hidden = before.includes(i); });
  };

  // --- cells: {value, n} of every cell, across first ---
  const reduced = (values, mode, better) => {
    if (!values.length) return null;
    if (mode === "mean") return values.reduce((sum, value) => sum + value, 0) / values.length;
    return values.reduce((a, b) => ((b - a) * better > 0 ? b : a));
  };
  const fromPoints = (shown, m, mode) => {
    const [a, b] = shown;
    const width = axes[a].labels.length;
    const height = b === undefined ? 1 : axes[b].labels.length;
    const found = Array.from({ length: width * height }, () => []);
    const held = fixed.map((element, i) => [i, element.value]).filter(([i, value]) => !shown.includes(i) && value !== ALL).map(([i, value]) => [i, Number(value)]);
    points.values[m].forEach((value, k) => {
      if (value === null || held.some(([i, cell]) => points.cells[i][k] !== cell)) return;
      found[points.cells[a][k] + (b === undefined ? 0 : points.cells[b][k] * width)].push(value);
    });
    return found.map((values) => ({ value: reduced(values, mode, metrics[m].better), n: values.length }));
  };
  const fromGrids = (shown, m, mode) => {
    const [a, b] = shown;
    const pair = pairs.find(({ pair: [first, second] }) => (b === undefined ? first === a : first === Math.min(a, b) && second === Math.max(a, b)));
    const grid = (pair.grids[mode] ?? pair.grids.best)[m];
    if (b === undefined) return grid.map((value) => ({ value }));
    const width = axes[a].labels.length;
    const height = axes[b].labels.length;
    return Array.from({ length: width * height }, (_, k) => {
      const [x, y] = [k % width, Math.floor(k / width)];
      return { value: a < b ? grid[x * height + y] : grid[y * width + x] };
    });
  };

  // --- colors ---
  const css = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const rgb = (text) => {
    if (!text.startsWith("#")) return text.split(/\s+/).map(Number);
    const full = text.length === 4 ? [...text.slice(1)].map((c) => c + c).join("") : text.slice(1);
    return [0, 2, 4].map((at) => parseInt(full.slice(at, at + 2), 16));
  };
  const between = (from, to, t) => from.map((part, i) => Math.round(part + (to[i] - part) * t));
  // Faint in the middle, and towards the ink at the end: lightness alone tells the strength, in either theme.
  const ramps = () => {
    const [card, ink] = [rgb(css("--card")), rgb(css("--ink"))];
    const farthest = card[0] > ink[0] ? 0.5 : 0.2;
    const one = (full) => (t) => (t < 0.6 ? between(between(card, full, 0.1), full, t / 0.6) : between(full, between(full, ink, farthest), (t - 0.6) / 0.4));
    return { good: one(rgb(css("--gain-rgb"))), bad: one(rgb(css("--loss-rgb"))) };
  };
  const scaleOf = (cells, metric) => {
    const values = cells.flatMap(({ value }) => (value === null ? [] : [value]));
    if (!values.length) return null;
    const [low, high] = [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
    if (metric.middle === null) {
      const span = high - low || 1;
      return { low, high, at: (value) => [1, metric.better > 0 ? (value - low) / span : (high - value) / span] };
    }
    const reach = Math.max(Math.abs(high - metric.middle), Math.abs(low - metric.middle)) || 1;
    return {
      low: Math.min(low, metric.middle),
      high: Math.max(high, metric.middle),
      at: (value) => [(value - metric.middle) * metric.better, Math.abs(value - metric.middle) / reach],
    };
  };
  const colorOf = (scale, both) => (value) => {
    const [side, t] = scale.at(value);
    return (side >= 0 ? both.good : both.bad)(t);
  };

  // --- drawing ---
  const node = (name, attributes, text) => {
    const made = document.createElementNS(SVG, name);
    Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
    if (text !== undefined) made.textContent = text;
    return made;
  };
  let pointed = -1;
  let shownNow = null;
  const tell = (cell) => {
    const { shown, cells, width, metric, mode } = shownNow;
    pointed = cell;
    const [x, y] = [cell % width, Math.floor(cell / width)];
    const where = shown.map((axis, k) => `${axes[axis].name} ${told(axes[axis], k ? y : x)}`).join(" \u00b7 ");
    const { value, n } = cells[cell];
    const of = n > 1 ? ` (${mode === "mean" ? "mean" : "best"} of ${n.toLocaleString("en-US")} points)` : "";
    readout.textContent = `${where}: ${metric.name} ${say(value, metric)}${of}`;
    shownNow.point(x, y);
  };
  // Labels that fit: each takes `size` pixels.
  const every = (n, room, size) => Math.max(1, Math.ceil((n * size) / room));
  const bottomLabels = (svg, axis, roomPx) => {
    const texts = axis.labels.map((text) => short(text, 12));
    const step = every(texts.length, roomPx, 12 + 6.6 * texts.reduce((most, text) => Math.max(most, text.length), 0));
    texts.forEach((text, i) => {
      if (i % step) return;
      const at = ((i + 0.5) / texts.length) * roomPx;
      const half = 3.3 * text.length;
      svg.append(node("text", { x: Math.min(roomPx - half, Math.max(half, at)), y: 14, "text-anchor": "middle" }, text));
    });
    svg.append(node("text", { x: roomPx / 2, y: 32, "text-anchor": "middle", class: "axis-name" }, `${short(axis.name, Math.max(4, Math.floor(roomPx / 8)))} \u2192`));
  };
  const frame = (gutter, height) => {
    const area = document.createElement("div");
    area.className = "grid-area";
    const left = node("svg", { class: "names", width: gutter, height, "aria-hidden": "true" });
    const field = document.createElement("div");
    field.className = "cells";
    area.append(left, field);
    box.replaceChildren(area);
    return { left, field };
  };
  const legend = (scale, both, metric) => {
    const ramp = document.createElement("div");
    ramp.className = "ramp";
    const canvas = document.createElement("canvas");
    canvas.width = 120;
    canvas.height = 1;
    const pen = canvas.getContext("2d");
    const color = colorOf(scale, both);
    for (let i = 0; i < 120; i += 1) {
      pen.fillStyle = `rgb(${color(scale.low + ((scale.high - scale.low) * i) / 119)})`;
      pen.fillRect(i, 0, 1, 1);
    }
    const text = (value) => Object.assign(document.createElement("span"), { textContent: value });
    const none = text("no value");
    none.className = "none";
    const how = metric.middle === null ? "the stronger, the better" : `blue is better than ${say(metric.middle, metric)}, orange is worse`;
    ramp.append(text(say(scale.low, metric)), canvas, text(say(scale.high, metric)), text(how), none);
    box.append(ramp);
  };

  const heat = (shown, cells, metric) => {
    const [a, b] = shown;
    const [width, height] = [axes[a].labels.length, axes[b].labels.length];
    const yTexts = axes[b].labels.map((text) => short(text, 12));
    const gutter = Math.round(12 + 6.6 * yTexts.reduce((most, text) => Math.max(most, text.length), 3));
    const roomPx = box.clientWidth - gutter;
    const high = Math.round(Math.max(120, Math.min(height * 44, roomPx * 0.62, 460)));
    const { left, field } = frame(gutter, high);
    const up = document.createElement("p");
    up.className = "up";
    up.textContent = `\u2191 ${axes[b].name}`;
    box.prepend(up);
    const step = every(height, high, 18);
    yTexts.forEach((text, i) => {
      if (i % step === 0) left.append(node("text", { x: gutter - 7, y: high - ((i + 0.5) / height) * high + 4, "text-anchor": "end" }, text));
    });
    const canvas = document.createElement("canvas");
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `${metric.name} over ${axes[a].name} and ${axes[b].name}. Arrow keys move from cell to cell.`);
    const sharp = window.devicePixelRatio || 1;
    canvas.width = Math.round(roomPx * sharp);
    canvas.height = Math.round(high * sharp);
    canvas.style.height = `${high}px`;
    const pen = canvas.getContext("2d");
    const scale = scaleOf(cells, metric);
    const both = ramps();
    const [w, h] = [canvas.width / width, canvas.height / height];
    const gap = Math.min(w, h) > 9 * sharp ? sharp : 0;
    if (scale) {
      const color = colorOf(scale, both);
      cells.forEach(({ value }, k) => {
        if (value === null) return;
        const [x, y] = [k % width, height - 1 - Math.floor(k / width)];
        const [x0, y0] = [Math.round(x * w), Math.round(y * h)];
        pen.fillStyle = `rgb(${color(value)})`;
        pen.fillRect(x0, y0, Math.round((x + 1) * w) - x0 - gap, Math.round((y + 1) * h) - y0 - gap);
      });
    }
    const over = node("svg", { class: "over", width: roomPx, height: high, "aria-hidden": "true" });
    const [cw, ch] = [roomPx / width, high / height];
    const middle = (x, y) => ({ cx: (x + 0.5) * cw, cy: high - (y + 0.5) * ch });
    if (best) {
      const small = Math.max(2, Math.min(3.5, Math.min(cw, ch) / 5));
      near[a].forEach((x) => over.append(node("circle", { ...middle(x, best[b]), r: small, class: "near" })));
      near[b].forEach((y) => over.append(node("circle", { ...middle(best[a], y), r: small, class: "near" })));
      const r = Math.max(5, Math.min(10, Math.min(cw, ch) / 2.6));
      over.append(node("circle", { ...middle(best[a], best[b]), r, class: "halo" }), node("circle", { ...middle(best[a], best[b]), r, class: "best" }));
    }
    const cursor = node("rect", { width: cw, height: ch, visibility: "hidden" });
    over.append(cursor);
    const bottom = node("svg", { width: roomPx, height: 38, "aria-hidden": "true" });
    bottomLabels(bottom, axes[a], roomPx);
    field.append(canvas, over, bottom);
    if (scale) legend(scale, both, metric);
    const at = (event) => {
      const place = canvas.getBoundingClientRect();
      const x = Math.min(width - 1, Math.max(0, Math.floor(((event.clientX - place.left) / place.width) * width)));
      const y = Math.min(height - 1, Math.max(0, Math.floor(((place.bottom - event.clientY) / place.height) * height)));
      return x + y * width;
    };
    canvas.addEventListener("pointermove", (event) => tell(at(event)));
    canvas.addEventListener("click", (event) => tell(at(event)));
    canvas.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (!by) return;
      event.preventDefault();
      const [x, y] = [pointed % width, Math.floor(pointed / width)];
      tell(Math.min(width - 1, Math.max(0, x + by[0])) + Math.min(height - 1, Math.max(0, y + by[1])) * width);
    });
    const start = best ? best[a] + best[b] * width : 0;
    return { width, start, point: (x, y) => { cursor.setAttribute("x", x * cw); cursor.setAttribute("y", high - (y + 1) * ch); cursor.setAttribute("visibility", "visible"); } };
  };

  const drawLine = (shown, cells, metric) => {
    const axis = axes[shown[0]];
    const n = cells.length;
    const known = cells.flatMap(({ value }, i) => (value === null ? [] : [[i, value]]));
    const values = known.map(([, value]) => value);
    let [low, high] = values.length ? [Math.min(...values), Math.max(...values)] : [0, 1];
    const margin = (high - low) * 0.08 || Math.abs(high) * 0.1 || 1;
    [low, high] = [low - margin, high + margin];
    const power = 10 ** Math.floor(Math.log10((high - low) / 5));
    const unit = [1, 2, 5, 10, 20].map((size) => size * power).find((size) => size >= ((high - low) / 5) * (1 - 1e-9));
    const factor = metric.kind === "percent" ? 100 : 1;
    const digits = Math.max(0, -Math.floor(Math.log10(unit * factor) + 1e-9));
    const ticks = [];
    for (let i = Math.ceil(low / unit); i * unit <= high; i += 1) ticks.push(i * unit);
    const texts = ticks.map((tick) => plain(tick * factor, digits) + (factor > 1 ? "%" : ""));
    const gutter = Math.round(14 + 6.6 * texts.reduce((most, text) => Math.max(most, text.length), 3));
    const roomPx = box.clientWidth - gutter;
    const tall = 280;
    const { left, field } = frame(gutter, tall);
    const y = (value) => tall * (1 - (value - low) / (high - low));
    const x = (i) => ((i + 0.5) / n) * roomPx;
    const over = node("svg", { width: roomPx, height: tall, class: "over line", role: "img", "aria-label": `${metric.name} along ${axis.name}` });
    ticks.forEach((tick, i) => {
      left.append(node("text", { x: gutter - 7, y: y(tick) + 4, "text-anchor": "end" }, texts[i]));
      over.append(node("line", { x1: 0, x2: roomPx, y1: y(tick), y2: y(tick), class: tick === metric.middle ? "floor" : "level" }));
    });
    if (known.length > 1) over.append(node("path", { d: "M" + known.map(([i, value]) => `${x(i).toFixed(1)} ${y(value).toFixed(1)}`).join("L") }));
    known.forEach(([i, value]) => over.append(node("circle", { cx: x(i), cy: y(value), r: n > 80 ? 2 : 4, class: near[0].includes(i) ? "near" : "at" })));
    if (best && cells[best[0]].value !== null) over.append(node("circle", { cx: x(best[0]), cy: y(cells[best[0]].value), r: 9, class: "best" }));
    const cursor = node("line", { y1: 0, y2: tall, class: "floor", visibility: "hidden" });
    over.append(cursor);
    over.style.position = "static";
    over.style.pointerEvents = "auto";
    const bottom = node("svg", { width: roomPx, height: 38, "aria-hidden": "true" });
    bottomLabels(bottom, axis, roomPx);
    field.append(over, bottom);
    const at = (event) => {
      const place = over.getBoundingClientRect();
      return Math.min(n - 1, Math.max(0, Math.floor(((event.clientX - place.left) / place.width) * n)));
    };
    over.addEventListener("pointermove", (event) => tell(at(event)));
    over.addEventListener("click", (event) => tell(at(event)));
    return { width: n, start: best ? best[0] : 0, point: (i) => { cursor.setAttribute("x1", x(i)); cursor.setAttribute("x2", x(i)); cursor.setAttribute("visibility", "visible"); } };
  };

  const draw = () => {
    const shown = chosen();
    const m = Number(metricBox.value);
    const mode = modeBox ? modeBox.value : "best";
    const cells = (points ? fromPoints : fromGrids)(shown, m, mode);
    const drawn = (isLine ? drawLine : heat)(shown, cells, metrics[m]);
    shownNow = { shown, cells, metric: metrics[m], mode, ...drawn };
    tell(drawn.start);
  };

  settle(null);
  draw();
  let lastWidth = box.clientWidth;
  new ResizeObserver(() => {
    if (box.clientWidth === lastWidth) return;
    lastWidth = box.clientWidth;
    draw();
  }).observe(box);
  new MutationObserver(draw).observe(root, { attributes: true, attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
