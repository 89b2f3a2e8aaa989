"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const make = (tag, facts = {}, ...inside) => {
    const element = Object.assign(document.createElement(tag), facts);
    element.append(...inside);
    return element;
  };
  const within = (value, low, high) => Math.min(high, Math.max(low, value));
  document.documentElement.classList.add("scripted");

  // The links at the top of the page.
  for (const heading of all("main > section > h2")) {
    document.getElementById("contents").append(make("a", { href: `#${heading.parentElement.id}`, textContent: heading.textContent }));
  }

  // A click on a heading sorts its table; rows without a value stay last.
  const compare = (a, b, kind, sign) => {
    const [x, y] = kind === "number" ? [a, b].map((text) => (text === "" ? NaN : Number(text))) : [a, b];
    if (kind !== "number") return sign * x.localeCompare(y, undefined, { numeric: true });
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
    return sign * (x - y);
  };
  const turn = (head) => {
    const order = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
    for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", order);
    return order === "ascending" ? 1 : -1;
  };
  const heading = (text, kind, act) => {
    const head = make("th", { scope: "col" }, make("button", { type: "button", textContent: text }));
    head.dataset.kind = kind;
    head.firstChild.addEventListener("click", () => act(head));
    return head;
  };
  for (const table of all("table.sortable")) {
    all("th", table).forEach((old, column) => {
      old.replaceWith(heading(old.textContent, old.dataset.kind, (head) => {
        const sign = turn(head);
        const value = (row) => row.cells[column].dataset.value;
        const rows = [...table.tBodies[0].rows];
        rows.sort((a, b) => compare(value(a), value(b), head.dataset.kind, sign));
        table.tBodies[0].append(...rows);
      }));
    });
  }

  // The scores of each photo: one metric and fifty photos at a time.
  const data = JSON.parse(document.getElementById("data").textContent);
  const scores = document.getElementById("photo-scores");
  if (scores) {
    const ROWS = 50;
    const metric = document.getElementById("metric");
    const filter = document.getElementById("filter");
    const pager = document.getElementById("pager");
    metric.append(...data.metrics.map((one, i) => make("option", { value: i, textContent: one.title })));
    const several = data.runs.length > 1;
    let order = [];
    let first = 0;
    const text = (value) => (value === null ? "none" : String(Number(value.toPrecision(4))));
    const cells = (photo) => {
      const values = data.metrics[metric.value].values.map((run) => run[photo]);
      const known = values.filter((value) => value !== null);
      return several ? [...values, known.length > 1 ? Math.max(...known) - Math.min(...known) : null] : values;
    };
    const show = () => {
      const wanted = filter.value.toLowerCase();
      const found = order.filter((photo) => data.photos[photo][0].toLowerCase().includes(wanted));
      first = within(first, 0, Math.max(0, found.length - 1));
      first -= first % ROWS;
      scores.tBodies[0].replaceChildren(...found.slice(first, first + ROWS).map((photo) => make("tr", {},
        make("td", {}, make("a", { href: data.photos[photo][1], textContent: data.photos[photo][0] })),
        ...cells(photo).map((value) => make("td", { className: "number", textContent: text(value) })))));
      const step = (label, by, possible) => {
        const button = make("button", { type: "button", textContent: label, disabled: !possible });
        button.addEventListener("click", () => { first += by; show(); });
        return button;
      };
      const last = Math.min(found.length, first + ROWS);
      pager.replaceChildren(
        step("previous", -ROWS, first > 0), step("next", ROWS, last < found.length),
        make("span", { textContent: found.length ? `${first + 1} to ${last} of ${found.length}` : "no photo has a name like this" }));
    };
    const columns = ["photo", ...data.runs, ...(several ? ["largest difference"] : [])];
    scores.tHead.append(make("tr", {}, ...columns.map((name, column) =>
      heading(name, column ? "number" : "text", (head) => {
        const sign = turn(head);
        const value = (photo) => (column ? String(cells(photo)[column - 1] ?? "") : data.photos[photo][0]);
        order.sort((a, b) => compare(value(a), value(b), head.dataset.kind, sign));
        first = 0;
        show();
      }))));
    const begin = () => { order = data.photos.map((_, i) => i); first = 0; all("th", scores).forEach((head) => head.removeAttribute("aria-sort")); show(); };
    metric.addEventListener("change", begin);
    filter.addEventListener("input", () => { first = 0; show(); });
    begin();
  }

  // The controls above the photos.
  const gallery = document.querySelector(".cards");
  const stages = all(".stage");
  const isGrid = () => gallery.dataset.mode === "grid";
  const left = document.getElementById("left");
  const right = document.getElementById("right");
  const pick = () => {
    for (const pane of all(".pane", gallery)) {
      pane.classList.toggle("left", pane.dataset.column === left.value);
      pane.classList.toggle("right", pane.dataset.column === right.value && left.value !== right.value);
    }
    for (const sides of all(".sides", gallery)) {
      [left, right].forEach((side, i) => { sides.children[i].textContent = side.selectedOptions[0].textContent; });
    }
  };
  const lay = (mode) => {
    gallery.dataset.mode = mode;
    for (const button of all(".bar [data-mode]")) button.setAttribute("aria-pressed", button.dataset.mode === mode);
    for (const stage of stages) stage.tabIndex = mode === "grid" ? 0 : -1;
  };
  left.addEventListener("change", pick);
  right.addEventListener("change", pick);
  for (const button of all(".bar [data-mode]")) button.addEventListener("click", () => lay(button.dataset.mode));
  pick();
  lay("slider");

  // Photos without a value come last, whichever the order.
  const name = (card) => card.querySelector("h3").textContent;
  const sort = document.getElementById("sort");
  sort.addEventListener("change", () => {
    const [kind, metric, better] = sort.value.split(" ");
    const place = (card) => {
      if (kind === "pixels") return -card.dataset.apart;
      const known = JSON.parse(card.dataset.values)[metric].filter((value) => value !== null);
      const [least, most] = [Math.min(...known), Math.max(...known)];
      if (kind === "difference") return known.length > 1 ? least - most : Infinity;
      return better === "higher" ? least : known.length ? -most : Infinity;
    };
    const byName = (a, b) => name(a).localeCompare(name(b), undefined, { numeric: true });
    const cards = all(".card", gallery).sort(byName);
    if (kind !== "name") {
      const places = new Map(cards.map((card) => [card, place(card)]));
      cards.sort((a, b) => (places.get(a) === places.get(b) ? 0 : places.get(a) - places.get(b)));
    }
    gallery.append(...cards);
  });
  for (const button of all(".unfold")) {
    button.addEventListener("click", () => {
      const open = button.closest(".card").classList.toggle("unfolded");
      button.setAttribute("aria-expanded", open);
    });
  }

  // Beside each other in every version: a face, or the whole photo where no face is known. The copies share their files with the
  // slider, and are made when a card comes near, so that a long page opens at once.
  const besides = (card, button) => {
    const name = card.querySelector("h3").textContent;
    const tiles = all(".pane", card).filter((pane) => pane.querySelector("img")).map((pane) => {
      const label = pane.querySelector(".tag").textContent;
      const world = pane.querySelector(".world").cloneNode(true);
      for (const image of all("img", world)) image.loading = "eager"; // the card is near, and its pictures are in the page
      world.querySelector("img").alt = `${button ? `${button.textContent} of ` : ""}${name}, ${label}`;
      if (button) {
        const ratio = Number(getComputedStyle(card).getPropertyValue("--ratio"));
        const [x, y, w, h] = button.dataset.face.split(" ").map(Number);
        const side = 1.3 * Math.max(w * ratio, h); // in heights of the photo
        const spread = { width: ratio / side, height: 1 / side };
        const from = { left: 0.5 - (x + w / 2) * spread.width, top: 0.5 - (y + h / 2) * spread.height };
        for (const [edge, share] of Object.entries({ ...spread, ...from })) world.style[edge] = `${100 * share}%`;
      }
      // The number and colour of a run, as in the table of scores.
      const badge = all(".below-bar .badge")[pane.dataset.column.split("-")[1]];
      const colour = badge && badge.parentElement.className.replace("run", "badge");
      const caption = badge ? [make("b", { className: colour, textContent: badge.textContent }), ` ${label}`] : [label];
      return make("figure", {}, make("div", { className: "tile" }, world), make("figcaption", {}, ...caption));
    });
    const versions = card.querySelector(".versions");
    versions.replaceChildren(...(tiles.length > 1 ? tiles : []));
    versions.classList.toggle("of-face", Boolean(button));
    versions.style.setProperty("--across", tiles.length === 4 ? 2 : Math.min(3, tiles.length));
    versions.style.setProperty("--across-wide", Math.min(4, tiles.length));
  };
  const near = new IntersectionObserver((seen) => {
    for (const { target } of seen.filter((entry) => entry.isIntersecting)) {
      near.unobserve(target);
      besides(target, largest(target));
    }
  }, { rootMargin: "1000px" });
  const largest = (card) => {
    const area = (button) => { const [, , w, h] = button.dataset.face.split(" ").map(Number); return w * h; };
    return all("[data-face]", card).sort((a, b) => area(b) - area(a))[0];
  };
  for (const card of all(".card", gallery)) near.observe(card);

  // Zoom is kept in three variables of the stage, so all its versions move together.
  const MOST = 16;
  const place = (stage, zoom, x, y) => {
    const state = { zoom: Math.round(1e4 * within(zoom, 1, MOST)) / 1e4 };
    const edge = 0.5 / state.zoom;
    state.x = within(x, edge, 1 - edge);
    state.y = within(y, edge, 1 - edge);
    stage.state = state;
    stage.style.setProperty("--zoom", state.zoom);
    stage.style.setProperty("--cx", state.x);
    stage.style.setProperty("--cy", state.y);
    stage.classList.toggle("zoomed", state.zoom > 1);
    for (const button of all("[data-face]", stage.parentElement)) button.setAttribute("aria-pressed", "false");
  };
  const zoomBy = (stage, factor) => place(stage, stage.state.zoom * factor, stage.state.x, stage.state.y);
  const moveBy = (stage, x, y) => place(stage, stage.state.zoom, stage.state.x + x / stage.state.zoom, stage.state.y + y / stage.state.zoom);
  const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  const split = (stage, percent) => {
    const range = stage.querySelector(".split");
    range.value = within(percent, 0, 100);
    stage.style.setProperty("--split", range.value);
    range.setAttribute("aria-valuetext", `${Math.round(range.value)} % of the left version`);
  };

  for (const stage of stages) {
    place(stage, 1, 0.5, 0.5);
    split(stage, 50);
    const range = stage.querySelector(".split");
    range.addEventListener("input", () => split(stage, range.value));
    stage.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "+" || event.key === "=") zoomBy(stage, 1.5);
      else if (event.key === "-") zoomBy(stage, 1 / 1.5);
      else if (event.key === "0") place(stage, 1, 0.5, 0.5);
      else if (KEYS[event.key] && stage.state.zoom > 1 && (isGrid() || event.shiftKey)) moveBy(stage, ...KEYS[event.key].map((d) => d * 0.1));
      else return;
      event.preventDefault();
    });
    stage.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return; // without Ctrl the wheel scrolls the page
      event.preventDefault();
      zoomBy(stage, Math.exp(-event.deltaY / 200));
    }, { passive: false });

    const fingers = new Map();
    const distance = () => { const [a, b] = [...fingers.values()]; return Math.hypot(a.x - b.x, a.y - b.y); };
    stage.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      stage.setPointerCapture(event.pointerId);
      stage.classList.add("dragged");
      if (!isGrid() && fingers.size === 1) slide(event);
    });
    const slide = (event) => {
      const box = stage.getBoundingClientRect();
      split(stage, (100 * (event.clientX - box.left)) / box.width);
    };
    stage.addEventListener("pointermove", (event) => {
      const last = fingers.get(event.pointerId);
      if (!last) return;
      const before = fingers.size === 2 ? distance() : 0;
      fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      if (before) zoomBy(stage, distance() / before);
      else if (!isGrid()) slide(event);
      else if (stage.state.zoom > 1) {
        const pane = stage.querySelector(".pane").getBoundingClientRect();
        moveBy(stage, (last.x - event.clientX) / pane.width, (last.y - event.clientY) / pane.height);
      }
    });
    for (const end of ["pointerup", "pointercancel"]) {
      stage.addEventListener(end, (event) => { fingers.delete(event.pointerId); if (!fingers.size) stage.classList.remove("dragged"); });
    }

    const tools = stage.parentElement.querySelector(".tools");
    tools.addEventListener("click", (event) => {
      const { zoom, face } = event.target.dataset;
      if (zoom === "fit") place(stage, 1, 0.5, 0.5);
      else if (zoom) zoomBy(stage, zoom === "in" ? 1.5 : 1 / 1.5);
      else if (face) {
        const again = event.target.getAttribute("aria-pressed") === "true";
        const [x, y, w, h] = face.split(" ").map(Number);
        if (again) place(stage, 1, 0.5, 0.5);
        else place(stage, Math.min(0.7 / w, 0.7 / h), x + w / 2, y + h / 2);
        event.target.setAttribute("aria-pressed", String(!again));
        besides(stage.closest(".card"), event.target);
      }
    });
  }
})();
