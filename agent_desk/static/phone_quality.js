// How well the network carries the voice, as 0 (unusable) to 4 (as in one room): the E-model of ITU-T
// G.107, shortened to loss, jitter and round trip, from what the browser measures of a call.

const FULL = 93.2;

/** Measures calls in turn: `await measure(connection)` answers 0 to 4, or null while nothing flows. */
export class Quality {
  #before = new WeakMap();

  async measure(connection) {
    const now = { received: 0, lost: 0, jitter: 0, roundTrip: 0, lostThere: 0 };
    for (const report of (await connection.getStats()).values()) {
      if (report.type === "inbound-rtp" && report.kind === "audio") {
        now.received = report.packetsReceived;
        now.lost = report.packetsLost;
        now.jitter = report.jitter ?? 0;
      } else if (report.type === "remote-inbound-rtp" && report.kind === "audio") {
        now.roundTrip = report.roundTripTime ?? 0;
        now.lostThere = report.fractionLost ?? 0;
      }
    }
    const before = this.#before.get(connection) ?? { received: 0, lost: 0 };
    this.#before.set(connection, now);
    const received = now.received - before.received;
    const lost = Math.max(0, now.lost - before.lost);
    if (received + lost === 0) return null;
    return grade(Math.max(lost / (received + lost), now.lostThere), now.jitter, now.roundTrip);
  }
}

/** From the share of packets lost, and jitter and round trip in seconds. */
export function grade(loss, jitter, roundTrip) {
  const delayMs = (roundTrip / 2 + jitter * 2) * 1000 + 20;
  const byDelay = 0.024 * delayMs + (delayMs > 177.3 ? 0.11 * (delayMs - 177.3) : 0);
  const byLoss = 95 * (loss / (loss + 0.1));
  const score = FULL - byDelay - byLoss;
  return [50, 60, 70, 80].filter((least) => score >= least).length;
}
