/** Dependencies share the tags' place in stores. No tag of the user's begins with this. */
export const dependencyMark = '\0';

export function dependencyTagOf(dependency: string): string {
  return dependencyMark + dependency;
}

/** Tags and dependencies as stores know them: one list. */
export function joinTags(tags: readonly string[], dependencies: readonly string[]): readonly string[] {
  return dependencies.length === 0 ? tags : [...tags, ...dependencies.map(dependencyTagOf)];
}

/** The inverse of `joinTags`. */
export function splitTags(all: readonly string[]): {
  readonly tags: readonly string[];
  readonly dependencies: readonly string[];
} {
  const tags: string[] = [];
  const dependencies: string[] = [];
  for (const tag of all) {
    if (tag.startsWith(dependencyMark)) dependencies.push(tag.slice(dependencyMark.length));
    else tags.push(tag);
  }
  return { tags, dependencies };
}
