import { z } from 'zod';
import { endpoint, streamEndpoint } from '../endpoint.ts';
import { stateText } from './state.ts';
import { MLFLOW_VERSION } from './versions.ts';

/** Clients print links into a browser UI, which all begin here. */
const HOME = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Model Commons</title>
<h1>Model Commons</h1>
<p>The server is running. It has no pages yet: use it with an MLflow client. In the shell, or in Python:
<pre>
export MLFLOW_TRACKING_URI=&lt;address of this page&gt;
mlflow.set_tracking_uri("&lt;address of this page&gt;")
</pre>
`;

const home = streamEndpoint({
  op: 'server.home',
  summary: 'What a browser shows',
  method: 'GET',
  path: '/',
  apiVersion: 'none',
  effect: 'read',
  scoped: false,
  input: z.object({}),
  permission: 'public',
  async handler({ res }) {
    res.setHeader('Content-Type', 'text/html; charset=utf-8');
    res.end(HOME);
  },
});

const health = streamEndpoint({
  op: 'server.health',
  summary: 'Whether the server runs',
  method: 'GET',
  path: '/health',
  apiVersion: 'none',
  effect: 'read',
  scoped: false,
  input: z.object({}),
  permission: 'public',
  async handler({ res }) {
    res.setHeader('Content-Type', 'text/plain; charset=utf-8');
    res.end('OK');
  },
});

const version = streamEndpoint({
  op: 'server.version',
  summary: 'The MLflow release whose API this server speaks',
  method: 'GET',
  path: '/version',
  apiVersion: 'none',
  effect: 'read',
  scoped: false,
  input: z.object({}),
  permission: 'public',
  async handler({ res }) {
    res.setHeader('Content-Type', 'text/html; charset=utf-8');
    res.end(MLFLOW_VERSION);
  },
});

const metrics = streamEndpoint({
  op: 'server.metrics',
  summary: 'What the server counts, for Prometheus',
  method: 'GET',
  path: '/metrics',
  apiVersion: 'none',
  effect: 'read',
  scoped: false,
  input: z.object({}),
  permission: 'admin',
  async handler({ db, metricsText, res }) {
    const [ofServer, ofDatabase] = await Promise.all([metricsText(), stateText(db)]);
    res.setHeader('Content-Type', 'text/plain; version=0.0.4; charset=utf-8');
    res.end(ofServer + ofDatabase);
  },
});

const serverInfo = endpoint({
  op: 'server.info',
  summary: 'What the server can do, as clients probe it',
  method: 'GET',
  path: '/mlflow/server-info',
  apiVersion: '3.0',
  effect: 'read',
  scoped: false,
  input: z.object({}),
  output: z.object({
    store_type: z.string(),
    workspaces_enabled: z.boolean(),
    trace_archival_enabled: z.boolean(),
    multipart_uploads_enabled: z.boolean(),
    multipart_downloads_enabled: z.boolean(),
    presigned_upload_run_id_supported: z.boolean(),
    presigned_upload_model_id_supported: z.boolean(),
    features_enabled: z.object({ gateway: z.boolean() }),
  }),
  permission: 'public',
  async handler({ links }) {
    return {
      store_type: 'SqlStore',
      workspaces_enabled: true,
      trace_archival_enabled: false,
      multipart_uploads_enabled: links.certain,
      multipart_downloads_enabled: links.certain,
      presigned_upload_run_id_supported: false,
      presigned_upload_model_id_supported: false,
      features_enabled: { gateway: false },
    };
  },
});

export const serverInfoEndpoints = [home, health, version, metrics, serverInfo];
