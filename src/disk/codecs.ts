import * as zlib from 'node:zlib';

/** How bodies are stored: the number in a record's header. */
export const codecs = { identity: 0, deflate: 1, brotli: 2, zstd: 3 } as const;
export type CodecName = keyof typeof codecs;

type Callback = (error: Error | null, bytes: Uint8Array) => void;

interface Codec {
  encode(bytes: Uint8Array, level: number): Uint8Array;
  decode(bytes: Uint8Array, maxOutputLength: number, callback: Callback): void;
}

const { constants } = zlib;

const deflate: Codec = {
  encode: (bytes, level) => zlib.deflateRawSync(bytes, { level }),
  decode: (bytes, maxOutputLength, callback) => zlib.inflateRaw(bytes, { maxOutputLength }, callback),
};

const brotli: Codec = {
  encode: (bytes, level) =>
    zlib.brotliCompressSync(bytes, {
      params: { [constants.BROTLI_PARAM_QUALITY]: level, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.byteLength },
    }),
  decode: (bytes, maxOutputLength, callback) => zlib.brotliDecompress(bytes, { maxOutputLength }, callback),
};

/** Not in Node 20, nor in its types. */
interface Zstd {
  readonly constants: { readonly ZSTD_c_compressionLevel: number };
  zstdCompressSync(bytes: Uint8Array, options: { readonly params: Record<number, number> }): Uint8Array;
  zstdDecompress(bytes: Uint8Array, options: { readonly maxOutputLength: number }, callback: Callback): void;
}

const zstd = 'zstdCompressSync' in zlib ? zstdOf(zlib as unknown as Zstd) : undefined;

function zstdOf(library: Zstd): Codec {
  const { ZSTD_c_compressionLevel } = library.constants;
  return {
    encode: (bytes, level) => library.zstdCompressSync(bytes, { params: { [ZSTD_c_compressionLevel]: level } }),
    decode: (bytes, maxOutputLength, callback) => library.zstdDecompress(bytes, { maxOutputLength }, callback),
  };
}

function codecOf(codec: number): Codec | undefined {
  switch (codec) {
    case codecs.deflate:
      return deflate;
    case codecs.brotli:
      return brotli;
    case codecs.zstd:
      return zstd;
    default:
      return undefined;
  }
}

/** Whether this Node can read and write what has this codec. */
export function isCodecKnown(codec: number): boolean {
  return codec === codecs.identity || codecOf(codec) !== undefined;
}

/** The levels of a codec, from the fastest to the smallest. */
export const codecLevels: Readonly<Record<Exclude<CodecName, 'identity'>, readonly [number, number]>> = {
  deflate: [1, 9],
  brotli: [0, 11],
  zstd: [1, 19],
};

/** For the worker: blocks while it works. `undefined` for a codec that this Node does not have. */
export function encode(codec: number, bytes: Uint8Array, level: number): Uint8Array | undefined {
  return codecOf(codec)?.encode(bytes, level);
}

/** Decodes in a thread of libuv. Rejects if that does not make `rawBytes` bytes. */
export function decode(codec: number, bytes: Uint8Array, rawBytes: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const known = codecOf(codec);
    if (known === undefined) {
      reject(new Error(`the body has the unknown codec ${codec}`));
      return;
    }
    // One more than is right: what is too long must not look as if it were not.
    known.decode(bytes, rawBytes + 1, (error, decoded) => {
      if (error !== null) reject(error);
      else if (decoded.byteLength !== rawBytes) reject(new Error(`the body decodes to ${decoded.byteLength} bytes`));
      else resolve(decoded);
    });
  });
}
