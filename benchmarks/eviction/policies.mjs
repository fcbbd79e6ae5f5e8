// Eviction policies by bytes, as small as they can be and still be themselves. `access` says whether it was a hit.
import { Sieve } from '../../dist/src/store/sieve.js';

export class Lru {
  name = 'LRU';
  #sizes = new Map();
  #bytes = 0;
  constructor(maxBytes) {
    this.maxBytes = maxBytes;
  }
  access(id, size) {
    const isHit = this.#sizes.delete(id);
    this.#sizes.set(id, size);
    if (isHit) return true;
    this.#bytes += size;
    for (const [oldest, oldSize] of this.#sizes) {
      if (this.#bytes <= this.maxBytes) break;
      this.#sizes.delete(oldest);
      this.#bytes -= oldSize;
    }
    return false;
  }
}

/** The one that is shipped. */
export class ShippedSieve {
  name = 'SIEVE';
  #elements = new Map();
  #order = new Sieve();
  #bytes = 0;
  constructor(maxBytes) {
    this.maxBytes = maxBytes;
  }
  has(id) {
    return this.#elements.has(id);
  }
  access(id, size) {
    const known = this.#elements.get(id);
    if (known !== undefined) {
      known.visited = true;
      return true;
    }
    while (this.#bytes + size > this.maxBytes) {
      const victim = this.#order.victim(() => false);
      if (victim === undefined) return false;
      this.#order.remove(victim);
      this.#elements.delete(victim.id);
      this.#bytes -= victim.size;
    }
    const element = { id, size, newer: undefined, older: undefined, visited: false };
    this.#elements.set(id, element);
    this.#order.add(element);
    this.#bytes += size;
    return false;
  }
}

/** SIEVE that takes only what was asked for before: the tiered store's `admission: 'auto'`. */
export class SieveAuto {
  name = "SIEVE, admission 'auto'";
  #younger = new Set();
  #older = new Set();
  constructor(maxBytes) {
    this.sieve = new ShippedSieve(maxBytes);
  }
  access(id, size) {
    if (this.sieve.has(id)) return this.sieve.access(id, size);
    const wasSeen = this.#younger.has(id) || this.#older.has(id);
    this.#younger.add(id);
    if (this.#younger.size >= 16_384) [this.#younger, this.#older] = [new Set(), this.#younger];
    if (wasSeen) this.sieve.access(id, size);
    return false;
  }
}

/** Yang et al., SOSP 2023: a small queue (10 %), a main queue, and a ghost of what left the small one unused. */
export class S3Fifo {
  name = 'S3-FIFO';
  #small = new Map();
  #main = new Map();
  #ghost = new Map();
  #smallBytes = 0;
  #mainBytes = 0;
  #ghostBytes = 0;
  constructor(maxBytes) {
    this.maxBytes = maxBytes;
  }
  access(id, size) {
    const known = this.#small.get(id) ?? this.#main.get(id);
    if (known !== undefined) {
      known.uses = Math.min(3, known.uses + 1);
      return true;
    }
    while (this.#smallBytes + this.#mainBytes + size > this.maxBytes) this.#evict();
    const isGhost = this.#ghost.has(id);
    if (isGhost) {
      this.#ghostBytes -= this.#ghost.get(id);
      this.#ghost.delete(id);
      this.#main.set(id, { size, uses: 0 });
      this.#mainBytes += size;
    } else {
      this.#small.set(id, { size, uses: 0 });
      this.#smallBytes += size;
    }
    return false;
  }
  #evict() {
    if (this.#smallBytes > this.maxBytes / 10 || this.#main.size === 0) this.#evictSmall();
    else this.#evictMain();
  }
  #evictSmall() {
    for (const [id, element] of this.#small) {
      this.#small.delete(id);
      this.#smallBytes -= element.size;
      if (element.uses > 0) {
        this.#main.set(id, { size: element.size, uses: 0 });
        this.#mainBytes += element.size;
        continue;
      }
      this.#ghost.set(id, element.size);
      this.#ghostBytes += element.size;
      for (const [oldest, size] of this.#ghost) {
        if (this.#ghostBytes <= this.maxBytes * 0.9) break;
        this.#ghost.delete(oldest);
        this.#ghostBytes -= size;
      }
      return;
    }
  }
  #evictMain() {
    for (const [id, element] of this.#main) {
      this.#main.delete(id);
      if (element.uses > 0) {
        element.uses -= 1;
        this.#main.set(id, element);
        continue;
      }
      this.#mainBytes -= element.size;
      return;
    }
  }
}

/** Einziger et al. 2017: a window (1 %) in front of a segmented LRU; a count-min sketch decides who comes in. */
export class WTinyLfu {
  name = 'W-TinyLFU';
  #window = new Map();
  #probation = new Map();
  #protected = new Map();
  #bytes = { window: 0, probation: 0, protected: 0 };
  #sketch = new Uint8Array(4 << 16);
  #additions = 0;
  constructor(maxBytes) {
    this.maxBytes = maxBytes;
  }
  access(id, size) {
    this.#count(id);
    if (this.#window.has(id)) {
      this.#window.delete(id);
      this.#window.set(id, size);
      return true;
    }
    if (this.#protected.has(id)) {
      this.#protected.delete(id);
      this.#protected.set(id, size);
      return true;
    }
    if (this.#probation.has(id)) {
      this.#move('probation', 'protected', id);
      while (this.#bytes.protected > this.maxBytes * 0.99 * 0.8)
        this.#move('protected', 'probation', first(this.#protected));
      return true;
    }
    this.#window.set(id, size);
    this.#bytes.window += size;
    while (this.#bytes.window > this.maxBytes / 100) this.#leaveWindow(first(this.#window));
    return false;
  }
  #leaveWindow(candidate) {
    const size = this.#window.get(candidate);
    const uses = this.#estimate(candidate);
    this.#move('window', 'probation', candidate);
    while (this.#bytes.probation + this.#bytes.protected > this.maxBytes * 0.99) {
      const victim = first(this.#probation) === candidate ? first(this.#protected) : first(this.#probation);
      const loser = victim === undefined || this.#estimate(victim) >= uses || size > this.maxBytes ? candidate : victim;
      this.#drop(this.#probation.has(loser) ? 'probation' : 'protected', loser);
      if (loser === candidate) return;
    }
  }
  #list(name) {
    return name === 'window' ? this.#window : name === 'probation' ? this.#probation : this.#protected;
  }
  #move(from, to, id) {
    const size = this.#list(from).get(id);
    this.#drop(from, id);
    this.#list(to).set(id, size);
    this.#bytes[to] += size;
  }
  #drop(from, id) {
    this.#bytes[from] -= this.#list(from).get(id);
    this.#list(from).delete(id);
  }
  #slot(id, row) {
    let hash = Math.imul(id ^ (row * 0x9e3779b9), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    return (row << 16) | ((hash ^ (hash >>> 16)) & 0xffff);
  }
  #count(id) {
    for (let row = 0; row < 4; row += 1) {
      const slot = this.#slot(id, row);
      if (this.#sketch[slot] < 15) this.#sketch[slot] += 1;
    }
    this.#additions += 1;
    if (this.#additions < 10 << 14) return;
    this.#additions = 0;
    for (let i = 0; i < this.#sketch.length; i += 1) this.#sketch[i] >>= 1;
  }
  #estimate(id) {
    let least = 15;
    for (let row = 0; row < 4; row += 1) least = Math.min(least, this.#sketch[this.#slot(id, row)]);
    return least;
  }
}

function first(map) {
  return map.keys().next().value;
}
