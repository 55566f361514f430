/** How wide text is in the page's own fonts. */
import type { Font, Measure } from "../model/text";

const known = new Map<string, number>();
const MOST = 20_000;
let fonts: Record<Font, string> | null = null;
let context: CanvasRenderingContext2D | null = null;

export const measure: Measure = (text, font) => {
  const key = font + text;
  const found = known.get(key);
  if (found !== undefined) return found;
  if (!context || !fonts) {
    context = document.createElement("canvas").getContext("2d")!;
    const style = getComputedStyle(document.documentElement);
    const sans = style.getPropertyValue("--sans");
    const mono = style.getPropertyValue("--mono");
    fonts = { name: `14px ${sans}`, strong: `600 14px ${sans}`, text: `12.5px ${sans}`, mono: `12px ${mono}` };
  }
  context.font = fonts[font];
  const width = context.measureText(text).width;
  if (known.size > MOST) known.clear();
  known.set(key, width);
  return width;
};
