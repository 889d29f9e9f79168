// A prompt's recordings: a chosen file goes to the server as it is. What the server cannot read (M4A,
// say) the browser decodes, if it can, and sends as WAV.

import { textsOf } from "./elements.js";
import { Refused, send } from "./requests.js";
import "./shell.js";

const texts = textsOf("prompts");

for (const stretch of document.querySelectorAll("[data-prompt]")) {
  const input = stretch.querySelector("input[type=file]");
  if (!input) continue;
  const said = stretch.querySelector("[data-said]");
  input.addEventListener("change", async () => {
    const [file] = input.files;
    if (!file) return;
    if (file.size > texts.largest) {
      said.className = "prompt-said fault";
      said.textContent = texts.too_large;
      return;
    }
    input.disabled = true;
    said.className = "prompt-said";
    said.textContent = texts.sending;
    try {
      const answer = await upload(stretch.dataset.prompt, file);
      said.textContent = [answer.said, ...answer.doubts].join("\n");
      showRecording(stretch);
    } catch (error) {
      said.classList.add("fault");
      said.textContent = error instanceof Refused ? error.message : texts.lost;
    } finally {
      input.disabled = false;
      input.value = "";
    }
  });
}

async function upload(query, file) {
  const path = `/api/setup/prompts?${query}&${new URLSearchParams({ name: file.name.slice(0, 200) })}`;
  try {
    return await send(path, file);
  } catch (error) {
    if (error.fault !== "unknown_format") throw error;
    const decoded = await wavOf(file);
    if (!decoded) throw error;
    return send(path, decoded);
  }
}

function showRecording(stretch) {
  const voices = stretch.querySelector("[data-voices]");
  let label = voices.querySelector("[data-recording]");
  if (!label) {
    label = voices.querySelector(".prompt-voice").cloneNode(true);
    label.dataset.recording = "";
    label.querySelector("span").textContent = texts.recording;
    voices.append(label);
  }
  // Another address, so that no player keeps the recording that was here before.
  label.querySelector("audio").src =
    `/setup/prompts/sound?${stretch.dataset.prompt}&voice=recording&at=${Date.now()}`;
}

/** The file as a WAV of one channel and 16 bits, or null if this browser cannot read it either. */
async function wavOf(file) {
  const context = new AudioContext();
  try {
    const sound = await context.decodeAudioData(await file.arrayBuffer());
    const mixed = new Float32Array(sound.length);
    for (let channel = 0; channel < sound.numberOfChannels; channel += 1) {
      sound.getChannelData(channel).forEach((sample, at) => (mixed[at] += sample / sound.numberOfChannels));
    }
    return wav(mixed, sound.sampleRate);
  } catch {
    return null;
  } finally {
    context.close();
  }
}

function wav(samples, rate) {
  const view = new DataView(new ArrayBuffer(44 + samples.length * 2));
  const write = (at, text) => [...text].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  write(0, "RIFF");
  view.setUint32(4, 36 + samples.length * 2, true);
  write(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, rate * 2, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  write(36, "data");
  view.setUint32(40, samples.length * 2, true);
  samples.forEach((sample, i) => view.setInt16(44 + i * 2, Math.max(-1, Math.min(1, sample)) * 32767, true));
  return new Blob([view], { type: "application/octet-stream" });
}
