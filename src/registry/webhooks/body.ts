import type { Scope } from '../../scopes/entity.ts';

/**
 * The body of a request, as mlflow/webhooks/delivery.py makes it. It has `workspace`, as on a stock server with workspaces on: here they always are.
 * `timestamp` is when the change was made, in UTC.
 */
export function eventBody(event: string, data: Record<string, unknown>, scope: Scope): string {
  const [entity, action] = event.split('.');
  return JSON.stringify({ entity, action, timestamp: new Date().toISOString().replace('Z', '+00:00'), data, workspace: scope.name });
}
