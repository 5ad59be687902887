import { MessageChannel } from 'node:worker_threads';

const { port1: nobody, port2 } = new MessageChannel();
port2.close();

/**
 * Frees the memory of buffers at once; they are empty afterwards. The garbage collection would come late, with tens of MiB waiting for it, and often: it
 * goes through the whole heap whenever that much came in. What is transferred to a closed port is taken from its owner and dropped
 * (node/src/node_messaging.cc, MessagePort::PostMessage). Buffers that share their memory with others are left to the garbage collection.
 */
export function letGo(buffers: Uint8Array[]): void {
  const own = buffers.map(({ buffer }) => buffer).filter((memory, i) => memory.byteLength > 0 && memory.byteLength === buffers[i]?.length);
  nobody.postMessage(null, own as ArrayBuffer[]);
}
