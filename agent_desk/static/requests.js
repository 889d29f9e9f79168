// Requests to the JSON API. An answer that is an error is thrown with the server's own words, which
// say what to do.

const csrf = document.querySelector("meta[name=csrf-token]").content;

export class Refused extends Error {
  constructor(status, message, field, fault) {
    super(message);
    this.status = status;
    this.field = field;
    this.fault = fault;
  }
}

export async function get(path, params = {}, options = {}) {
  return answered(await fetch(`${path}?${new URLSearchParams(params)}`, options));
}

export async function post(path, wish = {}, options = {}) {
  return answered(
    await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf },
      body: JSON.stringify(wish),
      ...options,
    }),
  );
}

/** A file, as it is. */
export async function send(path, file) {
  const headers = { "Content-Type": "application/octet-stream", "X-CSRF-Token": csrf };
  return answered(await fetch(path, { method: "POST", headers, body: file }));
}

/**
 * For requests of which only the last one counts: each call of the answer breaks the request before
 * off, and gives the signal for the next. A page open all day must not gather what nobody waits for.
 */
export function latest() {
  let last = new AbortController();
  return () => {
    last.abort();
    last = new AbortController();
    return last.signal;
  };
}

async function answered(response) {
  const answer = await response.json();
  if (!response.ok) throw new Refused(response.status, answer.error, answer.field, answer.fault);
  return answer;
}
