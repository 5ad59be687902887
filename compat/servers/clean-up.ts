const steps: (() => unknown)[] = [];
let running: Promise<void> | undefined;

/** Runs `step` at the end, however that comes: the last one registered goes first. Throws once the end has begun, so that nothing new starts. */
export function atEnd(step: () => unknown): void {
  if (running) throw new Error('what was started is being stopped');
  steps.push(step);
}

/** Runs all steps, each even if another fails; a second call waits for the first. */
export function cleanUp(): Promise<void> {
  running ??= (async () => {
    for (const step of steps.reverse()) {
      try {
        await step();
      } catch (error) {
        console.error(`cleaning up: ${(error as Error).message}`);
      }
    }
  })();
  return running;
}

/** Whether the end has begun: what fails from then on fails because its servers stop. */
export const isEnding = (): boolean => running !== undefined;

/** Runs a program to its end, cleans up, and exits: with 0 when it passed. */
export async function runToEnd(name: string, main: () => Promise<boolean>): Promise<never> {
  let passed = false;
  try {
    passed = await main();
  } catch (error) {
    if (!isEnding()) console.error(`${name}: ${(error as Error).message}`);
  }
  await cleanUp();
  process.exit(passed ? 0 : 1);
}

export function cleanUpOnSignals(): void {
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    process.on(signal, () => {
      if (!running) console.error(`\n${signal}, stopping what was started`);
      void cleanUp().then(() => process.exit(code));
    });
  }
}
