/** Pages that were shown, for the way back. */

const MOST = 30;

/** By address: {page, top (how far it was scrolled), index (of the card used last)}. */
const visited = new Map();

/** Remember a page; the oldest is forgotten beyond `MOST`. */
export function remember(address, visit) {
  visited.delete(address);
  visited.set(address, visit);
  if (visited.size > MOST) visited.delete(visited.keys().next().value);
}

/** The page at an address, as it was left. */
export const get = (address) => visited.get(address);

/** Forget all: the store has changed. */
export const clear = () => visited.clear();
