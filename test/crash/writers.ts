import { post, type Reply, upload, uploadInParts } from './client.ts';
import { digestOf, randomContent, selfDescribing } from './content.ts';
import { type Ledger, type Register, seededRandom } from './ledger.ts';

const LARGEST = 2 * 1024 * 1024;
// Several writers upload the same bytes, so that they meet in the one blob that holds them.
const POPULAR = ['a', 'b', 'c'].map((letter) => selfDescribing(Buffer.from(letter.repeat(5000))));

/** The server went away, or is without its database: the writer stops, and its last write may or may not have happened. */
class Unavailable extends Error {}

/** Makes the cycle's shared models. */
export async function createSharedModels(url: string, ledger: Ledger): Promise<void> {
  for (const name of ledger.shared) {
    ledger.models.set(name, false);
    const { status } = await post(url, 'registered-models/create', { name });
    if (status !== 200) throw new Error(`registered-models/create answered ${status}`);
    ledger.models.set(name, true);
  }
}

/** Writes one thing after another, waiting for each answer, until the server goes away. Everything is noted in the ledger. */
export async function writeUntilGone(url: string, ledger: Ledger, writer: number, seed: number): Promise<void> {
  const random = seededRandom(seed);
  const pick = <T>(items: T[]): T | undefined => items[Math.floor(random() * items.length)];
  const own = `w${writer}`;
  const mine: { model: string; version: string }[] = [];
  const answer = async (what: string, request: Promise<Reply | number>): Promise<Reply['body']> => {
    const reply = await request.catch(() => {
      throw new Unavailable(what);
    });
    const { status, body } = typeof reply === 'number' ? { status: reply, body: {} } : reply;
    if (status === 503) throw new Unavailable(what);
    if (status !== 200) throw new Error(`${what} answered ${status} ${JSON.stringify(body)}`);
    return body;
  };
  const set = async (name: string, value: string, what: string, request: () => Promise<Reply | number>) => {
    const register: Register = ledger.registers.get(name) ?? {};
    ledger.registers.set(name, register);
    register.underWay = value;
    await answer(what, request());
    register.acknowledged = value;
    delete register.underWay;
  };

  const createModel = async (step: number) => {
    const name = `${ledger.prefix}-${own}-${step}`;
    ledger.models.set(name, false);
    await answer('registered-models/create', post(url, 'registered-models/create', { name, description: name }));
    ledger.models.set(name, true);
  };
  const createVersion = async (step: number) => {
    const model = pick(ledger.shared) ?? '';
    const source = `s3://bucket/${ledger.prefix}/${own}/${step}`;
    ledger.versions.set(source, { model });
    const tags = [{ key: 'source', value: source }];
    const body = await answer('model-versions/create', post(url, 'model-versions/create', { name: model, source, tags }));
    const { version } = body.model_version as { version: string };
    ledger.versions.set(source, { model, number: Number(version) });
    mine.push({ model, version });
  };
  const moveAlias = async (step: number) => {
    const { model, version } = pick(mine) ?? {};
    if (!model || !version) return createVersion(step);
    const alias = (name: string) => post(url, 'registered-models/alias', { name: model, alias: name, version });
    if (random() < 0.7) return set(`alias ${model} ${own}`, version, 'registered-models/alias', () => alias(own));
    const contested = `${model} champion`;
    ledger.contested.set(contested, (ledger.contested.get(contested) ?? new Set()).add(version));
    await answer('registered-models/alias', alias('champion'));
  };
  const setTag = async (step: number) => {
    const { model, version } = pick(mine) ?? {};
    if (!model || !version) return createVersion(step);
    const body = { name: model, version, key: own, value: `${step}` };
    await set(`tag ${model} ${version} ${own}`, `${step}`, 'model-versions/set-tag', () => post(url, 'model-versions/set-tag', body));
  };
  const uploadArtifact = async (step: number) => {
    const content = (random() < 0.2 && pick(POPULAR)) || randomContent(Math.floor(LARGEST ** random()));
    // Every other upload replaces an earlier file.
    const path = `${ledger.prefix}/${own}/${random() < 0.5 ? `replaced-${step % 3}` : `folder-${step % 5}/file-${step}`}`;
    const parts = random() < 0.3 ? 1 + Math.floor(random() * 4) : 0;
    await set(`artifact ${path}`, digestOf(content), 'artifact upload', () =>
      parts > 0 ? uploadInParts(url, path, content, parts) : upload(url, path, content),
    );
  };

  for (let step = 0; ; step++) {
    const action = pick([createModel, createVersion, createVersion, moveAlias, setTag, uploadArtifact]) ?? createModel;
    try {
      await action(step);
    } catch (error) {
      if (!(error instanceof Unavailable)) ledger.wrongAnswers.push((error as Error).message);
      return;
    }
  }
}
