import type { LookUps } from './aliases.ts';
import type { ArtifactMemory } from './artifact-memory.ts';
import type { ArtifactRow } from './artifacts.ts';
import type { Cost } from './cost.ts';
import type { Options } from './options.ts';
import type { Gate } from './report.ts';
import type { LargePromotion } from './sharing.ts';
import type { Starts } from './starts.ts';
import type { Throughput } from './throughput.ts';

/** What was run where. */
export type About = {
  date: string;
  commit: string;
  mlflow: string;
  postgres: string;
  node: string;
  processor: string;
  cpus: number;
  memoryGiB: number;
  loadAverage: number[];
};

/** A whole run, as it is kept in `results/`. What was not asked for is empty or left out. */
export type Results = About & {
  options: Options;
  starts: Starts[];
  cost: Cost[];
  ceilings: { connections: number; perSecond: number }[];
  throughput: Throughput[];
  processes: Throughput[];
  resolving: LookUps;
  login: LookUps;
  largePromotion?: LargePromotion;
  artifacts: ArtifactRow[];
  artifactMemory?: ArtifactMemory;
  gates: Gate[];
};
