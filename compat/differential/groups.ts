import type { Group } from './case.ts';
import { addresses } from './cases/addresses.ts';
import { artifacts } from './cases/artifacts.ts';
import { controlCharacters } from './cases/control-characters.ts';
import { experiments } from './cases/experiments.ts';
import { experimentsSearch } from './cases/experiments-search.ts';
import { integers } from './cases/integers.ts';
import { loggedModelSearch } from './cases/logged-model-search.ts';
import { loggedModels } from './cases/logged-models.ts';
import { metrics } from './cases/metrics.ts';
import { modelVersions } from './cases/model-versions.ts';
import { paging, pagingOfWebhooks } from './cases/paging.ts';
import { prompts } from './cases/prompts.ts';
import { registeredModels } from './cases/registered-models.ts';
import { registrySearch } from './cases/registry-search.ts';
import { runArtifacts } from './cases/run-artifacts.ts';
import { runs } from './cases/runs.ts';
import { runsLog } from './cases/runs-log.ts';
import { runsSearch } from './cases/runs-search.ts';
import { security } from './cases/security.ts';
import { webhooks } from './cases/webhooks.ts';
import { workspaces } from './cases/workspaces.ts';
import { randomFilters } from './random-filters.ts';

export const groups: Group[] = [
  security,
  addresses,
  registeredModels,
  modelVersions,
  registrySearch,
  experiments,
  experimentsSearch,
  runs,
  runsLog,
  runsSearch,
  metrics,
  loggedModels,
  loggedModelSearch,
  artifacts,
  workspaces,
  webhooks,
  runArtifacts,
  prompts,
  paging,
  pagingOfWebhooks,
  integers,
  controlCharacters,
  { group: 'random-filters', cases: [1, 2, 3].flatMap((seed) => randomFilters(seed, 100)) },
];
