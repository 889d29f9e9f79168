// The form of an article: beside each text, what agents will see.

import { articleBody } from "./article_view.js";
import { post } from "./requests.js";
import "./shell.js";

const PAUSE_MS = 400;

for (const field of document.querySelectorAll("[data-article-body]")) {
  const place = field.closest(".article-pair").querySelector("[data-article-preview]");
  let timer = 0;
  let turn = 0;
  const draw = async () => {
    const mine = ++turn;
    if (!field.value.trim()) {
      place.replaceChildren();
      return;
    }
    try {
      const { body } = await post("/api/articles/preview", { body: field.value });
      if (mine === turn) place.replaceChildren(...articleBody(body));
    } catch {
      // The next key tries again.
    }
  };
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(draw, PAUSE_MS);
  });
  draw();
}
