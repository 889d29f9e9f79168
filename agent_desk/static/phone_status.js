// Whether the phone can be reached, said honestly in the top bar; and its settings: devices, how loud
// one is, how good the network is, a test call, where calls ring.

import { el, put, show, textsOf } from "./elements.js";

const texts = textsOf("phone");

export function mountStatus(menu, panel, workplace) {
  if (!menu) return;
  const { phone } = panel;
  const part = (which) => menu.querySelector(`[data-phone-${which}]`);
  const summary = menu.querySelector("summary");
  let stopLevel = () => {};

  const draw = () => {
    const state = reached(phone);
    summary.dataset.phone = state;
    put(part("word"), texts.chip[state]);
    const refusal = phone.problem === "desk" && phone.refusal;
    put(part("line"), refusal || (texts[phone.problem] ?? texts.chip[state]));
    put(part("account"), phone.account);
    part("quality").hidden = phone.quality === null;
    menu.querySelector("[data-phone-quality] meter").value = phone.quality ?? 0;
    put(menu.querySelector("[data-quality-word]"), texts.quality[phone.quality] ?? "");
    part("redial").hidden = phone.lastDialled === "";
    put(part("last"), phone.lastDialled);
    part("devices").hidden = phone.microphone.state !== "ready";
    const { inputs, outputs, chosen } = phone.microphone;
    fill(menu.querySelector("[data-device=microphone]"), inputs, chosen.microphone);
    fill(menu.querySelector("[data-device=ear]"), outputs, chosen.ear);
    fill(menu.querySelector("[data-device=ring]"), outputs, chosen.ring);
    const kind = phone.problem === "desk" ? "desk" : "browser";
    menu.querySelector(`[name=phone-kind][value=${kind}]`).checked = true;
  };

  phone.listen(draw);
  menu.addEventListener("toggle", async () => {
    stopLevel();
    stopLevel = () => {};
    if (!menu.open || phone.microphone.state !== "ready") return;
    await phone.microphone.open();
    if (menu.open) stopLevel = phone.microphone.level((level) => (part("level").value = level));
    phone.microphone.look();
  });
  for (const select of menu.querySelectorAll("[data-device]")) {
    select.addEventListener("change", () =>
      panel.attempt(() => phone.choose(select.dataset.device, select.value)),
    );
  }
  part("dial").addEventListener("submit", async (event) => {
    event.preventDefault();
    const field = event.target.elements.to;
    if (!field.value.trim()) return;
    if (await panel.attempt(() => phone.connect(field.value.trim()))) {
      field.value = "";
      menu.open = false;
    }
  });
  part("redial").addEventListener("click", () => phone.dial(phone.lastDialled));
  part("test").addEventListener("click", () => phone.dial(phone.echo));
  part("kind").addEventListener("change", (event) =>
    panel
      .attempt(async () => {
        await phone.useKind(event.target.value);
        workplace.say(texts.switched);
      })
      .then(draw),
  );
}

/** ready, connecting, away, no_microphone, elsewhere or desk. */
function reached(phone) {
  if (phone.owner !== "this_tab") return "elsewhere";
  if (phone.problem === "desk") return "desk";
  if (!phone.registered) return phone.problem ? "away" : "connecting";
  return phone.microphone.state === "ready" ? "ready" : "no_microphone";
}

function fill(select, devices, chosen) {
  const choices = devices.map((device) => [device.deviceId, device.label]);
  show(select, [choices, chosen], () => [
    el("option", { value: "", selected: chosen === "" }, texts.default_device),
    ...choices
      .filter(([id]) => id !== "default")
      .map(([id, label]) => el("option", { value: id, selected: id === chosen }, label)),
  ]);
}
