// Which tab of this browser has the phone: one at a time, by the browser's own locks, so that a tab
// that is closed or dies gives it up by itself.

const LOCK = "deskbell-phone";

export class PhoneOwner {
  #gained;
  #lost;
  #has = false;

  /** gained() when this tab has the phone from now on, lost() when another tab has it. */
  constructor({ gained, lost }) {
    this.#gained = gained;
    this.#lost = lost;
  }

  /** Take the phone if no other tab has it, else wait for it. */
  start() {
    if (!navigator.locks) {
      this.#gained();
      return;
    }
    this.#request({ ifAvailable: true }, () => {
      this.#lost();
      this.#request({});
    });
  }

  /** Take the phone from the tab that has it. */
  steal() {
    this.#request({ steal: true });
  }

  #request(options, taken = () => {}) {
    const hold = (lock) => {
      if (lock === null) {
        taken();
        return undefined;
      }
      this.#has = true;
      this.#gained();
      // Kept until the tab ends, or another one steals it.
      return new Promise(() => {});
    };
    navigator.locks.request(LOCK, options, hold).catch(() => {
      if (!this.#has) return;
      this.#has = false;
      this.#lost();
      this.#request({});
    });
  }
}
