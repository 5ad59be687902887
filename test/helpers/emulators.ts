import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { ensureVenv, findPython } from '../../compat/servers/venv.ts';
import { killQuietly } from './process.ts';

const run = promisify(execFile);
const STARTS_WITHIN_MS = 60_000;
const AZURITE = '3.37.0';

/** A store in a process of its own. */
export type Emulator = { url: string; stop(): void };

/** A time in which even the emulators' packages can be installed, in ms. */
export const INSTALL_MS = 600_000;

/** Starts the S3 server of the Python package moto, over TLS with a certificate. */
export async function startMoto(tls?: { cert: string; key: string }): Promise<Emulator> {
  const python = await ensureVenv('moto', await findPython());
  const port = await freePort();
  const flags = tls ? ['--ssl', '--ssl-cert', tls.cert, '--ssl-key', tls.key] : [];
  const stop = await start(python, ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port), ...flags], port);
  return { url: `${tls ? 'https' : 'http'}://127.0.0.1:${port}`, stop };
}

/** Starts the Azure Blob Storage of the npm package azurite; with a certificate over TLS, where it takes tokens, too. */
export async function startAzurite(tls?: { cert: string; key: string }): Promise<Emulator> {
  const program = path.join(await installAzurite(), 'node_modules', 'azurite', 'dist', 'src', 'blob', 'main.js');
  const port = await freePort();
  const flags = ['--silent', '--disableTelemetry', '--inMemoryPersistence', '--skipApiVersionCheck', '--blobPort', String(port)];
  if (tls) flags.push('--oauth', 'basic', '--cert', tls.cert, '--key', tls.key);
  const stop = await start(process.execPath, [program, ...flags], port);
  return { url: `${tls ? 'https' : 'http'}://127.0.0.1:${port}`, stop };
}

/** Starts the JSON API of the Python package gcp-storage-emulator. */
export async function startGcsEmulator(): Promise<Emulator> {
  const python = await ensureVenv('gcp-storage-emulator', await findPython());
  const port = await freePort();
  const flags = ['--host=127.0.0.1', `--port=${port}`, '--in-memory'];
  const stop = await start(python, ['-m', 'gcp_storage_emulator', 'start', ...flags], port);
  return { url: `http://127.0.0.1:${port}`, stop };
}

async function start(command: string, flags: string[], port: number): Promise<() => void> {
  const child = spawn(command, flags, { stdio: 'ignore' });
  const stop = () => killQuietly(Number(child.pid), 'SIGKILL');
  process.once('exit', stop);
  for (let waited = 0; waited < STARTS_WITHIN_MS && child.exitCode === null; waited += 50) {
    if (await accepts(port)) return stop;
    await sleep(50);
  }
  stop();
  throw new Error(`${command} ${flags.join(' ')} did not start`);
}

async function accepts(port: number): Promise<boolean> {
  const socket = net.connect(port, '127.0.0.1');
  const accepted = await once(socket, 'connect').then(
    () => true,
    () => false,
  );
  socket.destroy();
  return accepted;
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const probe = net.createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as net.AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

/** Installs azurite once for each user, as compat/servers/venv.ts does it with Python packages: too large for every checkout. */
async function installAzurite(): Promise<string> {
  const cache = path.join(process.env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache'), 'model-commons');
  const folder = path.join(cache, `azurite-${AZURITE}`);
  if (await exists(folder)) return folder;
  console.log(`test: installing azurite ${AZURITE} (once; takes a minute or two) into ${folder}`);
  await fs.mkdir(cache, { recursive: true });
  const build = await fs.mkdtemp(`${folder}.`);
  try {
    const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', '--prefix', build];
    await run('npm', ['install', ...flags, `azurite@${AZURITE}`], { cwd: build });
    await fs.rename(build, folder);
  } catch (error) {
    await fs.rm(build, { recursive: true, force: true });
    // Else another process was first.
    if (!(await exists(folder))) throw new Error(`azurite ${AZURITE} could not be installed`, { cause: error });
  }
  return folder;
}

const exists = (file: string) =>
  fs.access(file).then(
    () => true,
    () => false,
  );

/** Makes a certificate for 127.0.0.1 that is its own authority: two files in PEM. */
export async function makeCertificate(folder: string): Promise<{ cert: string; key: string }> {
  const python = await ensureVenv('moto', await findPython());
  const [cert, key] = [path.join(folder, 'cert.pem'), path.join(folder, 'key.pem')];
  await run(python, ['-c', MAKE_CERTIFICATE, cert, key]);
  return { cert, key };
}

// moto brings the package cryptography along.
const MAKE_CERTIFICATE = `
import datetime, ipaddress, sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
key = ec.generate_private_key(ec.SECP256R1())
name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, 'test store')])
now = datetime.datetime.now(datetime.timezone.utc)
cert = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
    .not_valid_after(now + datetime.timedelta(days=1))
    .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address('127.0.0.1'))]), False)
    .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
    .sign(key, hashes.SHA256()))
open(sys.argv[1], 'wb').write(cert.public_bytes(serialization.Encoding.PEM))
open(sys.argv[2], 'wb').write(key.private_bytes(serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
`;
