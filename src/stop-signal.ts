/** Resolves at the first SIGINT or SIGTERM; further ones change nothing (npm passes the terminal's on, so the same Ctrl-C may come twice). */
export function stopSignal(): Promise<{ signal: NodeJS.Signals }> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => resolve({ signal }));
  });
}
