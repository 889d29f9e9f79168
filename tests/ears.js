// What a page plays, measured. Installed before the page's own code; never part of the product.
//
// `ears.remote()` tells each remote audio track of each RTCPeerConnection: how loud it is, and which
// share of it is a tone. `ears.own()` tells how loud the page's own tones (WebAudio) are.
(() => {
  const KEPT_SECONDS = 2;
  const tracks = [];
  const players = new Set();
  const outputs = [];
  const notifications = [];

  async function listen(track) {
    const heard = { track, rate: 0, frames: [] };
    tracks.push(heard);
    const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const samples = new Float32Array(value.numberOfFrames);
      value.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
      heard.rate = value.sampleRate;
      heard.frames.push({ at: performance.timeOrigin + performance.now(), samples });
      const most = (KEPT_SECONDS * value.sampleRate) / value.numberOfFrames;
      while (heard.frames.length > most) heard.frames.shift();
      value.close();
    }
  }

  class HeardConnection extends RTCPeerConnection {
    constructor(...given) {
      super(...given);
      this.addEventListener("track", (event) => {
        if (event.track.kind === "audio") listen(event.track);
      });
    }
  }
  window.RTCPeerConnection = HeardConnection;

  const source = Object.getOwnPropertyDescriptor(HTMLMediaElement.prototype, "srcObject");
  Object.defineProperty(HTMLMediaElement.prototype, "srcObject", {
    ...source,
    set(stream) {
      players.add(this);
      source.set.call(this, stream);
    },
  });

  const connect = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function (target, ...rest) {
    if (target instanceof AudioDestinationNode) {
      let output = outputs.find((one) => one.context === target.context);
      if (!output) {
        output = { context: target.context, analyser: target.context.createAnalyser() };
        outputs.push(output);
      }
      connect.call(this, output.analyser);
    }
    return connect.call(this, target, ...rest);
  };

  // Echo, noise and gain control take a steady tone for noise: a test's voice goes through as it is.
  const ask = navigator.mediaDevices?.getUserMedia.bind(navigator.mediaDevices);
  if (ask) {
    const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    navigator.mediaDevices.getUserMedia = (wish) => {
      const audio = typeof wish.audio === "object" ? wish.audio : {};
      return ask(wish.audio ? { ...wish, audio: { ...audio, ...plain } } : wish);
    };
  }

  if (window.Notification) {
    const Shown = window.Notification;
    window.Notification = class extends Shown {
      constructor(title, wish) {
        super(title, wish);
        notifications.push({ title, body: wish?.body ?? "" });
      }
    };
  }

  function measure(samples, rate, hertz) {
    let energy = 0;
    for (const sample of samples) energy += sample * sample;
    const shares = {};
    for (const tone of hertz) {
      const coefficient = 2 * Math.cos((2 * Math.PI * tone) / rate);
      let before = 0;
      let last = 0;
      for (const sample of samples) [before, last] = [last, sample + coefficient * last - before];
      const power = before * before + last * last - coefficient * before * last;
      shares[tone] = energy ? (2 * power) / (samples.length * energy) : 0;
    }
    return { loudness: Math.sqrt(energy / Math.max(1, samples.length)), shares };
  }

  function joined(frames) {
    const all = new Float32Array(frames.reduce((sum, frame) => sum + frame.samples.length, 0));
    let at = 0;
    for (const frame of frames) {
      all.set(frame.samples, at);
      at += frame.samples.length;
    }
    return all;
  }

  const isPlayed = (track) =>
    [...players].some(
      (one) =>
        !one.paused && !one.muted && one.volume > 0 && one.srcObject?.getTracks().includes(track),
    );

  window.ears = {
    notifications,
    tracks,
    // The last `seconds` of every remote track that lives, newest connection last.
    remote(hertz, seconds = 0.4) {
      const since = performance.timeOrigin + performance.now() - seconds * 1000;
      return tracks
        .filter(({ track }) => track.readyState === "live")
        .map(({ track, rate, frames }) => ({
          played: isPlayed(track),
          ...measure(joined(frames.filter(({ at }) => at >= since)), rate, hertz),
        }));
    },
    // When a tone was first there since `since` (milliseconds since 1970), or null.
    first(hertz, since) {
      let first = null;
      for (const { rate, frames } of tracks) {
        for (const { at, samples } of frames) {
          if (at < since || (first !== null && at >= first)) continue;
          const { loudness, shares } = measure(samples, rate, [hertz]);
          if (loudness > 0.01 && shares[hertz] > 0.5) first = at;
        }
      }
      return first;
    },
    own() {
      return Math.max(
        0,
        ...outputs.map(({ context, analyser }) => {
          if (context.state !== "running") return 0;
          const samples = new Float32Array(analyser.fftSize);
          analyser.getFloatTimeDomainData(samples);
          return measure(samples, context.sampleRate, []).loudness;
        }),
      );
    },
  };
})();
