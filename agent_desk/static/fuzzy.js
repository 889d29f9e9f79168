// How well a text answers to a few letters, in any script.

const MARKS = /\p{M}/gu;
const SAME = { "ي": "ی", "ى": "ی", "ك": "ک", "ة": "ه", "أ": "ا", "إ": "ا", "آ": "ا", "\u200c": " " };

/** Without case, accents, and the letters that Arabic and Persian keyboards write differently. */
export function folded(text) {
  return text
    .normalize("NFKD")
    .replace(MARKS, "")
    .toLowerCase()
    .replace(/[يىكةأإآ\u200c]/g, (letter) => SAME[letter]);
}

/**
 * Higher is better, 0 is not at all. Both are folded. Every word must be found: at a word's
 * beginning best, else inside, else as letters in their order.
 */
export function score(words, text) {
  let sum = 1;
  for (const word of words.split(/\s+/).filter(Boolean)) {
    const one = scoreOfWord(word, text);
    if (one === 0) return 0;
    sum += one;
  }
  return sum - text.length / 10_000;
}

function scoreOfWord(word, text) {
  const at = text.indexOf(word);
  if (at === 0) return 100;
  if (at > 0) return text.includes(` ${word}`) ? 80 : 50;
  let place = 0;
  let gaps = 0;
  for (const letter of word) {
    const next = text.indexOf(letter, place);
    if (next < 0) return 0;
    gaps += next - place;
    place = next + letter.length;
  }
  // Letters strewn over a whole sentence are no find.
  return word.length > 1 && gaps <= 2 * word.length + 4 ? Math.max(1, 30 - gaps) : 0;
}
