// What the customer has, asked for every second; and what they write.

const words = JSON.parse(document.querySelector("#words").textContent);
const chooser = document.querySelector("#customer");
const trouble = document.querySelector("#trouble");
const clock = new Intl.DateTimeFormat(document.documentElement.lang, { timeStyle: "short" });
const EVERY_MS = 1000;

let version = "";
let answers = "";

function made(tag, text, className = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  element.className = className;
  element.dir = "auto";
  return element;
}

function shownMessage(message) {
  const line = made("li", message.text, message.mine ? "mine" : "");
  const details = [clock.format(message.at * 1000)];
  if (message.files) details.push(words.file);
  if (!message.mine && message.status === "read") details.push(words.read);
  line.append(made("small", details.join(" · ")));
  return line;
}

function shownMail(mail) {
  const line = made("li", "", mail.mine ? "mine" : "");
  line.append(made("small", `${mail.mine ? words.sent_by_you : mail.who} · ${clock.format(mail.at * 1000)}`));
  line.append(made("strong", mail.subject), made("pre", mail.text.trim()));
  for (const file of mail.files) line.append(made("small", `📎 ${file}`));
  if (!mail.mine) {
    const answer = made("button", words.answer, "plain");
    answer.type = "button";
    answer.addEventListener("click", () => begin(mail).text.focus());
    line.append(answer);
  }
  return line;
}

function fill(list, lines, atEnd) {
  const wasAtEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - 40;
  list.replaceChildren(...(lines.length ? lines : [made("li", words.nothing, "nothing")]));
  if (atEnd && wasAtEnd) list.scrollTop = list.scrollHeight;
}

function show(held) {
  version = held.version;
  fill(document.querySelector("#sms ol"), held.sms.map(shownMessage), true);
  fill(document.querySelector("#whatsapp ol"), held.whatsapp.map(shownMessage), true);
  fill(document.querySelector("#mail ol"), held.mails.map(shownMail), false);
  for (const [name, has] of Object.entries(held.has)) {
    document.querySelector(`#${name}`).hidden = !has;
  }
}

function begin(mail) {
  answers = mail ? mail.id : "";
  const form = document.querySelector("#mail form");
  const line = form.querySelector(".answering");
  line.hidden = !mail;
  line.querySelector("span").textContent = mail ? `${words.answer}: ${mail.subject}` : "";
  form.subject.hidden = Boolean(mail);
  return form;
}

async function look() {
  try {
    const answer = await fetch(`/customers/${chooser.value}?version=${version}`);
    if (answer.status === 200) show(await answer.json());
    else if (answer.status !== 204) throw new Error(answer.statusText);
    if (trouble.dataset.lost) {
      trouble.textContent = "";
      delete trouble.dataset.lost;
    }
  } catch {
    trouble.textContent = words.failed;
    trouble.dataset.lost = "yes";
  }
}

function choose() {
  const customer = chooser.selectedOptions[0];
  version = "";
  begin(null);
  document.querySelector("#sms .address").textContent = customer.dataset.number;
  document.querySelector("#whatsapp .address").textContent = customer.dataset.number;
  document.querySelector("#mail .address").textContent = customer.dataset.mail;
  look();
}

async function write(event) {
  event.preventDefault();
  const form = event.target;
  const by = form.closest("section").id;
  const wish = { by, text: form.text.value };
  if (by === "mail") Object.assign(wish, { subject: form.subject.value, answers });
  trouble.textContent = "";
  try {
    const answer = await fetch(`/customers/${chooser.value}/write`, {
      method: "POST",
      headers: { "X-Outside-World": "page" },
      body: JSON.stringify(wish),
    });
    if (!answer.ok) throw new Error(answer.statusText);
    form.reset();
    if (by === "mail") begin(null);
    await look();
  } catch {
    trouble.textContent = words.failed;
  }
}

for (const form of document.querySelectorAll("form")) {
  form.addEventListener("submit", write);
  form.text.addEventListener("keydown", (event) => {
    const sends = event.key === "Enter" && !event.shiftKey && form.closest("section").id !== "mail";
    if (sends && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
}
document.querySelector(".answering button").addEventListener("click", () => begin(null).text.focus());
chooser.addEventListener("change", choose);
setInterval(look, EVERY_MS);
choose();
