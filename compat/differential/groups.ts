import type { Group } from './case.ts';
import { modelVersions } from './cases/model-versions.ts';
import { registeredModels } from './cases/registered-models.ts';
import { registrySearch } from './cases/registry-search.ts';

export const groups: Group[] = [registeredModels, modelVersions, registrySearch];
