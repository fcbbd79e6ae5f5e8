import { createHash } from 'node:crypto';
import { documentedFields } from './modes.js';

/** Where two outcomes differ, but for what is documented: `path: with a cache ≠ without`. */
export function differencesOf(cached: unknown, bare: unknown, isStored: boolean): readonly string[] {
  const left = flatten(cached, isStored);
  const right = flatten(bare, isStored);
  const paths = new Set([...left.keys(), ...right.keys()]);
  return [...paths].flatMap((path) =>
    left.get(path) === right.get(path) ? [] : [`${path}: ${left.get(path)} ≠ ${right.get(path)}`],
  );
}

function flatten(outcome: unknown, isStored: boolean): ReadonlyMap<string, string> {
  const ignored = new Set(documentedFields(isStored));
  const flat = new Map<string, string>();
  const walk = (value: unknown, path: string, name: string): void => {
    if (value instanceof Uint8Array) flat.set(path, `${value.constructor.name} of ${digestOf(value)}`);
    else if (typeof value === 'string') flat.set(path, textOf(value));
    else if (typeof value !== 'object' || value === null) flat.set(path, String(value));
    else if (name === 'headers') walkEntries(fieldsOf(value), path);
    else if (name === 'rawHeaders' && Array.isArray(value)) walkEntries(linesOf(value), path);
    else {
      flat.set(path, Array.isArray(value) ? `a list of ${value.length}` : 'an object');
      walkEntries(Object.entries(value), path);
    }
  };
  const walkEntries = (entries: readonly (readonly [string, unknown])[], path: string): void => {
    for (const [key, value] of entries) walk(value, `${path}.${key}`, key);
  };
  const fieldsOf = (fields: object): readonly (readonly [string, unknown])[] =>
    Object.entries(fields).flatMap(([name, value]) =>
      ignored.has(name.toLowerCase()) ? [] : [[name, name.toLowerCase() === 'date' ? 'a date' : value]],
    );
  // The order of fields with different names says nothing, and a validation changes it (RFC 9110 §5.3).
  const linesOf = (lines: readonly unknown[]): readonly (readonly [string, unknown])[] =>
    lines
      .flatMap((name, position) => {
        const isName = position % 2 === 0 && !ignored.has(String(name).toLowerCase());
        return isName ? [[String(name), /^date$/i.test(String(name)) ? 'a date' : lines[position + 1]] as const] : [];
      })
      .sort(([left], [right]) => left.localeCompare(right))
      .map(([name, value], position) => [`${position} ${name}`, value]);
  walk(outcome, 'outcome', '');
  return flat;
}

/** The boundaries of forms are made up at random. */
function textOf(text: string): string {
  const plain = text.replaceAll(/(axios-[\d.]+-boundary-|form-data-boundary-)[\w-]+/g, '…');
  return plain.length > 200 ? `text of ${digestOf(Buffer.from(plain))}` : JSON.stringify(plain);
}

function digestOf(bytes: Uint8Array): string {
  return `${bytes.byteLength} bytes ${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}`;
}
