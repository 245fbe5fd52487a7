// The interactive figure: replaces the shown call by another recorded call.
for (const figure of document.querySelectorAll(".watch")) {
  const views = JSON.parse(figure.querySelector("script").textContent);
  const find = selector => figure.querySelector(selector);
  const heading = figure.parentElement.querySelector(".claim"), more = figure.parentElement.querySelector(".more");
  const range = find("input[type=range]"), selects = [...figure.querySelectorAll("select")];
  const lost = text => ["nan", "inf", "-inf"].includes(text);
  let view = views[0];

  // The bars of the answer and of the exact value share a scale; NaN and infinities fill the cell.
  const scale = at => Math.max(...view.lanes.filter(lane => barred(lane)).flatMap(lane => lane.cells[at])
    .map(text => Math.abs(Number(text))).filter(Number.isFinite), 0) || 1;
  const barred = lane => lane.kind === "actual" || lane.kind === "exact";
  const says = at => {
    const entry = kind => view.lanes.find(lane => lane.kind === kind).cells[at][view.column] ?? "missing";
    const verdict = view.broken[at] === "1" ? "the law is broken" : "the error is within its bound";
    const answer = entry("actual").replace("nan", "NaN");
    return `t = ${view.t[at]}: ${view.subject} is ${answer}; the exact value is ${entry("exact")}; ${verdict}.`;
  };

  const cell = (text, share) => {
    const td = document.createElement("td"), number = document.createElement("span");
    td.className = lost(text) ? "number lost" : "number";
    if (share !== null) {
      const bar = document.createElement("span");
      bar.className = "bar";
      bar.style.width = `${share}%`;
      td.append(bar);
    }
    number.textContent = text;
    td.append(number);
    return td;
  };

  const station = () => {
    const at = Number(range.value);
    find(".cursor").style.left = `${view.positions[at]}%`;
    find(".t").textContent = view.t[at];
    find(".hex").textContent = view.hex[at];
    find(".says").textContent = says(at);
    range.setAttribute("aria-valuetext", says(at));
    const whole = scale(at);
    [...find(".lanes tbody").rows].forEach((row, lane) => {
      const own = view.lanes[lane];
      const share = text => !barred(own) ? null : lost(text) ? 100 : 100 * Math.abs(Number(text)) / whole;
      const cells = own.cells[at].map(text => cell(text, share(text)));
      cells.at(-1).colSpan = view.columns.length - cells.length + 1;
      row.replaceChildren(row.cells[0], ...cells);
    });
  };

  const show = (at = view.at) => {
    if (heading) heading.textContent = view.claim;
    if (more) more.hidden = view.contract !== views[0].contract;
    find(".case").textContent = view.case;
    find(".dtype").textContent = view.dtype;
    find(".formula").textContent = view.formula;
    find(".where").textContent = view.where;
    find(".plot").ariaLabel = `${view.subject} along the ray; ${view.where}.`;
    find(".shows").textContent = view.shows;
    [".exact", ".actual", ".broken"].forEach((name, i) => { find(`path${name}`).setAttribute("d", view.paths[i]); });
    [find(".y.low").textContent, find(".y.high").textContent] = view.ticks;
    find(".end").textContent = view.end;
    find(".break").hidden = find(".to").disabled = view.position === null;
    find(".break").style.left = `${view.position}%`;
    const headings = ["values in this call", ...view.columns].map((text, i) => {
      const th = document.createElement("th");
      th.scope = "col";
      th.textContent = text;
      th.className = i ? "number" : "";
      return th;
    });
    find(".lanes thead tr").replaceChildren(...headings);
    find(".lanes tbody").replaceChildren(...view.lanes.map(lane => {
      const row = document.createElement("tr"), th = document.createElement("th");
      row.className = lane.kind;
      th.scope = "row";
      th.textContent = lane.name;
      row.append(th);
      return row;
    }));
    range.max = view.t.length - 1;
    range.value = at;
    station();
  };

  // Offer every implementation, the dtypes of the shown one, and its rays in the shown dtype.
  const offer = () => {
    const options = (name, list) => [...new Set(list.map(it => it[name]))]
      .map(value => new Option(value, value, false, value === view[name]));
    const [cases, dtypes, rays] = selects, own = views.filter(it => it.case === view.case);
    cases.replaceChildren(...[...new Set(views.map(it => it.contract))].map(contract => {
      const group = document.createElement("optgroup");
      group.label = contract;
      group.append(...options("case", views.filter(it => it.contract === contract)));
      return group;
    }));
    dtypes.replaceChildren(...options("dtype", own));
    rays.replaceChildren(...options("ray", own.filter(it => it.dtype === view.dtype)));
  };

  const choose = wanted => {
    const likeness = it => ["case", "dtype", "ray"].reduce((sum, name) =>
      sum + (it[name] === view[name]) + 8 * (name === wanted.name && it[name] === wanted.value), 0);
    const t = Number(view.t[range.value]), before = view.contract;
    view = views.reduce((best, it) => likeness(it) > likeness(best) ? it : best);
    const distance = i => Math.abs(Number(view.t[i]) - t);
    offer();
    show(view.contract === before && wanted.name === "case"
      ? view.t.reduce((best, _, i) => distance(i) < distance(best) ? i : best, 0) : view.at);
  };

  const step = by => { range.value = Number(range.value) + by; station(); };
  selects.forEach(select => select.addEventListener("change", () => choose(select)));
  range.addEventListener("input", station);
  find(".back").addEventListener("click", () => step(-1));
  find(".on").addEventListener("click", () => step(1));
  find(".to").addEventListener("click", () => { range.value = view.at; station(); });
  find(".plot").addEventListener("pointerdown", event => {
    const box = find(".plot").getBoundingClientRect(), left = 100 * (event.clientX - box.left) / box.width;
    const distance = i => Math.abs(view.positions[i] - left);
    range.value = view.positions.reduce((best, _, i) => distance(i) < distance(best) ? i : best, 0);
    station();
  });
  for (const hidden of figure.querySelectorAll(".choices, .drag")) hidden.hidden = false;
  offer();
  show();
}
