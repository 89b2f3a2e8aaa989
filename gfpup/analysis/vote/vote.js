"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const postTo = document.body.dataset.postTo;
  const at = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const screens = all("main");
  const items = new Map(data.items.map((item) => [item.id, item]));
  const STORE = `gfpup-vote-${data.trial}`;
  const SECONDS_A_CHOICE = 6;
  const total = data.questions.length * data.items.length;
  let state = { rater: "", order: [], votes: [], continued: [] };
  let shownAt = 0;

  const say = (text, bad = false) => {
    at("#said").textContent = text;
    at("#said").classList.toggle("alert", bad);
  };
  const save = () => {
    try {
      localStorage.setItem(STORE, JSON.stringify(state));
    } catch {
      say("This browser does not keep your votes: download them before you close the page.", true);
    }
  };
  const load = () => {
    try {
      const kept = JSON.parse(localStorage.getItem(STORE));
      if (kept && kept.order.length === total) state = kept;
    } catch { /* nothing was kept, or it cannot be read: begin anew */ }
  };

  // Random numbers of the browser: every rater has an order and sides of their own.
  const chance = () => crypto.getRandomValues(new Uint32Array(1))[0] / 2 ** 32;
  const shuffled = (list) => {
    const found = [...list];
    for (let i = found.length - 1; i > 0; i--) {
      const j = Math.floor(chance() * (i + 1));
      [found[i], found[j]] = [found[j], found[i]];
    }
    return found;
  };
  // What is asked again comes in the first half, and again in the second with its sides swapped.
  const ordered = (question) => {
    const again = data.items.filter((item) => item.repeats);
    const first = again.map((item) => items.get(item.repeats));
    const rest = shuffled(data.items.filter((item) => !item.repeats && !first.includes(item)));
    const half = Math.ceil(rest.length / 2);
    const sides = new Map();
    return [...shuffled([...first, ...rest.slice(0, half)]), ...shuffled([...again, ...rest.slice(half)])].map((item) => {
      const left = item.repeats ? (sides.get(item.repeats) === "a" ? "b" : "a") : chance() < 0.5 ? "a" : "b";
      sides.set(item.id, left);
      return { item: item.id, question: question.id, left };
    });
  };
  const begin = (rater) => {
    state = { rater, order: data.questions.flatMap(ordered), votes: [], continued: [data.questions[0].id] };
    save();
    show();
  };

  const cell = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const csv = () => {
    const rows = state.votes.map((vote, i) => {
      const { item, question, left } = state.order[i];
      return [state.rater, data.trial, item, question, vote.choice, left === "a" ? "left" : "right", vote.seconds.toFixed(2)];
    });
    return [["rater", "trial", "item", "question", "choice", "side", "seconds"], ...rows].map((row) => `${row.map(cell).join(",")}\n`).join("");
  };
  const download = () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
    link.download = `votes-${data.trial}-${state.rater.replace(/[^\p{L}\p{N}]+/gu, "-")}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    say(`Saved as ${link.download}.`);
  };
  const send = async () => {
    if (!postTo) return;
    try {
      const answer = await fetch(postTo, { method: "POST", body: csv(), headers: { "Content-Type": "text/csv" } });
      say(answer.ok ? "Your votes were sent. You need not download them." : `The server refused the votes (${answer.status}): download them.`, !answer.ok);
    } catch {
      say("The votes could not be sent: download them.", true);
    }
  };

  const open = (id) => {
    for (const screen of screens) screen.hidden = screen.id !== id;
    at("#early").hidden = !state.votes.length || id === "end" || id === "start";
    for (const button of all(".undo")) button.disabled = !state.votes.length;
    const heading = at(`#${id} h1`);
    if (heading.tabIndex === -1) heading.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  };
  const current = () => state.order[state.votes.length];
  const show = () => {
    const asked = current();
    if (!asked) {
      open("end");
      return;
    }
    const question = data.questions.find((one) => one.id === asked.question);
    if (!state.continued.includes(question.id)) {
      at("#pause .next").textContent = question.text;
      at("#pause .hint").textContent = question.hint;
      open("pause");
      return;
    }
    const item = items.get(asked.item);
    const sides = asked.left === "a" ? [item.a, item.b] : [item.b, item.a];
    all(".pair img").forEach((image, i) => { image.src = data.pictures[sides[i]]; });
    at(".before").hidden = item.input === null;
    if (item.input !== null) at(".before img").src = data.pictures[item.input];
    at("#ask h1").textContent = question.text;
    at("#ask .hint").textContent = question.hint;
    at("progress").value = state.votes.length / total;
    at(".count").textContent = `${state.votes.length + 1} of ${total}`;
    open("ask");
    shownAt = performance.now();
  };
  const vote = (key) => {
    const { left } = current();
    const right = left === "a" ? "b" : "a";
    const choice = { 0: "tie", 1: left, 2: right }[key];
    say(`Choice ${state.votes.length + 1}: ${key === "0" ? "no difference" : `picture ${key}`}.`);
    state.votes.push({ choice, seconds: Math.min(3600, (performance.now() - shownAt) / 1000) });
    save();
    show();
    if (!current()) send();
  };
  const undo = () => {
    if (!state.votes.length) return;
    state.votes.pop();
    say(`Choice ${state.votes.length + 1} was taken back.`);
    save();
    show();
  };
  const proceed = () => {
    state.continued.push(current().question);
    save();
    show();
  };

  for (const button of all("[data-key]")) button.addEventListener("click", () => vote(button.dataset.key));
  for (const button of all(".undo")) button.addEventListener("click", undo);
  for (const button of all(".download")) button.addEventListener("click", download);
  at(".go").addEventListener("click", proceed);
  at(".again").addEventListener("click", () => {
    if (!confirm("Has the file with the votes of this person been downloaded? They are deleted from this device.")) return;
    state = { rater: "", order: [], votes: [], continued: [] };
    save();
    say("");
    at("#rater").value = "";
    open("start");
    at("#rater").focus();
  });
  at("form").addEventListener("submit", (event) => {
    event.preventDefault();
    const rater = at("#rater").value.replace(/\s+/g, " ").trim();
    if (rater) begin(rater);
    else say("Type a name or a nickname first.", true);
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.target.matches("input")) return;
    const asking = !at("#ask").hidden;
    if (asking && "120".includes(event.key)) vote(event.key);
    else if (event.key.toLowerCase() === "u" || event.key === "Backspace") undo();
    else if (event.key === "Enter" && !at("#pause").hidden && !event.target.matches("button")) proceed();
    else return;
    event.preventDefault();
  });

  for (const place of all(".total")) place.textContent = total;
  const minutes = Math.max(1, Math.round((total * SECONDS_A_CHOICE) / 60));
  at(".minutes").textContent = minutes === 1 ? "a minute" : `${minutes} minutes`;
  for (const question of data.questions) {
    const line = document.createElement("li");
    line.append(question.text, Object.assign(document.createElement("small"), { textContent: question.hint }));
    at(".questions").append(line);
  }
  load();
  if (state.order.length) {
    show();
    if (state.votes.length && current()) say(`Welcome back, ${state.rater}: your votes so far were kept.`);
  } else {
    open("start");
  }
})();
