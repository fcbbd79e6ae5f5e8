// Which eviction policy keeps what will be asked for again? Prints the table of docs/eviction.md.
// node benchmarks/eviction/run.mjs [requests]   (needs `npm run build`)
import { Lru, S3Fifo, ShippedSieve, SieveAuto, WTinyLfu } from './policies.mjs';

const requests = Number(process.argv[2] ?? 400_000);
const policies = [Lru, ShippedSieve, SieveAuto, S3Fifo, WTinyLfu];

function randomOf(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let word = Math.imul(state ^ (state >>> 15), 1 | state);
    word = (word + Math.imul(word ^ (word >>> 7), 61 | word)) ^ word;
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Numbers below `count`, the nth with a probability of 1 / n^skew. */
function zipf(count, skew, random) {
  const sums = new Float64Array(count);
  let sum = 0;
  for (let n = 0; n < count; n += 1) {
    sum += 1 / (n + 1) ** skew;
    sums[n] = sum;
  }
  return () => {
    const wanted = random() * sum;
    let low = 0;
    let high = count - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sums[middle] < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

/** Log-normal about a median of 12 KB, as pages are; the same for the same id. */
function sizeOf(id) {
  const random = randomOf(id * 2 + 1);
  const normal = Math.sqrt(-2 * Math.log(random() + 1e-12)) * Math.cos(2 * Math.PI * random());
  return Math.round(Math.min(1_000_000, Math.max(300, 12_000 * Math.exp(1.1 * normal))));
}

const traces = {
  'Zipf 0.7': (random) => zipf(50_000, 0.7, random),
  'Zipf 1.0': (random) => zipf(50_000, 1.0, random),
  'Zipf 1.0, half of it a scan': (random) => {
    const popular = zipf(50_000, 1.0, random);
    let next = 100_000;
    let left = 0;
    return () => {
      if (left === 0 && random() < 1 / 5000) left = 5000;
      if (left === 0) return popular();
      left -= 1;
      next += 1;
      return next;
    };
  },
  'loop over twice what fits': () => {
    let at = 0;
    return () => {
      at = (at + 1) % 6000;
      return at;
    };
  },
  'crawl: pages once, assets of their site': (random) => {
    let page = 1_000_000;
    const site = () => Math.floor(page / 300) * 20;
    const asset = zipf(20, 0.8, random);
    return () => {
      if (random() < 0.4) return 500_000 + (site() % 100_000) + asset();
      page += 1;
      return page;
    };
  },
  'crawl of 40 sites at a time, revisits': (random) => {
    const pages = Array.from({ length: 40 }, (_, site) => site * 100_000);
    const asset = zipf(30, 0.9, random);
    return () => {
      const site = Math.floor(random() * 40);
      const dice = random();
      if (dice < 0.35) return 10_000_000 + site * 100 + asset();
      if (dice < 0.5) return Math.max(site * 100_000, pages[site] - Math.floor(random() ** 3 * 400));
      pages[site] += 1;
      return pages[site];
    };
  },
  'popular set that drifts': (random) => {
    const popular = zipf(8000, 0.9, random);
    let served = 0;
    return () => {
      served += 1;
      return popular() + Math.floor(served / 10);
    };
  },
};

console.log(
  `| ${requests.toLocaleString('en')} requests, 60 MB | ${policies.map((Policy) => new Policy(1).name).join(' | ')} |`,
);
console.log(`|---|${policies.map(() => '---|').join('')}`);
const spent = policies.map(() => 0);
for (const [name, trace] of Object.entries(traces)) {
  const cells = policies.map((Policy, at) => {
    const next = trace(randomOf(7));
    const ids = Int32Array.from({ length: requests }, next);
    const sizes = Int32Array.from(ids, sizeOf);
    const policy = new Policy(60_000_000);
    let hits = 0;
    let hitBytes = 0;
    let bytes = 0;
    const start = process.hrtime.bigint();
    for (let i = 0; i < requests; i += 1) {
      bytes += sizes[i];
      if (!policy.access(ids[i], sizes[i])) continue;
      hits += 1;
      hitBytes += sizes[i];
    }
    spent[at] += Number(process.hrtime.bigint() - start) / requests;
    return `${((hits / requests) * 100).toFixed(1)} / ${((hitBytes / bytes) * 100).toFixed(1)}`;
  });
  console.log(`| ${name} | ${cells.join(' | ')} |`);
}
const count = Object.keys(traces).length;
console.log(`| ns per request | ${spent.map((ns) => (ns / count).toFixed(0)).join(' | ')} |`);
