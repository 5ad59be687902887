import { once } from 'node:events';
import net from 'node:net';

/** Sends bytes over a connection of their own and gives all that comes back until the server closes it, or nothing came for `quietMs`. */
export async function exchange(url: string, bytes: string | Buffer, quietMs = 1000): Promise<string> {
  const socket = net.connect(Number(new URL(url).port), '127.0.0.1');
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk.toString();
  });
  // A server that has said no may close the connection while it is still being written to.
  socket.on('error', () => {});
  socket.setTimeout(quietMs, () => socket.destroy());
  socket.write(bytes);
  await once(socket, 'close');
  return text;
}
