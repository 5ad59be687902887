import { z } from 'zod';

/** One entry of a listing. Zero-byte files, like folders, have no file_size (a proto default on MLflow's wire). */
export const FileInfo = z.object({ path: z.string(), is_dir: z.boolean(), file_size: z.int().optional() });
