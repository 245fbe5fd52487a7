// Pointing at an implementation highlights it in every picture and table. A tap highlights, a tap beside it ends it.
let lit = null;
const light = owner => {
  if (owner === lit) return;
  for (const it of document.querySelectorAll(".lit")) it.classList.remove("lit");
  lit = owner;
  if (owner === null) return;
  for (const it of document.querySelectorAll(`[data-of="${owner}"]`)) it.classList.add("lit");
};
document.addEventListener("pointerover", event => light(event.target.closest?.("[data-of]")?.dataset.of ?? null));
document.documentElement.addEventListener("pointerleave", () => light(null));
document.addEventListener("keydown", event => { if (event.key === "Escape") light(null); });
