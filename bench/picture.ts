import { format } from './report.ts';

/** How many times as fast ours is, in the median of the rounds, in the worst and in the best of them; and what was asked for. */
export type Bar = { name: string; ratio: number; least: number; most: number; gate?: { at: number; reached: boolean } | undefined };

const LABELS = 190;
const PLOT = 560;
const VALUES = 70;
const ROW = 22;
const TOP = 62;
const BOTTOM = 34;
const LINES = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500];

/** An SVG of bars on a logarithmic scale, the gate of each as a line across it. */
export function pictureOf(title: string, bars: Bar[]): string {
  const values = bars.flatMap(({ least, most, gate }) => [least, most, gate?.at ?? 1]).filter(Number.isFinite);
  const low = LINES.findLast((line) => line <= Math.min(0.5, ...values)) ?? 0.1;
  const high = LINES.find((line) => line >= Math.max(10, ...values)) ?? 500;
  const x = (value: number) =>
    round(LABELS + (PLOT * (Math.log(Math.min(high, Math.max(low, value))) - Math.log(low))) / (Math.log(high) - Math.log(low)));
  const bottom = TOP + bars.length * ROW;
  const [width, height] = [LABELS + PLOT + VALUES, bottom + BOTTOM];

  const lines = LINES.filter((line) => line >= low && line <= high).map(
    (line) =>
      `<path d="M${x(line)} ${TOP - 4}V${bottom}" stroke="${line === 1 ? '#555' : '#ddd'}"/>` +
      `<text x="${x(line)}" y="${bottom + 16}" text-anchor="middle" fill="#555">${line}x</text>`,
  );
  const rows = bars.map(({ name, ratio, least, most, gate }, index) => {
    const [from, to, middle] = [Math.min(x(1), x(ratio)), Math.max(x(1), x(ratio)), TOP + index * ROW + ROW / 2];
    const label = `<text x="${LABELS - 8}" y="${middle + 4}" text-anchor="end">${name}</text>`;
    if (!Number.isFinite(ratio)) return `${label}<text x="${LABELS + PLOT + 8}" y="${middle + 4}">-</text>`;
    const colour = gate === undefined ? '#8a9bb0' : gate.reached ? '#2f8f5b' : '#c8722c';
    return [
      label,
      `<rect x="${from}" y="${middle - 7}" width="${round(to - from)}" height="14" fill="${colour}"/>`,
      `<path d="M${x(least)} ${middle}H${x(most)}" stroke="#111"/>`,
      gate === undefined ? '' : `<path d="M${x(gate.at)} ${middle - 10}v20" stroke="#111" stroke-width="2.5"/>`,
      `<text x="${LABELS + PLOT + 8}" y="${middle + 4}">${format(ratio)}x</text>`,
    ].join('');
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">
<title>${title}</title>
<rect width="${width}" height="${height}" fill="#fff"/>
<text x="12" y="22" font-size="15">${title}</text>
<text x="12" y="42" fill="#555">Thick line: what is asked for. Thin line: from the worst round to the best. Green: reached; orange: missed; grey: nothing asked.</text>
${[...lines, ...rows].join('\n')}
</svg>
`;
}

const round = (value: number): number => Math.round(value * 10) / 10;
