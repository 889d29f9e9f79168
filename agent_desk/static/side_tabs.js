// Tabs as ARIA has them: one is in the order of Tab, the arrows go between them.

export function mount(list) {
  const tabs = [...list.querySelectorAll("[role=tab]")];
  const rightToLeft = document.documentElement.dir === "rtl";

  function select(tab) {
    for (const one of tabs) {
      const chosen = one === tab;
      one.setAttribute("aria-selected", chosen);
      one.tabIndex = chosen ? 0 : -1;
      document.getElementById(one.getAttribute("aria-controls")).hidden = !chosen;
    }
    tab.dispatchEvent(new CustomEvent("selected", { bubbles: true }));
  }

  list.addEventListener("click", (event) => {
    const tab = event.target.closest("[role=tab]");
    if (tab) select(tab);
  });
  list.addEventListener("keydown", (event) => {
    const at = tabs.indexOf(event.target);
    const step = { ArrowRight: rightToLeft ? -1 : 1, ArrowLeft: rightToLeft ? 1 : -1 }[event.key];
    const to = step
      ? tabs[(at + step + tabs.length) % tabs.length]
      : { Home: tabs[0], End: tabs.at(-1) }[event.key];
    if (at < 0 || !to) return;
    event.preventDefault();
    select(to);
    to.focus();
  });
  return { select: (id) => select(tabs.find((tab) => tab.id === id)) };
}
