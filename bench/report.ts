export type Gate = { name: string; needs: string; got: string; pass: boolean };

export const atLeast = (name: string, value: number, limit: number, unit: string): Gate => ({
  name,
  needs: `>= ${limit}${unit}`,
  got: `${format(value)}${unit}`,
  pass: value >= limit,
});

export const atMost = (name: string, value: number, limit: number, unit: string): Gate => ({
  name,
  needs: `<= ${limit}${unit}`,
  got: `${format(value)}${unit}`,
  pass: value <= limit,
});

/** Three figures or so: the measurements carry no more. */
export function format(value: number): string {
  if (!Number.isFinite(value)) return '-';
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** Prints columns as wide as their widest cell: the first to the left, the others to the right. */
export function printTable(header: string[], rows: string[][]): void {
  const lines = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const pad = (cell: string, column: number) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0));
  for (const line of lines) console.log(`  ${line.map(pad).join('  ').trimEnd()}`);
  console.log();
}

export const GATE_COLUMNS = ['gate', 'needs', 'got', ''];

/** Rows for print: the gate, what it needs, what was measured, and PASS or FAIL. */
export const rowsOfGates = (gates: Gate[]): string[][] =>
  gates.map(({ name, needs, got, pass }) => [name, needs, got, pass ? 'PASS' : 'FAIL']);

export function printGates(gates: Gate[]): void {
  printTable(GATE_COLUMNS, rowsOfGates(gates));
}
