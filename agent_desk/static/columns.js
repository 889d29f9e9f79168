// The desk's columns and the tabs beside the call: which of them is seen where not all have room.

const oneColumn = matchMedia("(width < 48rem)");

export function mount(desk, workplace) {
  const switches = desk.querySelector("[data-column-switch]");
  const list = desk.querySelector("[role=tablist]");
  const tabs = [...list.querySelectorAll("[role=tab]")];
  const rightToLeft = document.documentElement.dir === "rtl";

  function show(column) {
    // Where there are two columns, the customer is always one of them.
    const shown = column === "customer" && !oneColumn.matches ? "work" : column;
    desk.dataset.column = shown;
    for (const button of switches.children) {
      button.setAttribute("aria-pressed", button.dataset.column === shown);
    }
  }

  function select(tab) {
    for (const one of tabs) {
      const chosen = one === tab;
      one.setAttribute("aria-selected", chosen);
      one.tabIndex = chosen ? 0 : -1;
      document.getElementById(one.getAttribute("aria-controls")).hidden = !chosen;
    }
  }

  /** Bring the element's column and tab to the front. */
  workplace.reveal = (element) => {
    const page = element.closest("[role=tabpanel]");
    if (page) select(document.getElementById(page.getAttribute("aria-labelledby")));
    const column = element.closest("[data-of]");
    if (column && column.dataset.of !== desk.dataset.column) show(column.dataset.of);
  };

  show("customer");
  oneColumn.addEventListener("change", () => show("customer"));
  switches.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) show(button.dataset.column);
  });
  list.addEventListener("click", (event) => {
    const tab = event.target.closest("[role=tab]");
    if (tab) select(tab);
  });
  // As ARIA has it: one tab is in the order of the Tab key, the arrows go between them.
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
  for (const tab of tabs) {
    workplace.command({
      id: tab.id,
      title: tab.firstChild.textContent,
      run: () => {
        workplace.reveal(document.getElementById(tab.getAttribute("aria-controls")));
        tab.focus();
      },
    });
  }
}
