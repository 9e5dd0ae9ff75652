"use strict";

// The wall of an atlas. `ATLAS`, from data.js, holds all that is shown; texts of it are only ever
// text, never markup.
(() => {
  const $ = (id) => document.getElementById(id);
  const FIGURE = new Map(ATLAS.figures.map(([key], place) => [key, place]));
  const UPWARDS = new Set(["rank"]); // the best is the smallest

  // --- what there is ---------------------------------------------------------------------------

  const entries = ATLAS.layers.flatMap((layer, number) =>
    layer.entries.map(([filter, photo, ...values], place) => ({
      layer, number, filter, photo, values, place, cell: null, told: null,
    })));
  const first = new Map(); // of a filter's pictures, by the filter's name
  for (const entry of entries) {
    const name = `${encodeURIComponent(entry.layer.name)}/${entry.filter}`;
    const several = first.has(name);
    if (!several) first.set(name, entry);
    else first.get(name).several = true;
    entry.several = several;
    entry.link = several ? `#${name}/${entry.photo}` : `#${name}`;
  }
  const value = (entry, key) => entry.values[FIGURE.get(key)];
  const nameOf = (entry) => `${entry.layer.name} filter ${entry.filter}`;
  const photoOf = (entry) => ATLAS.photos[entry.photo];

  function written(value, kind) {
    if (value === null || value === undefined) return "–";
    if (typeof value === "string") return value;
    switch (kind) {
      case "percent": return `${short(100 * value)}%`;
      case "factor": return `${short(value)} ×`;
      case "seconds": return `${short(value)} s`;
      case "yes": return value ? "yes" : "no";
      case "number": return short(value);
      default: return String(value);
    }
  }

  function short(number) { // two digits, or all before the point
    return String(Math.abs(number) >= 10 ? Math.round(number) : Number(number.toPrecision(2)));
  }

  // --- the wall --------------------------------------------------------------------------------

  const wall = $("wall");
  let shown = []; // entries in their order on the wall
  let current = null; // the one that the Tab key reaches

  function make(tag, name, text = "") {
    const element = document.createElement(tag);
    if (name) element.className = name;
    if (text) element.textContent = text;
    return element;
  }

  const blank = make("button", "cell");
  blank.type = "button";
  blank.tabIndex = -1;
  blank.append(make("span", "thumb"), make("span", "layer"), make("span", "said"));
  blank.lastChild.append(make("b"), document.createTextNode(""));

  function cellOf(entry) {
    if (entry.cell) return entry.cell;
    const cell = blank.cloneNode(true);
    const [thumb, layer, said] = cell.children;
    layer.textContent = entry.layer.name;
    said.firstChild.textContent = entry.filter;
    show(thumb.style, entry);
    cell.entry = entry;
    entry.cell = cell;
    return cell;
  }

  /** Under the picture, and to a screen reader: the figure that decides its place. */
  function tell(entry, key) {
    if (entry.told === key) return;
    entry.told = key;
    const [, title, kind] = ATLAS.figures[FIGURE.get(key)];
    const said = written(value(entry, key), kind);
    const from = entry.several ? `, from photo ${photoOf(entry)[0]}` : "";
    entry.cell.lastChild.lastChild.data = said;
    entry.cell.title = `${nameOf(entry)}, ${title} ${said}${from}`;
    entry.cell.setAttribute("aria-label", entry.cell.title);
  }

  /** Which part of which sheet; percentages, so that cells may be of any size. */
  function show(style, entry) {
    const {columns, in_a_sheet: most} = ATLAS;
    const sheet = Math.floor(entry.place / most);
    const held = Math.min(most, entry.layer.entries.length - sheet * most);
    const rows = Math.ceil(held / columns);
    const row = Math.floor((entry.place % most) / columns);
    style.backgroundImage = `url("${entry.layer.sheets[sheet]}")`;
    style.backgroundSize = `${100 * columns}% ${100 * rows}%`;
    style.backgroundPosition =
      `${100 * (entry.place % columns) / (columns - 1)}% ${rows > 1 ? 100 * row / (rows - 1) : 0}%`;
  }

  function arrange() {
    const key = $("sort").value;
    const fits = chosen();
    shown = entries.filter(fits);
    if (key !== "layer") shown.sort(by(key));
    wall.classList.toggle("grouped", key === "layer");
    wall.replaceChildren(...(key === "layer" ? groups() : [grid(shown)]));
    for (const entry of shown) tell(entry, key === "layer" ? "share" : key);
    $("none").hidden = shown.length > 0;
    $("count").textContent = `${shown.length} of ${entries.length} textures shown`;
    reach(shown.includes(current) ? current : shown[0]);
  }

  function by(key) { // what has no such figure comes last; equals stay in the order of layers
    const sign = UPWARDS.has(key) ? 1 : -1;
    const rank = (entry) => {
      const found = value(entry, key);
      return typeof found === "number" ? sign * found : Infinity;
    };
    return (a, b) => rank(a) - rank(b) || 0;
  }

  function chosen() {
    const layer = $("layer").value;
    const words = $("search").value.toLowerCase().split(/[\s/]+/).filter(Boolean);
    return (entry) => (layer === "" || entry.number === Number(layer)) && words.every((word) =>
      String(entry.filter) === word || entry.layer.name.toLowerCase().includes(word));
  }

  function groups() {
    return ATLAS.layers.flatMap((layer) => {
      const own = shown.filter((entry) => entry.layer === layer);
      if (!own.length) return [];
      const section = make("section");
      const title = make("h2", "", `${layer.name} `);
      title.append(make("small", "", String(own.length)));
      if (layer.paper !== null) title.append(" ", sheetOf(layer));
      section.append(title, grid(own));
      return [section];
    });
  }

  function sheetOf(layer) {
    const link = make("a", "", "one sheet");
    link.href = layer.paper;
    link.ariaLabel = `${layer.name}, all textures on one sheet`;
    return link;
  }

  function grid(some) {
    const box = make("div", "grid");
    box.append(...some.map(cellOf));
    return box;
  }

  /** Make an entry the one that Tab comes to. */
  function reach(entry) {
    if (current?.cell) current.cell.tabIndex = -1;
    current = entry ?? null;
    if (current) cellOf(current).tabIndex = 0;
  }

  function go(entry) {
    if (!entry) return;
    reach(entry);
    entry.cell.focus();
  }

  /** The nearest in the next row up or down, also across groups. */
  function across(entry, step) {
    const from = entry.cell.getBoundingClientRect();
    let best = null, row = null, least = Infinity;
    for (let n = shown.indexOf(entry) + step; n >= 0 && n < shown.length; n += step) {
      const box = shown[n].cell.getBoundingClientRect();
      if (box.top === from.top) continue;
      row ??= box.top;
      if (box.top !== row) break;
      const away = Math.abs(box.left - from.left);
      if (away < least) [best, least] = [shown[n], away];
    }
    return best;
  }

  wall.addEventListener("keydown", (event) => {
    const entry = event.target.entry;
    if (!entry || event.altKey || event.ctrlKey || event.metaKey) return;
    const place = shown.indexOf(entry);
    const moves = {
      ArrowRight: () => shown[place + 1],
      ArrowLeft: () => shown[place - 1],
      ArrowDown: () => across(entry, 1),
      ArrowUp: () => across(entry, -1),
      Home: () => shown[0],
      End: () => shown[shown.length - 1],
    };
    if (!Object.hasOwn(moves, event.key)) return;
    event.preventDefault();
    go(moves[event.key]());
  });
  wall.addEventListener("click", (event) => {
    const entry = event.target.closest(".cell")?.entry;
    if (entry) open(entry);
  });
  for (const id of ["sort", "layer"]) $(id).addEventListener("change", arrange);
  $("search").addEventListener("input", arrange);
  $("controls").addEventListener("submit", (event) => event.preventDefault());

  // --- one of them, enlarged; the address says which --------------------------------------------

  const dialog = $("shown");
  let enlarged = null;

  function open(entry) {
    history.pushState({ours: true}, "", entry.link);
    enlarge(entry);
  }

  /** Make the address say that nothing is enlarged. */
  function leave() {
    if (history.state?.ours) history.back();
    else history.replaceState(null, "", location.href.split("#")[0]);
  }

  function step(by) {
    const among = shown.includes(enlarged) ? shown : entries;
    const entry = among[(among.indexOf(enlarged) + by + among.length) % among.length];
    history.replaceState(history.state, "", entry.link);
    enlarge(entry);
  }

  function follow() {
    const entry = linked();
    if (entry) enlarge(entry);
    else if (dialog.open) dialog.close();
  }

  function linked() {
    const [layer, filter, photo] = location.hash.slice(1).split("/");
    try {
      const name = `${encodeURIComponent(decodeURIComponent(layer))}/${filter}`;
      const found = first.get(name);
      if (photo === undefined || String(found?.photo) === photo) return found;
      return entries.find((entry) => entry.link === `#${name}/${photo}`);
    } catch {
      return undefined; // no address that we gave
    }
  }

  function enlarge(entry) {
    enlarged = entry;
    const [photo, file] = photoOf(entry);
    const among = shown.includes(entry) ? shown : entries;
    $("shown-name").textContent = nameOf(entry);
    $("shown-place").textContent = `${among.indexOf(entry) + 1} of ${among.length}`;
    const own = `gallery/pictures/${entry.layer.folder}/${entry.filter}-${entry.photo}`;
    $("picture").src = `${own}.png`;
    $("map").src = `${own}-map.png`;
    $("map").alt = `Where ${nameOf(entry)} fires in the photo: bright`;
    $("picture").alt = `Texture of ${nameOf(entry)}`;
    $("photo-figure").hidden = file === null;
    $("picture").closest(".pair").classList.toggle("alone", file === null);
    $("lit").hidden = file === null;
    if (file !== null) for (const id of ["photo", "lit"]) $(id).src = file;
    $("photo").alt = `Photo ${photo}`;
    $("photo-name").textContent = `photo: ${photo}`;
    patches(entry);
    $("figures").replaceChildren(...lines(entry, photo));
    if (!dialog.open) dialog.showModal();
  }

  /** What the filter sees where it fires most, cut out of the photos. */
  function patches(entry) {
    const {field, places} = entry.layer;
    const cut = (places[entry.filter] ?? []).filter(([photo]) => ATLAS.photos[photo][1] !== null);
    $("patches").replaceChildren(...cut.map((place) => patch(field, ...place)));
    $("patches-figure").hidden = cut.length === 0;
    const whole = cut.every(([photo]) => field >= Math.min(...ATLAS.photos[photo].slice(2)));
    $("patches-said").textContent = whole
      ? "the photos that excite it most; a place of this layer sees all of a photo"
      : `what excites it most in the photos: patches of ${field} pixels, all that a place sees`;
  }

  function patch(field, number, activation, down, across) {
    const [name, file, width, height] = ATLAS.photos[number];
    const side = Math.min(field, width, height);
    const shift = (middle, length) =>
      length > side ? 100 * clamp(middle * length - side / 2, 0, length - side) / (length - side) : 0;
    const shown = make("span", "patch");
    shown.role = "img";
    shown.title = `from photo ${name}, activation ${short(activation)}`;
    shown.ariaLabel = `Patch ${shown.title}`;
    shown.style.backgroundImage = `url("${file}")`;
    shown.style.backgroundSize = `${100 * width / side}% ${100 * height / side}%`;
    shown.style.backgroundPosition = `${shift(across, width)}% ${shift(down, height)}%`;
    return shown;
  }

  function clamp(value, least, most) {
    return Math.min(Math.max(value, least), most);
  }

  function lines(entry, photo) {
    const said = ATLAS.figures.map(([, title, kind, about], place) =>
      [title, written(entry.values[place], kind), about]);
    return [...said, ["photo", photo, "that it was made from"]].map(([title, text, about]) => {
      const row = make("tr");
      const head = make("th", "", title);
      head.scope = "row";
      row.append(head, make("td", "value", text), make("td", "about", about));
      return row;
    });
  }

  dialog.addEventListener("close", () => { // by a button, Escape, or the browser's way back
    if (dialog.open) return; // opened again since
    if (linked()) leave();
    if (shown.includes(enlarged)) go(enlarged);
    else $("search").focus();
    enlarged = null;
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // beside what is inside
  });
  dialog.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const by = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    if (!by) return;
    event.preventDefault();
    step(by);
  });
  $("previous").addEventListener("click", () => step(-1));
  $("next").addEventListener("click", () => step(1));
  $("close").addEventListener("click", () => dialog.close());
  window.addEventListener("popstate", follow);

  arrange();
  follow();
})();
