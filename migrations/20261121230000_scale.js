// Building an index this way lets writers go on, on tables that may have millions of rows by now.
export const config = { transaction: false };

const INDEXES = {
  // What hides prompts asks for these of every model that is listed; there are few prompts.
  model_version_tags_prompts: `on model_version_tags (model_id) where key = 'mlflow.prompt.is_prompt' and value = 'true'`,
  registered_model_tags_prompts: `on registered_model_tags (model_id) where key = 'mlflow.prompt.is_prompt' and value = 'true'`,
  // For searches by tag; a value may be too long for an index. model_version_tags has one like these.
  registered_model_tags_by_key: 'on registered_model_tags (key, md5(value))',
  run_tags_by_key: 'on run_tags (key, md5(value))',
};

// A value goes with one key and one hash. Unless the planner knows, it takes the rows of a common value for few.
const STATISTICS = {
  model_version_tags_values: 'model_version_tags',
  registered_model_tags_values: 'registered_model_tags',
  run_tags_values: 'run_tags',
};

/** @param {import('knex').Knex} knex */
export async function up(knex) {
  for (const [name, definition] of Object.entries(INDEXES)) await build(knex, name, definition);
  for (const [name, table] of Object.entries(STATISTICS)) {
    await knex.raw(`create statistics if not exists ${name} (mcv) on key, value, md5(value) from ${table}`);
    // Of an empty table PostgreSQL would believe, until it grew, that it is read fastest as a whole.
    const { rows } = await knex.raw(`select from ${table} limit 1`);
    if (rows.length > 0) await knex.raw(`analyze ${table}`);
  }
  if (await hasTrigrams(knex)) await build(knex, 'registered_models_name_trigrams', 'on registered_models using gin (name gin_trgm_ops)');
}

/**
 * One that was interrupted left an index that is not used.
 * @param {import('knex').Knex} knex
 * @param {string} name
 * @param {string} definition
 */
async function build(knex, name, definition) {
  const { rows } = await knex.raw('select from pg_index where indexrelid = to_regclass(?) and not indisvalid', [name]);
  if (rows.length > 0) await knex.raw(`drop index concurrently ${name}`);
  await knex.raw(`create index concurrently if not exists ${name} ${definition}`);
}

/**
 * Whether names can have an index for LIKE '%infix%'. It takes an extension that comes with PostgreSQL and that the owner of a database may add; where it is
 * not there or not allowed, such searches read all names.
 * @param {import('knex').Knex} knex
 */
async function hasTrigrams(knex) {
  return knex.raw('create extension if not exists pg_trgm').then(
    () => true,
    () => false,
  );
}

/** @param {import('knex').Knex} knex */
export async function down(knex) {
  // The extension stays: it may have been there before.
  for (const name of [...Object.keys(INDEXES), 'registered_models_name_trigrams'])
    await knex.raw(`drop index concurrently if exists ${name}`);
  for (const name of Object.keys(STATISTICS)) await knex.raw(`drop statistics if exists ${name}`);
}
