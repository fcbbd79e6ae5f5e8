/** Steps of a sequence number in a millisecond: numbers go on from those of an earlier run. */
export const sequencesPerMs = 2048;
/** Processes that have a directory open each count in a lane of their own, so that no two records of it have the same number. */
export const lanes = 64;
/** A record that is written this long after its number was given out is not written at all, in ms. */
const maxLatenessMs = 30_000;
export const lateSequences = 2 * maxLatenessMs * sequencesPerMs;

/** The next number of a lane: by the clock, but always higher than the last one, whoever's that was. */
export function nextSequenceOf(lane: number, last: number, nowMs: number): number {
  const byClock = Math.floor((nowMs * sequencesPerMs) / lanes) * lanes + lane;
  return byClock > last ? byClock : (Math.floor(last / lanes) + 1) * lanes + lane;
}
