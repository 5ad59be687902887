import path from 'node:path';
import mime from 'mime-types';

// What a person wants to read in the browser (mlflow/utils/mime_type_utils.py, get_text_extensions). Case matters there.
const TEXT_FILES = new Set(
  'txt log err cfg conf cnf cf ini properties prop hocon toml yaml yml xml json js py py3 csv tsv md rst ipynb MLmodel mlproject'.split(
    ' ',
  ),
);
// Python's mimetypes: the type is that of what is compressed.
const COMPRESSED = new Set(['.gz', '.Z', '.bz2', '.xz', '.br']);
const SHORT_FOR: Record<string, string> = {
  '.svgz': '.svg',
  '.tgz': '.tar',
  '.taz': '.tar',
  '.tz': '.tar',
  '.tbz2': '.tar',
  '.txz': '.tar',
};
// Python has its own names for these.
const PYTHON_TYPES: Record<string, string> = { '.h5': 'application/x-hdf5', '.pyc': 'application/x-python-code', '.wav': 'audio/x-wav' };

/** The type of a file by its name, as mlflow/utils/mime_type_utils.py (_guess_mime_type); `application/octet-stream` when nothing is known. */
export function contentTypeOf(name: string): string {
  const { ext, name: stem } = path.posix.parse(name);
  if (TEXT_FILES.has(ext.slice(1) || name)) return 'text/plain';
  const extension = Object.hasOwn(SHORT_FOR, ext.toLowerCase())
    ? SHORT_FOR[ext.toLowerCase()]
    : COMPRESSED.has(ext)
      ? path.posix.extname(stem)
      : ext;
  if (!extension) return 'application/octet-stream';
  return PYTHON_TYPES[extension.toLowerCase()] ?? (mime.lookup(extension) || 'application/octet-stream');
}

/** RFC 6266: an ASCII name for old readers, the true one beside it (mlflow/server/handlers.py, _content_disposition_attachment). */
export function contentDispositionOf(name: string): string {
  const ascii = name.normalize('NFKD').replace(/[^\0-\x7f]/g, '') || 'download';
  if (/^[\0-\x7f]*$/.test(name)) return `attachment; filename=${quoted(name)}`;
  const encoded = encodeURIComponent(name)
    .replace(/['()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
    .replace(/%(?:2[346B]|5E|60|7C)/g, decodeURIComponent);
  return `attachment; filename=${quoted(ascii)}; filename*=UTF-8''${encoded}`;
}

const quoted = (text: string) => (/^[\w!#$%&'*+.^`|~-]+$/.test(text) ? text : `"${text.replace(/["\\]/g, '\\$&')}"`);
