/* The page of a dataset: theme, and charts of coverage, price and clocks over the same cells of time. */
(() => {
  "use strict";
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const MINUS = "\u2212";
  const DAY = 86400;
  const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  root.classList.remove("no-script");

  // --- text ---
  const pad = (n, width = 2) => String(n).padStart(width, "0");
  const plain = (x, digits) => (x === 0 ? 0 : x).toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }).replace("-", MINUS);
  const clockTime = (d, step) => {
    const seconds = step < 60 ? ":" + pad(d.getUTCSeconds()) + (step < 1 ? "." + pad(d.getUTCMilliseconds(), 3) : "") : "";
    return `${pad(d.getUTCHours())}:${pad(d.getUTCMinutes())}${seconds}`;
  };
  const time = (s, step) => {
    const d = new Date(Math.round(s * 1000));
    return `${d.getUTCFullYear()}-${pad(d.getUTCMonth() + 1)}-${pad(d.getUTCDate())} ${clockTime(d, step)}`;
  };
  // Labels of a time axis: the finest part at every tick, the next coarser one below it where it changes.
  const timeLabels = (u, ticks, axis, space, step) => {
    let before = "";
    return ticks.map((s) => {
      const d = new Date(s * 1000);
      const day = `${MONTHS[d.getUTCMonth()]} ${d.getUTCDate()}`;
      const year = String(d.getUTCFullYear());
      const [fine, coarse] = step >= 360 * DAY ? [year, ""]
        : step >= 27 * DAY ? [MONTHS[d.getUTCMonth()], year]
        : step >= DAY ? [day, year]
        : [clockTime(d, step), `${day} ${year}`];
      const label = coarse && coarse !== before ? `${fine}\n${coarse}` : fine;
      before = coarse;
      return label;
    });
  };
  const MONTH = 30 * DAY; // uPlot takes 30 and 365 days for calendar months and years.
  const STEPS = [
    ...[1e-3, 1e-2, 1e-1].flatMap((unit) => [unit, 2 * unit, 5 * unit]), 1, 2, 5, 10, 15, 30,
    ...[1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720].map((minutes) => 60 * minutes),
    ...[1, 2, 3, 5, 7, 10, 15].map((days) => days * DAY), ...[1, 2, 3, 6].map((months) => months * MONTH),
    ...[1, 2, 5, 10, 25, 50, 100].map((years) => years * 365 * DAY),
  ];
  const digitsOf = (ticks) => {
    const step = ticks.length > 1 ? Math.abs(ticks[1] - ticks[0]) : 1;
    return Math.min(12, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
  };

  // --- theme: the system's, until the button or the address (#dark, #light) says otherwise ---
  const system = matchMedia("(prefers-color-scheme: dark)");
  const redraws = [];
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const color = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();
  const tint = (name, alpha) => `rgba(${color(name).split(/\s+/).join(",")},${alpha})`;
  const button = byId("theme");
  const themed = () => {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-pressed", String(isDark()));
    button.setAttribute("aria-label", `Switch to ${isDark() ? "light" : "dark"} colors`);
    redraws.forEach((redraw) => redraw());
  };
  const asked = () => (location.hash.match(/^#(dark|light)$/) || [])[1];
  const setTheme = (name) => {
    if (name) root.dataset.theme = name;
    else delete root.dataset.theme;
    themed();
  };
  button.addEventListener("click", () => setTheme(isDark() ? "light" : "dark"));
  system.addEventListener("change", themed);
  addEventListener("hashchange", () => asked() && setTheme(asked()));
  let beforePrint;
  addEventListener("beforeprint", () => { beforePrint = root.dataset.theme; setTheme("light"); });
  addEventListener("afterprint", () => setTheme(beforePrint));

  // --- charts: one time axis, bad time behind the curves ---
  const { edges } = data;
  const n = edges.length - 1;
  const width = n > 2 ? edges[2] - edges[1] : edges[n] - edges[0];
  // A cell reaches to the next one's beginning: the last one is drawn to its own end.
  const closed = (column) => [...column, column[n - 1]];
  const open = (column) => [...column, null];
  const plots = [];
  const shade = (u) => {
    const { left, top, width: wide, height } = u.bbox;
    const { ctx } = u;
    const ratio = devicePixelRatio || 1;
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, top, wide, height);
    ctx.clip();
    // Ranges that meet on the screen are one: their tints must not add up.
    const spans = [];
    for (const [start, end] of data.ranges) {
      const from = u.valToPos(start, "x", true);
      const to = Math.max(u.valToPos(end, "x", true), from + 2 * ratio);
      const last = spans[spans.length - 1];
      if (to < left || from > left + wide) continue;
      if (last && from <= last[1]) last[1] = Math.max(last[1], to);
      else spans.push([from, to]);
    }
    ctx.fillStyle = tint("loss-rgb", 0.22);
    spans.forEach(([from, to]) => ctx.fillRect(from, top, to - from, height));
    // A wedge at the top, so that a narrow place is seen and no color is needed.
    ctx.fillStyle = color("alarm");
    for (const [from, to] of spans) {
      const middle = (from + to) / 2;
      const half = Math.max(4 * ratio, (to - from) / 2);
      ctx.beginPath();
      ctx.moveTo(middle - half, top);
      ctx.lineTo(middle + half, top);
      ctx.lineTo(middle + half - 4 * ratio, top + 6 * ratio);
      ctx.lineTo(middle - half + 4 * ratio, top + 6 * ratio);
      ctx.fill();
    }
    ctx.restore();
  };
  const cellText = (i) => {
    const bad = data.bad[i];
    return `${time(edges[i], width)} UTC${bad ? ` · bad time ${bad < 60 ? plain(bad, bad < 1 ? 3 : 0) + " s" : plain(bad / 60, 0) + " min"}` : ""}`;
  };

  // All charts leave the same room for their labels, so that one moment stands at one place in all of them.
  let room = 64;
  const labelled = (values) => {
    room = Math.max(room, ...(values || []).map((v) => 20 + 7.5 * (v || "").length));
    return room;
  };
  const fit = (plot, box) => plot.setSize({ width: box.clientWidth, height: box.clientHeight });

  const chart = (id, { columns, series, bands, scale, label, text }) => {
    const box = byId(`${id}-chart`);
    const readout = byId(`${id}-readout`);
    const axis = { stroke: () => color("soft"), grid: { stroke: () => color("faint"), width: 1 }, ticks: { stroke: () => color("line"), width: 1 }, font: "12px system-ui, sans-serif" };
    const told = (i) => { readout.textContent = `${cellText(Math.min(i, n - 1))} · ${text(Math.min(i, n - 1))}`; };
    const plot = new uPlot({
      width: box.clientWidth,
      height: box.clientHeight,
      tzDate: (s) => uPlot.tzDate(new Date(s * 1000), "Etc/UTC"),
      legend: { show: false },
      cursor: { y: false, points: { show: false }, sync: { key: "cells" }, drag: { x: true, y: false } },
      scales: { x: { range: (u, low, high) => (low === high ? [low - 1, high + 1] : [low, high]) }, y: scale },
      axes: [
        { ...axis, space: 70, incrs: STEPS, values: timeLabels },
        { ...axis, ...label, size: (u, values) => labelled(values) },
      ],
      series: [{}, ...series],
      bands,
      hooks: { drawClear: [shade], setCursor: [(u) => told(u.cursor.idx ?? n - 1)] },
    }, [edges, ...columns], box);
    new ResizeObserver(() => fit(plot, box)).observe(box);
    redraws.push(() => plot.redraw());
    plots.push(plot);
    told(n - 1);
    reachable(box, plot);
  };

  // Arrow keys move the cursor from cell to cell; plus, minus and 0 zoom all charts.
  const reachable = (box, plot) => {
    const zoom = (factor) => {
      const { min, max } = plot.scales.x;
      const middle = plot.cursor.idx === null || plot.cursor.idx === undefined ? (min + max) / 2 : edges[plot.cursor.idx];
      const half = Math.max(((max - min) / 2) * factor, 2 * width);
      const range = factor ? { min: Math.max(edges[0], middle - half), max: Math.min(edges[n], middle + half) } : { min: edges[0], max: edges[n] };
      plots.forEach((each) => each.setScale("x", range));
    };
    const move = (to) => {
      const i = Math.min(n - 1, Math.max(0, to));
      plot.setCursor({ left: plot.valToPos(edges[i], "x"), top: 0 });
    };
    box.addEventListener("keydown", (event) => {
      const at = plot.cursor.idx ?? n - 1;
      const acts = {
        ArrowLeft: () => move(at - 1), ArrowRight: () => move(at + 1), Home: () => move(0), End: () => move(n - 1),
        "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), "0": () => zoom(0),
      };
      const act = acts[event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      act();
    });
  };

  const stepped = uPlot.paths.stepped({ align: 1 });
  const coverage = () => {
    if (data.expected) {
      const shares = data.rows.map((rows, i) => (data.expected[i] ? Math.min(1, rows / data.expected[i]) : rows ? 1 : null));
      chart("coverage", {
        columns: [closed(shares)],
        series: [{ stroke: () => color("accent"), width: 1.2, fill: () => tint("gain-rgb", 0.25), fillTo: 0, paths: stepped, points: { show: false } }],
        scale: { range: [0, 1.08] },
        label: { splits: () => [0, 0.25, 0.5, 0.75, 1], values: (u, ticks) => ticks.map((v) => `${Math.round(100 * v)}%`) },
        text: (i) => `${plain(data.rows[i], 0)} of ${plain(data.expected[i], 0)} bars`,
      });
      return;
    }
    const most = Math.log10(1 + Math.max(...data.rows));
    const decades = [0, ...Array.from({ length: Math.ceil(most) + 1 }, (_, power) => 10 ** power)].map((rows) => Math.log10(1 + rows));
    chart("coverage", {
      columns: [closed(data.rows.map((rows) => Math.log10(1 + rows)))],
      series: [{ stroke: () => color("accent"), width: 1.2, fill: () => tint("gain-rgb", 0.25), fillTo: 0, paths: stepped, points: { show: false } }],
      scale: { range: [0, most * 1.08] },
      label: { splits: () => decades.filter((v) => v <= most * 1.08), values: (u, ticks) => ticks.map((v) => (v || most < 2 ? plain(10 ** v - 1, 0) : "")) },
      text: (i) => `${plain(data.rows[i], 0)} rows`,
    });
  };
  // Bars that are missing break a line, a second without a trade does not. What stands alone is a point.
  const alone = (u, at, show) => (show ? null : u.data[at].flatMap((v, i, all) => (v !== null && (all[i - 1] ?? null) === null && (all[i + 1] ?? null) === null ? [i] : [])));
  const lines = { spanGaps: !data.expected, points: { size: 4, filter: data.expected ? alone : null, fill: () => color("accent") } };
  const band = (id, { low, high, mean }, show) => chart(id, {
    columns: [open(high), open(low), open(mean)],
    series: [
      { stroke: () => tint("gain-rgb", 0.55), width: 1, ...lines },
      { stroke: () => tint("gain-rgb", 0.55), width: 1, ...lines },
      { stroke: () => color("accent"), width: 1.4, ...lines },
    ],
    bands: [{ series: [1, 2], fill: () => tint("gain-rgb", 0.22) }],
    scale: {
      range: (u, least, most) => {
        const [from, to] = [least ?? 0, most ?? 0];
        const room = to > from ? (to - from) * 0.08 : Math.abs(from) * 0.05 || 1;
        return [from - room, to + room];
      },
    },
    label: { values: (u, ticks) => ticks.map((v) => plain(v, digitsOf(ticks))) },
    text: (i) => (low[i] === null ? "nothing there" : `${show(low[i])} to ${show(high[i])}, mean ${mean[i] === null ? "unknown" : show(mean[i])}`),
  });

  if (asked()) root.dataset.theme = asked();
  themed();
  coverage();
  band("price", data, (x) => `${plain(x, data.decimals)} ${data.quote}`);
  if (data.clock) band("clock", data.clock, (x) => `${plain(x, 3)} ms`);
  plots.forEach((plot) => plot.setSize({ width: plot.width, height: plot.height })); // With the room that all agreed on.
  root.dataset.ready = "yes";
})();
