import type { Kind, TestResult } from './suite.js';

export interface Score {
  readonly required: Share;
  readonly optimal: Share;
}

export interface Share {
  readonly passed: number;
  readonly of: number;
}

export function scoreOf(results: readonly TestResult[]): Score {
  return { required: shareOf(results, 'required'), optimal: shareOf(results, 'optimal') };
}

function shareOf(results: readonly TestResult[], kind: Kind): Share {
  const ofKind = results.filter((result) => result.kind === kind);
  return { passed: ofKind.filter((result) => result.verdict === 'pass').length, of: ofKind.length };
}

export const printScore = ({ required, optimal }: Score) =>
  `${required.passed} + ${optimal.passed} of ${required.of} + ${optimal.of}`;
