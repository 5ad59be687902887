import { vi } from 'vitest';
import { ConfigError } from '../../src/config.ts';

export type Outcome = { code: number; stdout: string; stderr: string };

/** Runs a command in this process: what it prints, and the exit code that src/cli.ts would give. One at a time. */
export async function runCommand(command: (arguments_: string[]) => Promise<number>, arguments_: string[]): Promise<Outcome> {
  const printed = { stdout: '', stderr: '' };
  const spies = (['stdout', 'stderr'] as const).map((name) =>
    vi.spyOn(process[name], 'write').mockImplementation((text) => {
      printed[name] += String(text);
      return true;
    }),
  );
  try {
    return { code: await command(arguments_), ...printed };
  } catch (error) {
    return { code: error instanceof ConfigError ? 2 : 1, ...printed, stderr: printed.stderr + (error as Error).message };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}
