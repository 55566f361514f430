/** Text that has to fit: order, wrapping and shortening, for any way of measuring. */

export type Font = "name" | "text" | "mono" | "strong";
export type Measure = (text: string, font: Font) => number;

/** `node-2` before `node-10`. The same on every machine. */
export function naturally(a: string, b: string): number {
  const left = a.match(/\d+|\D+/g) ?? [];
  const right = b.match(/\d+|\D+/g) ?? [];
  for (let i = 0; i < left.length && i < right.length; i++) {
    const [x, y] = [left[i]!, right[i]!];
    if (x === y) continue;
    const numbers = Number(x) - Number(y);
    if (!Number.isNaN(numbers) && numbers !== 0) return numbers;
    return x < y ? -1 : 1;
  }
  return left.length - right.length || (a < b ? -1 : a > b ? 1 : 0);
}

/** What people see of a name: no control or direction characters, which could make it look like another. */
export function shown(text: string): string {
  // biome-ignore lint: these are the characters that are meant
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g, "\ufffd");
}

/** In as many lines as it needs and may have; the middle of what is still too long is left out. */
export function wrap(text: string, font: Font, width: number, lines: number, measure: Measure): string[] {
  const whole = shown(text);
  if (measure(whole, font) <= width) return [whole];
  const found: string[] = [];
  let rest = whole;
  while (found.length < lines - 1 && rest && measure(rest, font) > width) {
    const end = breakAt(rest, longest(rest, font, width, measure));
    found.push(rest.slice(0, end).trimEnd());
    rest = rest.slice(end).trimStart();
  }
  if (rest) found.push(fit(rest, font, width, measure));
  return found;
}

/** On one line: the middle is left out where it doesn't fit, for both ends of a name say the most. */
export function fit(text: string, font: Font, width: number, measure: Measure): string {
  const whole = shown(text);
  if (measure(whole, font) <= width) return whole;
  let low = 0;
  let high = whole.length;
  const cut = (kept: number) => {
    const head = Math.ceil(kept / 2);
    return `${whole.slice(0, head)}…${whole.slice(whole.length - (kept - head))}`;
  };
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (measure(cut(middle), font) <= width) low = middle;
    else high = middle - 1;
  }
  return cut(low);
}

function longest(text: string, font: Font, width: number, measure: Measure): number {
  let low = 1;
  let high = text.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (measure(text.slice(0, middle), font) <= width) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Behind a character at which people would break it, if there is one in the second half of the line. */
function breakAt(text: string, most: number): number {
  for (let i = most; i > most / 3; i--) if ("-./: ,@".includes(text[i - 1]!)) return i;
  return most;
}

/** About as wide as most fonts are: where nothing can be measured. */
export const roughly: Measure = (text, font) =>
  text.length * { name: 7.2, strong: 7.6, text: 6.2, mono: 7.25 }[font];

export function count(many: number, one: string, more = `${one}s`): string {
  return `${many} ${many === 1 ? one : more}`;
}

/** 1 in 3 as a person says it: `⅓`, `50 %`, `17 %`. */
export function share(part: number): string {
  if (part >= 0.9995) return "always";
  const percent = part * 100;
  return `${percent >= 10 ? Math.round(percent) : percent.toFixed(1)} %`;
}
