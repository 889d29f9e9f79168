// A recording played in its place: play, seek, speed, and the stretches where it was paused. All of
// it by keyboard: the timeline is a range input.

import { el, icon, textsOf } from "./elements.js";
import { duration } from "./moments.js";

const words = textsOf("story");
const SPEEDS = [1, 1.25, 1.5, 2];
let playing = null;

/** The player of {id, seconds, marks}. Nothing is loaded before it is played. */
export function player(recording) {
  const { seconds } = recording;
  const sound = new Audio();
  sound.preload = "none";
  const button = el(
    "button",
    { type: "button", class: "icon-button", "aria-label": words.play },
    icon("resume"),
  );
  const place = el("input", {
    type: "range",
    min: 0,
    max: Math.max(1, Math.round(seconds)),
    value: 0,
    step: 1,
    "aria-label": words.place,
    "aria-valuetext": duration(0),
  });
  const time = el("span", { class: "timer player-time" }, duration(seconds));
  const problem = el("p", { class: "notice notice-bad", role: "alert", hidden: true });
  const speed = el(
    "select",
    { "aria-label": words.speed, class: "player-speed" },
    ...SPEEDS.map((value) => el("option", { value }, `${value}×`)),
  );

  const shown = () => {
    place.value = Math.round(sound.currentTime);
    const at = duration(sound.currentTime);
    place.setAttribute("aria-valuetext", at);
    time.textContent = `${at} / ${duration(seconds)}`;
  };
  const drawButton = () => {
    const runs = !sound.paused;
    button.replaceChildren(icon(runs ? "pause" : "resume"));
    button.setAttribute("aria-label", runs ? words.pause : words.play);
  };
  const load = () => {
    if (!sound.src) sound.src = `/recordings/${recording.id}/audio`;
  };
  button.addEventListener("click", async () => {
    load();
    problem.hidden = true;
    if (!sound.paused) {
      sound.pause();
      return;
    }
    playing?.pause();
    playing = sound;
    try {
      await sound.play();
    } catch (error) {
      if (error.name === "AbortError") return;
      problem.textContent = words.not_played;
      problem.hidden = false;
    }
  });
  place.addEventListener("input", () => {
    load();
    sound.currentTime = Number(place.value);
    shown();
  });
  speed.addEventListener("change", () => {
    sound.playbackRate = Number(speed.value);
  });
  for (const event of ["play", "pause", "ended"]) sound.addEventListener(event, drawButton);
  sound.addEventListener("timeupdate", shown);
  sound.addEventListener("loadedmetadata", () => {
    sound.playbackRate = Number(speed.value);
  });
  return el(
    "div",
    { class: "player", role: "group", "aria-label": words.recording },
    button,
    el("div", { class: "player-line" }, ...pauses(recording), place),
    time,
    speed,
    problem,
  );
}

/** The stretches that were not recorded, from the marks: hatched, and said. */
function pauses({ seconds, marks }) {
  const found = [];
  let since = null;
  for (const mark of [...marks, { kind: "end", at: seconds }]) {
    if (mark.kind === "pause") since ??= mark.at;
    else if (since !== null) {
      found.push([since, mark.at]);
      since = null;
    }
  }
  return found.map(([from, to]) => {
    const part = el("span", {
      class: "player-pause",
      title: `${words.paused_part}: ${duration(from)}–${duration(to)}`,
    });
    part.style.insetInlineStart = `${(100 * from) / seconds}%`;
    part.style.inlineSize = `${(100 * (to - from)) / seconds}%`;
    return part;
  });
}

/** Stop whatever plays: the story shows somebody else. */
export function stopPlaying() {
  playing?.pause();
  playing = null;
}
