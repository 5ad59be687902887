import { describe, expect, it } from 'vitest';
import { startTestServer } from './helpers/server.ts';

const server = await startTestServer();

describe('registered-models/create', () => {
  it('answers the model with its times and tags', async () => {
    const reply = await server.post('registered-models/create', { name: 'fraud', tags: [{ key: 'team', value: 'risk' }] });
    expect(reply.status).toBe(200);
    const { creation_timestamp: created, ...model } = reply.body.registered_model;
    expect(created).toBeTypeOf('number');
    expect(model).toEqual({ name: 'fraud', last_updated_timestamp: created, tags: [{ key: 'team', value: 'risk' }] });
  });
});
