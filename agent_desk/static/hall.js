// What makes the hall's pages more pleasant. All of them work without it.

const language = document.documentElement.lang;

// Days and moments in the reader's own calendar; moments at the house's hour.
for (const time of document.querySelectorAll("time[datetime]")) {
  const at = new Date(time.getAttribute("datetime"));
  const form =
    "day" in time.dataset
      ? { dateStyle: "long", timeZone: "UTC" }
      : { dateStyle: "medium", timeStyle: "short", timeZone: time.dataset.zone };
  time.textContent = new Intl.DateTimeFormat(language, form).format(at);
}

// The newest of a conversation is what one came for.
document.querySelector("[data-newest]")?.scrollIntoView({ block: "center" });

// A menu closes where everybody expects it to.
for (const menu of document.querySelectorAll("details.hall-menu")) {
  document.addEventListener("click", (event) => {
    if (!menu.contains(event.target)) menu.open = false;
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
}

for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}

// Sent twice is what an impatient finger means by once; the server knows it, too.
for (const form of document.querySelectorAll("form[data-once]")) {
  form.addEventListener("submit", () => {
    setTimeout(() => {
      for (const button of form.querySelectorAll("button")) button.disabled = true;
    });
  });
}
// Back from a page that the browser kept, the form may be sent again.
window.addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const button of document.querySelectorAll("form[data-once] button")) button.disabled = false;
});
