/** Prints rows under a head, the first column to the left and the others to the right. */
export function printTable(title, head, rows) {
  const lines = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  const printed = lines.map((line) =>
    line.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]))).join('  '),
  );
  const rule = '─'.repeat(printed[0].length);
  console.log([`\n${title}`, rule, printed[0], rule, ...printed.slice(1), rule].join('\n'));
}
