import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import express from 'express';
import pg from 'pg';
import { type Route, routes, SCHEMA } from './floor-routes.ts';

// The least that a server on this stack can do and still answer: one prepared statement a request; no checks, no login, no scopes, no log.
const [kind, port = '', databaseUrl = ''] = process.argv.slice(2);
const API = '/api/2.0/mlflow';
const POOL_SIZE = 10;

const pool = new pg.Pool({ connectionString: databaseUrl, max: POOL_SIZE, application_name: 'floor', options: '-c search_path=floor' });
await pool.query(SCHEMA);

async function replyOf({ method, path, sql, values }: Route, input: Record<string, unknown>): Promise<string | undefined> {
  const { rows } = await pool.query<{ reply: string }>({ name: `${method} ${path}`, text: sql, values: values(input) });
  return rows[0]?.reply;
}

const NOT_FOUND = JSON.stringify({ error_code: 'RESOURCE_DOES_NOT_EXIST', message: 'not found' });

function withExpress(): void {
  const app = express().disable('x-powered-by').set('etag', false);
  app.get('/health', (_req, res) => void res.send('OK'));
  app.use(express.json());
  for (const route of routes) {
    app[route.method === 'GET' ? 'get' : 'post'](API + route.path, async (req, res) => {
      const reply = await replyOf(route, req.method === 'GET' ? req.query : req.body);
      res
        .status(reply === undefined ? 404 : 200)
        .type('json')
        .send(reply ?? NOT_FOUND);
    });
  }
  app.listen(Number(port), '127.0.0.1');
}

function withNodeOnly(): void {
  const known = new Map(routes.map((route) => [`${route.method} ${API}${route.path}`, route]));
  const send = (res: ServerResponse, status: number, body: string) =>
    res.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }).end(body);
  const answer = async (req: IncomingMessage, res: ServerResponse) => {
    const [path = '', query] = (req.url ?? '').split('?');
    if (path === '/health') return res.end('OK');
    const route = known.get(`${req.method} ${path}`);
    const input = route?.method === 'POST' ? JSON.parse(await textOf(req)) : Object.fromEntries(new URLSearchParams(query));
    const reply = route && (await replyOf(route, input));
    return send(res, reply === undefined ? 404 : 200, reply ?? NOT_FOUND);
  };
  http
    .createServer((req, res) => {
      answer(req, res).catch((error: Error) => send(res, 500, JSON.stringify({ error_code: 'INTERNAL_ERROR', message: error.message })));
    })
    .listen(Number(port), '127.0.0.1');
}

function textOf(req: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk) => chunks.push(chunk));
    req.on('end', () => resolve(Buffer.concat(chunks).toString()));
    req.on('error', reject);
  });
}

if (kind === 'express') withExpress();
else withNodeOnly();
