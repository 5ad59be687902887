const LINE = /^([a-z_][a-z0-9_]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-z_]+)="((?:[^"\\]|\\.)*)"/g;

type Sample = { name: string; labels: Record<string, string>; value: number };

/** Reads the text format of Prometheus: the type of each metric, and its samples. Throws for a line that cannot be. */
export function readMetrics(text: string) {
  const types = new Map<string, string>();
  const samples: Sample[] = [];
  for (const line of text.split('\n')) {
    const [, declared, type] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? [];
    if (declared && type) types.set(declared, type);
    if (line === '' || line.startsWith('#')) continue;
    const [, name = '', labels = '', value] = LINE.exec(line) ?? [];
    if (name === '') throw new Error(`not a sample: ${line}`);
    samples.push({ name, labels: Object.fromEntries([...labels.matchAll(LABEL)].map(([, key, of]) => [key, of])), value: Number(value) });
  }
  return {
    types,
    samples,
    /** What can be asked for: a histogram has three. */
    names: new Set(
      [...types].flatMap(([name, type]) => (type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name])),
    ),
    /** The sum of all samples that have these labels. */
    sum: (name: string, labels: Record<string, string> = {}): number =>
      samples
        .filter((sample) => sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value))
        .reduce((total, { value }) => total + value, 0),
  };
}

export type Metrics = ReturnType<typeof readMetrics>;
