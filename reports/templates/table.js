// Long tables: a heading sorts by its column, up and down; a search field keeps the rows that contain every word.
for (const table of document.querySelectorAll("table.long")) {
  const body = table.tBodies[0], rows = [...body.rows], headings = [...table.tHead.rows[0].cells];
  const box = table.parentElement, label = document.createElement("label");
  const field = document.createElement("input"), shown = document.createElement("output");
  const all = box.parentElement.querySelector(":scope > .all");
  label.className = "filter";
  field.type = "search";
  label.append("Filter ", field, shown);
  box.before(label);
  const texts = rows.map(row => row.textContent.toLowerCase());
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/);
    if (all && field.value) all.open = true; // a match may be in a hidden row
    rows.forEach((row, i) => { row.hidden = !words.every(word => texts[i].includes(word)); });
    const left = rows.filter(row => !row.hidden).length;
    shown.textContent = field.value ? ` ${left} of ${rows.length} rows` : "";
  });
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    const key = row => {
      const cell = row.cells[column], number = cell.dataset.key, text = cell.textContent;
      if (heading.className !== "number") return text;
      return number === undefined ? Number(text.replaceAll(",", "")) : number === "" ? NaN : Number(number);
    };
    button.addEventListener("click", () => {
      const down = heading.ariaSort === "ascending";
      headings.forEach(other => { other.ariaSort = null; });
      heading.ariaSort = down ? "descending" : "ascending";
      const keys = new Map(rows.map(row => [row, key(row)]));
      // Rows without a number stay last in both directions.
      const compare = (a, b) => typeof a === "string" ? a.localeCompare(b, undefined, {numeric: true}) : a - b;
      body.append(...[...rows].sort((p, q) => {
        const a = keys.get(p), b = keys.get(q), lost = Number.isNaN(a) - Number.isNaN(b);
        return lost || (down ? compare(b, a) : compare(a, b)) || 0;
      }));
    });
  });
}
// Show the tooltip of a point at once when the reader points at it or touches it.
const tip = document.createElement("div");
tip.id = "tip";
tip.hidden = true;
document.body.append(tip);
document.addEventListener("pointerover", event => {
  const circle = event.target.closest?.(".told circle");
  tip.hidden = !circle;
  if (!circle) return;
  tip.textContent = circle.textContent;
  const box = circle.getBoundingClientRect(), room = document.documentElement.clientWidth - tip.offsetWidth - 8;
  tip.style.left = `${Math.max(8, Math.min(box.left + 12, room)) + scrollX}px`;
  tip.style.top = `${box.top - tip.offsetHeight - 6 + scrollY}px`;
});
