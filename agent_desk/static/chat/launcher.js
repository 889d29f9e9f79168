// Where it begins: the script tag's own options, and the button. Nothing is asked of the desk and
// nothing is kept before somebody opens the chat.

function begin(script) {
  if (window.deskbellChat) return;
  const told = script.dataset;
  const wished = [told.language, document.documentElement.lang, ...(navigator.languages || [])];
  const short = (code) => (code || "").toLowerCase().split(/[-_]/)[0];
  const language = wished.map(short).find((code) => code in LABELS) || "en";
  const look = {};
  if (["light", "dark"].includes(told.theme)) look["data-theme"] = told.theme;
  if (told.side === "start") look["data-side"] = "start";
  const chat = new Chat(new URL(script.src).origin, {
    language,
    look,
    accent: /^#[0-9a-f]{6}$/i.test(told.accent || "") ? told.accent : "",
    topic: told.topic || "",
    customer: told.customer || "",
  });
  window.deskbellChat = {
    open: (options) => chat.open(options),
    close: () => chat.close(),
  };
}

const ourScript = document.currentScript;
if (document.body) begin(ourScript);
else addEventListener("DOMContentLoaded", () => begin(ourScript));
