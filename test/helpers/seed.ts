import { randomUUID } from 'node:crypto';
import type { TestServer } from './server.ts';

/** A name no other test uses. */
export const freshName = (prefix = 'model') => `${prefix}-${randomUUID().slice(0, 8)}`;

/** Makes a registered model with `versions` versions of an external source; gives its name. */
export async function seedModel(server: TestServer, versions = 0, name = freshName()): Promise<string> {
  await server.post('registered-models/create', { name }).expect(200);
  for (let i = 0; i < versions; i++)
    await server.post('model-versions/create', { name, source: `s3://bucket/${name}/${i + 1}` }).expect(200);
  return name;
}
