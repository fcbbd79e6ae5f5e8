import { type CodecName, codecLevels, codecs, isCodecKnown } from '../disk/codecs.js';
import { fieldValueOf, hasField } from '../http/fields.js';
import type { FieldLines } from '../http/message.js';

/** Which bodies are compressed on the disk, and how. */
export interface CompressionOptions {
  /**
   * Shorter bodies are stored as they are, in bytes.
   * @default 1024
   */
  readonly minBytes?: number;
  /**
   * Media types that are compressed: `text/html`, all of a kind (`text/*`), or all with a suffix (`*+json`). In lower case.
   * @default ['text/*', 'application/json', 'application/javascript', 'application/xml', '*+json', '*+xml', …]
   */
  readonly types?: readonly string[];
  /**
   * `zstd` only where `node:zlib` has it (Node 22.15); elsewhere what is stored so is a miss.
   * @default 'brotli'
   */
  readonly codec?: Exclude<CodecName, 'identity'>;
  /**
   * The codec's own level.
   * @default 3
   */
  readonly level?: number;
  /**
   * A body that does not get shorter by this part is stored as it is, 0 to 1.
   * @default 0.1
   */
  readonly minGain?: number;
}

const compressionDefaults: Required<CompressionOptions> = Object.freeze({
  minBytes: 1024,
  types: Object.freeze([
    'text/*',
    'application/json',
    'application/javascript',
    'application/ecmascript',
    'application/xml',
    'application/x-ndjson',
    'application/x-www-form-urlencoded',
    'application/wasm',
    'application/vnd.ms-fontobject',
    '*+json',
    '*+xml',
    'font/ttf',
    'font/otf',
    'image/bmp',
    'image/x-icon',
  ]),
  codec: 'brotli',
  level: 3,
  minGain: 0.1,
});

/** What the options allow, in words; `undefined` when they are good. */
export function compressionFault(value: unknown): string | undefined {
  if (typeof value === 'boolean') return undefined;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'true, false or an object';
  for (const name of Object.keys(value)) if (!(name in compressionDefaults)) return `without "${name}"`;
  const { minBytes, types, codec, level, minGain } = { ...compressionDefaults, ...value } as Record<string, unknown>;
  if (!isNumberIn(minBytes, 1, Number.MAX_SAFE_INTEGER)) return 'with minBytes of 1 or more';
  if (!Array.isArray(types) || !types.every((type) => typeof type === 'string')) return 'with a list of types';
  if (codec !== 'deflate' && codec !== 'brotli' && codec !== 'zstd') return 'with codec brotli, deflate or zstd';
  if (!isCodecKnown(codecs[codec])) return `with another codec: this Node has no ${codec}`;
  const [lowest, highest] = codecLevels[codec];
  const isLevel = Number.isInteger(level) && isNumberIn(level, lowest, highest);
  if (!isLevel) return `with a level from ${lowest} to ${highest}`;
  return isNumberIn(minGain, 0, 1) ? undefined : 'with minGain from 0 to 1';
}

function isNumberIn(value: unknown, lowest: number, highest: number): boolean {
  return typeof value === 'number' && value >= lowest && value <= highest;
}

/** Chooses which bodies are worth a try. */
export class Compression {
  readonly level: number;
  readonly minGain: number;
  readonly #codec: number;
  readonly #minBytes: number;
  readonly #exact = new Set<string>();
  readonly #kinds = new Set<string>();
  readonly #suffixes = new Set<string>();

  constructor(options: CompressionOptions) {
    const { minBytes, types, codec, level, minGain } = { ...compressionDefaults, ...options };
    this.level = level;
    this.minGain = minGain;
    this.#codec = codecs[codec];
    this.#minBytes = minBytes;
    for (const type of types) {
      if (type.endsWith('/*')) this.#kinds.add(type.slice(0, -1));
      else if (type.startsWith('*+')) this.#suffixes.add(type.slice(1));
      else this.#exact.add(type);
    }
  }

  /** The codec to try for a body; that of bodies that stay as they are, if it is not to be tried. */
  codecFor(fields: FieldLines, bodyBytes: number): number {
    if (bodyBytes < this.#minBytes || hasField(fields, 'content-encoding')) return codecs.identity;
    const type = fieldValueOf(fields, 'content-type');
    return type !== undefined && this.#covers(type) ? this.#codec : codecs.identity;
  }

  #covers(contentType: string): boolean {
    const end = contentType.indexOf(';');
    const type = (end < 0 ? contentType : contentType.slice(0, end)).trim().toLowerCase();
    if (this.#exact.has(type) || this.#kinds.has(type.slice(0, type.indexOf('/') + 1))) return true;
    const suffixAt = type.lastIndexOf('+');
    return suffixAt >= 0 && this.#suffixes.has(type.slice(suffixAt));
  }
}
