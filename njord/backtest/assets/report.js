/* The report page: theme, price charts with counted marks, curves, and the tables of round trips and orders. */
(() => {
  "use strict";
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const MINUS = "\u2212";
  const DAY = 86400;
  root.classList.remove("no-script");

  // --- text ---
  const pad = (n) => String(n).padStart(2, "0");
  const time = (s) => {
    const d = new Date(s * 1000);
    const day = `${d.getUTCFullYear()}-${pad(d.getUTCMonth() + 1)}-${pad(d.getUTCDate())}`;
    const sec = d.getUTCSeconds();
    return `${day} ${pad(d.getUTCHours())}:${pad(d.getUTCMinutes())}${sec ? ":" + pad(sec) : ""}`;
  };
  const signed = (text) => text.replace("-", MINUS);
  const plain = (x, digits) => signed((x === 0 ? 0 : x).toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
  const money = (x) => (Math.abs(x) >= 1 || x === 0 ? plain(x, 2) : signed(String(Number(x.toFixed(8)))));
  const percent = (x, plus) => (plus && x > 0 ? "+" : "") + plain(100 * x, 2) + "%";
  const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
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
        : [`${pad(d.getUTCHours())}:${pad(d.getUTCMinutes())}${step < 60 ? ":" + pad(d.getUTCSeconds()) : ""}`, `${day} ${year}`];
      const label = coarse && coarse !== before ? `${fine}\n${coarse}` : fine;
      before = coarse;
      return label;
    });
  };
  const span = (s) => {
    const units = [[DAY, "d"], [3600, "h"], [60, "min"], [1, "s"]];
    const at = units.findIndex(([size]) => s >= size);
    if (at < 0) return "0 s";
    const [size, unit] = units[at];
    const next = units[at + 1];
    const rest = next ? Math.floor((s % size) / next[0]) : 0;
    return `${Math.floor(s / size)} ${unit}${rest ? ` ${rest} ${next[1]}` : ""}`;
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
  const setTheme = (name) => {
    if (name) root.dataset.theme = name;
    else delete root.dataset.theme;
    themed();
  };
  const asked = () => (location.hash.match(/^#(dark|light)$/) || new URLSearchParams(location.search).get("theme")?.match(/^(dark|light)$/) || [])[0]?.replace("#", "");
  button.addEventListener("click", () => setTheme(isDark() ? "light" : "dark"));
  system.addEventListener("change", themed);
  addEventListener("hashchange", () => asked() && setTheme(asked()));
  let beforePrint;
  const pictures = []; // A printer does not wait for the next frame, which the price chart would be drawn in.
  addEventListener("beforeprint", () => {
    beforePrint = root.dataset.theme;
    setTheme("light");
    pictures.forEach((add) => add());
  });
  addEventListener("afterprint", () => {
    document.querySelectorAll(".print-only").forEach((picture) => picture.remove());
    setTheme(beforePrint);
  });

  // --- price ---
  const KINDS = [
    { name: "long entry", shape: "arrowUp", position: "belowBar", color: "entry" },
    { name: "long exit", shape: "circle", position: "aboveBar", color: "exit" },
    { name: "short entry", shape: "arrowDown", position: "aboveBar", color: "entry" },
    { name: "short exit", shape: "circle", position: "belowBar", color: "exit" },
  ];
  const MARK_PX = 36;
  const priceChart = () => {
    const box = byId("price-chart");
    let at = 0; // Which market is shown.
    let { t, o, h, l, c, width, decimals, step } = data.markets[0].candles;
    let marks = data.markets[0].marks;
    const chart = LightweightCharts.createChart(box, {
      autoSize: true,
      crosshair: { mode: 0 },
      handleScroll: { mouseWheel: false, vertTouchDrag: false },
      handleScale: { mouseWheel: false },
      timeScale: { minBarSpacing: 0.01, rightOffset: 1 },
      rightPriceScale: { scaleMargins: { top: 0.1, bottom: 0.1 } },
      localization: { locale: "en-US", dateFormat: "yyyy-MM-dd", priceFormatter: (x) => plain(x, decimals) },
    });
    const series = chart.addSeries(LightweightCharts.CandlestickSeries, { priceLineVisible: false, lastValueVisible: false });
    const drawn = LightweightCharts.createSeriesMarkers(series, []);
    const regroup = () => {
      const range = chart.timeScale().getVisibleLogicalRange();
      if (!range) return;
      const slots = Math.max(4, Math.floor(box.clientWidth / MARK_PX));
      const size = Math.max(1, Math.ceil((range.to - range.from) / slots));
      const groups = new Map();
      for (let i = 0; i < marks.i.length; i += 1) {
        if (marks.i[i] < range.from - size || marks.i[i] > range.to + size) continue;
        const key = Math.floor(marks.i[i] / size) * 4 + marks.kind[i];
        const group = groups.get(key) || { candles: [], kind: marks.kind[i], n: 0 };
        group.candles.push(marks.i[i]);
        group.n += marks.n[i];
        groups.set(key, group);
      }
      const middle = ({ candles, kind, n }) => ({ candle: candles[candles.length >> 1], kind, n });
      drawn.setMarkers([...groups.values()].map(middle).sort((a, b) => a.candle - b.candle || a.kind - b.kind).map(({ candle, kind, n }) => ({
        time: data.start + t[candle],
        position: KINDS[kind].position,
        shape: KINDS[kind].shape,
        color: color(KINDS[kind].color),
        size: 0.8,
        text: n > 1 ? String(n) : "",
      })));
    };
    let waiting = 0;
    chart.timeScale().subscribeVisibleLogicalRangeChange(() => {
      cancelAnimationFrame(waiting);
      waiting = requestAnimationFrame(regroup);
    });
    const paint = () => {
      chart.applyOptions({
        layout: { background: { color: color("card") }, textColor: color("soft"), fontFamily: getComputedStyle(document.body).fontFamily, attributionLogo: true },
        grid: { vertLines: { color: color("faint") }, horzLines: { color: color("faint") } },
        rightPriceScale: { borderColor: color("line") },
        timeScale: { borderColor: color("line") },
      });
      const up = color("candle-up");
      const down = color("candle-down");
      series.applyOptions({ upColor: up, downColor: down, wickUpColor: up, wickDownColor: down, borderVisible: false });
      regroup();
    };
    redraws.push(paint);
    pictures.push(() => {
      const picture = chart.takeScreenshot();
      picture.className = "print-only";
      box.after(picture);
    });
    paint();
    const readout = byId("price-readout");
    const told = (i) => {
      const fills = marks.i.flatMap((candle, k) => (candle === i ? [`${marks.n[k]} ${KINDS[marks.kind[k]].name}`] : []));
      const price = (x) => plain(x, decimals);
      readout.textContent = `${time(data.start + t[i])} UTC · open ${price(o[i])} · high ${price(h[i])} · low ${price(l[i])} · close ${price(c[i])}${fills.length ? " · " + fills.join(", ") : ""}`;
    };
    chart.subscribeCrosshairMove((move) => told(move.logical === undefined || move.logical === null ? t.length - 1 : Math.min(t.length - 1, Math.max(0, Math.round(move.logical)))));
    const show = (from, to) => chart.timeScale().setVisibleLogicalRange({ from, to });
    const zoom = (factor) => {
      const range = chart.timeScale().getVisibleLogicalRange();
      const middle = (range.from + range.to) / 2;
      const half = Math.max(5, ((range.to - range.from) / 2) * factor);
      show(middle - half, middle + half);
    };
    const add = (label, title, act) => {
      const b = document.createElement("button");
      b.type = "button";
      b.textContent = label;
      b.title = title;
      b.addEventListener("click", act);
      byId("zoom").append(b);
    };
    const choices = byId("markets") ? [...byId("markets").children] : [];
    const choose = (which) => {
      at = which;
      ({ t, o, h, l, c, width, decimals, step } = data.markets[at].candles);
      marks = data.markets[at].marks;
      drawn.setMarkers([]);
      chart.applyOptions({ timeScale: { timeVisible: width < DAY, secondsVisible: width < 60 } });
      series.applyOptions({ priceFormat: { type: "price", precision: decimals, minMove: step } });
      series.setData(t.map((s, i) => ({ time: data.start + s, open: o[i], high: h[i], low: l[i], close: c[i] })));
      byId("zoom").replaceChildren();
      add("All", "Show the whole run", () => chart.timeScale().fitContent());
      for (const [label, days] of [["90 d", 90], ["30 d", 30], ["7 d", 7], ["1 d", 1]]) {
        const n = (days * DAY) / width;
        if (n >= 20 && n < t.length * 0.8) add(label, `Show ${days} ${days > 1 ? "days" : "day"}`, () => show(t.length - n, t.length));
      }
      add("+", "Zoom in", () => zoom(0.5));
      add(MINUS, "Zoom out", () => zoom(2));
      choices.forEach((b, i) => b.setAttribute("aria-pressed", String(i === at)));
      chart.timeScale().fitContent();
      told(t.length - 1);
      regroup();
    };
    choices.forEach((b, i) => b.addEventListener("click", () => choose(i)));
    choose(0);
    const candleAt = (s) => {
      let low = 0;
      let high = t.length - 1;
      while (low < high) {
        const middle = (low + high + 1) >> 1;
        if (t[middle] <= s) low = middle;
        else high = middle - 1;
      }
      return low;
    };
    return (symbol, open, close) => {
      const which = data.markets.findIndex((market) => market.symbol === symbol);
      if (which >= 0 && which !== at) choose(which);
      const [from, to] = [candleAt(open), candleAt(close)];
      const margin = Math.max(20, to - from);
      show(from - margin, to + margin);
      byId("price").scrollIntoView();
    };
  };

  // --- equity and drawdown ---
  const lineChart = (id, line, text, stroke, fill, axisText, beside) => {
    const box = byId(id);
    const readout = byId(id.replace("chart", "readout"));
    const xs = line.t.map((s) => data.start + s);
    const axis = { stroke: () => color("soft"), grid: { stroke: () => color("faint"), width: 1 }, ticks: { stroke: () => color("line"), width: 1 }, font: "12px system-ui, sans-serif" };
    const told = (i) => { readout.textContent = xs.length ? `${time(xs[i])} UTC · ${text(line.v[i])}${beside ? ` · buy and hold ${text(beside[i])}` : ""}` : ""; };
    const plot = new uPlot({
      width: box.clientWidth,
      height: box.clientHeight,
      tzDate: (s) => uPlot.tzDate(new Date(s * 1000), "Etc/UTC"),
      legend: { show: false },
      cursor: { y: false, points: { size: 7, fill: () => color(stroke) }, sync: { key: "curves" }, drag: { x: true, y: false } },
      scales: { y: { range: (u, low, high) => axisText.range(low ?? 0, high ?? 0) } },
      axes: [
        { ...axis, space: 70, values: timeLabels },
        { ...axis, size: (u, values) => (values ? Math.max(64, 20 + 7.5 * Math.max(...values.map((v) => (v || "").length))) : 64), values: (u, ticks) => axisText.label(ticks) },
      ],
      series: [{}, { stroke: () => color(stroke), width: 1.4, fill: fill && (() => tint(fill, 0.18)), fillTo: 0, points: { show: xs.length < 30 }, spanGaps: true },
        ...(beside ? [{ stroke: () => color("hold"), width: 1.2, dash: [6, 4], points: { show: false } }] : [])],
      hooks: {
        setCursor: [(u) => told(u.cursor.idx ?? xs.length - 1)],
      },
    }, beside ? [xs, line.v, beside] : [xs, line.v], box);
    new ResizeObserver(() => plot.setSize({ width: box.clientWidth, height: box.clientHeight })).observe(box);
    redraws.push(() => plot.redraw());
    told(xs.length - 1);
  };
  const curves = () => {
    const digits = (ticks) => {
      const step = ticks.length > 1 ? Math.abs(ticks[1] - ticks[0]) : 1;
      return Math.min(8, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
    };
    lineChart("equity-chart", data.equity, (v) => `${money(v)} ${data.asset}`, "accent", null, {
      range: (low, high) => {
        const pad = high > low ? (high - low) * 0.06 : Math.abs(high) * 0.05 || 1;
        return [low - pad, high + pad];
      },
      label: (ticks) => ticks.map((v) => plain(v, digits(ticks))),
    }, data.benchmark);
    const shares = (ticks) => ticks.map((v) => plain(100 * v, digits(ticks.map((x) => 100 * x))) + "%");
    lineChart("exposure-chart", data.exposure, (v) => percent(v), "accent", "gain-rgb", {
      range: (low, high) => [0, Math.max(0.01, high * 1.06)],
      label: shares,
    });
    lineChart("drawdown-chart", data.drawdown, (v) => percent(v), "loss", "loss-rgb", {
      range: (low) => [Math.min(-0.01, low * 1.06), 0],
      label: shares,
    });
  };

  // --- tables: paged, sorted by a click on a heading, searched by words ---
  const PAGE = 25;
  const exact = (text) => signed(text ?? "");
  const tone = (x) => (x > 0 ? "gain" : x < 0 ? "loss" : "");
  const cell = (text, kind, title) => {
    const td = document.createElement("td");
    const inner = kind || title ? document.createElement("span") : null;
    if (inner) {
      inner.textContent = text;
      if (kind) inner.className = kind;
      if (title) inner.title = title;
      td.append(inner);
    } else td.textContent = text;
    return td;
  };
  // keys: of the columns, in order; value(key, i): what row i is sorted by, row(i): its cells; search: {input, text(i), said}.
  const pagedTable = (id, pagerId, n, keys, value, row, search) => {
    const table = byId(id);
    if (!table) return;
    const body = table.tBodies[0];
    const pager = byId(pagerId);
    const all = Array.from({ length: n }, (_, i) => i);
    let order = all;
    let page = 0;
    let sort = { key: "no", up: true };
    const pages = () => Math.max(1, Math.ceil(order.length / PAGE));
    const said = document.createElement("span");
    const buttons = [["First", () => 0], ["Back", () => page - 1], ["Next", () => page + 1], ["Last", () => pages() - 1]].map(([label, to]) => {
      const b = document.createElement("button");
      b.type = "button";
      b.textContent = label;
      b.addEventListener("click", () => { page = Math.min(pages() - 1, Math.max(0, to())); show(); });
      return b;
    });
    said.setAttribute("aria-live", "polite");
    pager.append(buttons[0], buttons[1], said, buttons[2], buttons[3]);
    const show = () => {
      body.replaceChildren(...order.slice(page * PAGE, (page + 1) * PAGE).map((i) => {
        const tr = document.createElement("tr");
        tr.append(...row(i));
        return tr;
      }));
      const first = Math.min(order.length, page * PAGE + 1);
      said.textContent = `${plain(first, 0)} to ${plain(Math.min(order.length, (page + 1) * PAGE), 0)} of ${plain(order.length, 0)}`;
      buttons[0].disabled = buttons[1].disabled = page === 0;
      buttons[2].disabled = buttons[3].disabled = page === pages() - 1;
    };
    const arrange = () => {
      const words = search ? search.input.value.toLowerCase().split(/\s+/).filter(Boolean) : [];
      const way = sort.up ? 1 : -1;
      const by = all.map((i) => value(sort.key, i));
      order = words.length ? all.filter((i) => words.every((word) => search.text(i).includes(word))) : [...all];
      order.sort((a, c) => way * (by[a] < by[c] ? -1 : by[a] > by[c] ? 1 : 0) || a - c);
      page = 0;
      for (const th of table.tHead.rows[0].cells) {
        if (th.dataset.key === sort.key) th.setAttribute("aria-sort", sort.up ? "ascending" : "descending");
        else th.removeAttribute("aria-sort");
      }
      if (search) search.said.textContent = words.length ? `${plain(order.length, 0)} found` : "";
      show();
    };
    [...table.tHead.rows[0].cells].forEach((th, at) => {
      const key = keys[at];
      const b = document.createElement("button");
      b.type = "button";
      b.textContent = th.textContent;
      b.addEventListener("click", () => {
        sort = { key, up: sort.key === key ? !sort.up : key === "no" };
        arrange();
      });
      th.replaceChildren(b);
      th.dataset.key = key;
    });
    if (search) search.input.addEventListener("input", arrange);
    arrange();
  };
  const several = (columns) => ["strategy", "symbol"].filter((name) => name in columns);

  const tripTable = (zoomTo) => {
    const trips = data.trips;
    const who = several(trips);
    const only = data.markets[0]?.symbol;
    const keys = ["no", ...who, "side", "open", "close", "held", "qty", "entry", "exit", "fees", "pnl", "return"];
    const value = (key, i) => (who.includes(key) ? trips[key][i] : key === "held" ? trips.close[i] - trips.open[i] : trips[key][i] === null ? -Infinity : Number(trips[key][i]));
    const row = (i) => {
      const first = document.createElement("td");
      const go = document.createElement("button");
      go.type = "button";
      go.textContent = plain(trips.no[i], 0);
      go.title = "Show in the price chart";
      go.addEventListener("click", () => zoomTo(trips.symbol ? trips.symbol[i] : only, trips.open[i], trips.close[i]));
      first.append(go);
      const pnl = Number(trips.pnl[i]);
      const share = trips.return[i];
      return [
        first,
        ...who.map((name) => cell(trips[name][i])),
        cell(trips.side[i] > 0 ? "long" : "short"),
        cell(time(data.start + trips.open[i])),
        cell(time(data.start + trips.close[i])),
        cell(span(trips.close[i] - trips.open[i])),
        cell(exact(trips.qty[i])),
        cell(exact(trips.entry[i])),
        cell(exact(trips.exit[i])),
        cell(money(Number(trips.fees[i])), "", exact(trips.fees[i])),
        cell((pnl > 0 ? "+" : "") + money(pnl), tone(pnl), exact(trips.pnl[i])),
        share === null ? cell("undefined", "undefined", "The entry was worth nothing.") : cell(percent(share, true), tone(share)),
      ];
    };
    pagedTable("trip-table", "pager", trips.no.length, keys, value, row);
  };

  const orderTable = () => {
    const orders = data.orders;
    const who = several(orders);
    const keys = ["no", "sent", ...who, "side", "type", "outcome", "as", "qty", "limit", "trigger", "filled", "average", "fees", "lived"];
    const words = new Set([...who, "type", "as", "outcome"]);
    const value = (key, i) => (words.has(key) ? orders[key][i] : orders[key][i] === null ? -Infinity : Number.parseFloat(String(orders[key][i]).replace("trail ", "")));
    const side = (i) => (orders.side[i] > 0 ? "buy" : "sell");
    const text = (i) => [orders.no[i], side(i), orders.type[i], orders.as[i], orders.outcome[i] || "working", ...who.map((name) => orders[name][i])].join(" ").toLowerCase();
    const row = (i) => [
      cell(plain(orders.no[i], 0)),
      cell(time(data.start + orders.sent[i])),
      ...who.map((name) => cell(orders[name][i])),
      cell(side(i)),
      cell(orders.type[i]),
      cell(orders.outcome[i] || "working", orders.outcome[i] === "filled" ? "" : "warn", data.why[orders.outcome[i]]),
      cell(orders.as[i]),
      cell(exact(orders.qty[i])),
      cell(exact(orders.limit[i])),
      cell(exact(orders.trigger[i])),
      cell(exact(orders.filled[i])),
      cell(exact(orders.average[i])),
      cell(money(Number(orders.fees[i])), "", exact(orders.fees[i])),
      cell(orders.lived[i] === null ? "" : span(Math.max(0, orders.lived[i]))),
    ];
    const input = byId("order-search");
    pagedTable("order-table", "order-pager", orders.no.length, keys, value, row, input && { input, text, said: byId("order-found") });
  };

  const start = asked();
  if (start) root.dataset.theme = start;
  themed();
  const zoomTo = priceChart();
  curves();
  tripTable(zoomTo);
  orderTable();
  root.dataset.ready = "yes";
})();
