// The reader's side of the push: frames in, the state they add up to out. The same reducer as
// agent_desk/live/push_state.py; docs/push.md tells the protocol. Knows no socket and no page.

export class PushState {
  #topics = new Map();

  /** The topic's documents by key; empty until its first snapshot. */
  documents(topic) {
    return this.#topics.get(topic)?.documents ?? new Map();
  }

  knows(topic) {
    return this.#topics.has(topic);
  }

  forget(topic) {
    this.#topics.delete(topic);
  }

  /** Take one frame in; the answer is a topic that must be resynced, or null. */
  apply(frame) {
    const name = frame.topic;
    if (name === undefined) return null;
    if (frame.snapshot !== undefined) {
      this.#topics.set(name, { n: frame.n, documents: new Map(Object.entries(frame.snapshot)) });
      return null;
    }
    const topic = this.#topics.get(name);
    if (topic === undefined || frame.n > topic.n + 1) return name;
    if (frame.n === topic.n + 1) {
      topic.n = frame.n;
      for (const [key, document] of Object.entries(frame.set)) topic.documents.set(key, document);
      for (const key of frame.gone) topic.documents.delete(key);
    }
    return null;
  }
}
