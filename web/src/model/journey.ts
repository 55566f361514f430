/** A packet's journey over the picture, there and back, in time: slowed down some thousand times. Pure. */
import type { SeenAs } from "../values";
import type { Hop } from "./hops";
import { along, type Curve, type Point } from "./layout";

export interface Leg {
  curve: Curve;
  /** Whether it goes along the curve backwards. */
  back: boolean;
  begins: number;
  ends: number;
  owner: SeenAs;
  reply: boolean;
  /** What is written on the packet. */
  text: string;
}

export interface Pause {
  at: Point;
  card: string;
  begins: number;
  ends: number;
  reply: boolean;
  text: string;
}

export interface Journey {
  legs: Leg[];
  pauses: Pause[];
  seconds: number;
}

const MOVE = 0.65;
const REWRITE = 0.9;
const TURN = 0.5;

export interface Placed { card: string; hop: Hop }

/** `connect` gives the curve between two cards, and whether it leads the other way. */
export function journey(
  there: Placed[], back: Placed[], connect: (from: string, to: string) => { curve: Curve; back: boolean } | undefined,
): Journey {
  const legs: Leg[] = [];
  const pauses: Pause[] = [];
  let now = 0;
  const run = (stops: Placed[], reply: boolean) => {
    stops.forEach((stop, index) => {
      const { hop } = stop;
      const came = legs.at(-1);
      const here = came && came.ends === now ? end(came) : undefined;
      if (here && (hop.rewrites.length || hop.ended)) {
        const text = hop.ended ? hop.ended.disposition : `${hop.sourceAfter} → ${hop.destinationAfter}`;
        pauses.push({ at: here, card: stop.card, begins: now, ends: now + REWRITE, reply, text });
        now += REWRITE;
      }
      const next = stops[index + 1];
      const found = next && connect(stop.card, next.card);
      if (!next || !found) return;
      legs.push({
        ...found, begins: now, ends: now + MOVE, owner: hop.owner, reply, text: `${hop.sourceAfter} → ${hop.destinationAfter}`,
      });
      now += MOVE;
    });
  };
  run(there, false);
  if (back.length) {
    now += TURN;
    run(back, true);
  }
  return { legs, pauses, seconds: Math.round(now * 1000) / 1000 };
}

function end(leg: Leg): Point {
  return along(leg.curve, leg.back ? 0 : 1);
}

export interface Moment { at: Point; text: string; owner: SeenAs; reply: boolean; paused: boolean; card?: string }

/** Where it is, and what is written on it. */
export function moment({ legs, pauses }: Journey, seconds: number): Moment | undefined {
  const pause = pauses.find((each) => each.begins <= seconds && seconds < each.ends);
  const leg = [...legs].reverse().find((each) => each.begins <= seconds) ?? legs[0];
  if (!leg) return undefined;
  if (pause) return { at: pause.at, text: pause.text, owner: nextOf(legs, pause.ends)?.owner ?? leg.owner, reply: pause.reply, paused: true, card: pause.card };
  const part = Math.min(1, Math.max(0, (seconds - leg.begins) / (leg.ends - leg.begins)));
  const eased = part < 0.5 ? 2 * part * part : 1 - (2 - 2 * part) ** 2 / 2;
  return { at: along(leg.curve, leg.back ? 1 - eased : eased), text: leg.text, owner: leg.owner, reply: leg.reply, paused: part >= 1 };
}

function nextOf(legs: Leg[], seconds: number): Leg | undefined {
  return legs.find((each) => each.begins >= seconds - 0.001);
}
