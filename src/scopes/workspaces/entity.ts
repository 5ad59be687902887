import { z } from 'zod';
import { invalidParameter } from '../../platform/errors.ts';
import { checkedBy, requiredText } from '../../platform/fields.ts';
import { checkLength } from '../../platform/names.ts';
import { checkStorageLocation } from '../../platform/storage-location.ts';
import { type LocationRules, splitUri } from '../../platform/uri.ts';
import { checkWorkspaceName, DEFAULT_SCOPE } from '../entity.ts';

const MAX_DESCRIPTION_LENGTH = 5000;
const MAX_RETENTION_LENGTH = 32;

/** What a removal does with what is in the workspace (mlflow/entities/workspace.py, WorkspaceDeletionMode). */
export const DELETION_MODES = ['SET_DEFAULT', 'CASCADE', 'RESTRICT'] as const;
export type DeletionMode = (typeof DELETION_MODES)[number];

/** The name of a workspace that is there; one to be made is `newWorkspaceName`. */
export const workspaceName = checkedBy((name) => {
  if (name !== DEFAULT_SCOPE.name) checkWorkspaceName(name);
});

export const newWorkspaceName = requiredText.pipe(
  checkedBy((name) => {
    if (name === DEFAULT_SCOPE.name) throw invalidParameter(`The '${name}' workspace is reserved and cannot be created`);
    checkWorkspaceName(name);
  }),
);

export const removableWorkspaceName = checkedBy((name) => {
  if (name === DEFAULT_SCOPE.name) throw invalidParameter(`The '${name}' workspace is reserved and cannot be deleted`);
  checkWorkspaceName(name);
});

export const description = checkedBy((text) => checkLength('description', MAX_DESCRIPTION_LENGTH, text));

/** As mlflow/server/handlers.py (_validate_workspace_default_artifact_root), but without paths on the server's disk. */
export function checkDefaultArtifactRoot(root: string, rules: LocationRules): void {
  if (root === '') return;
  const { scheme, authority, path } = splitUri(root);
  if (scheme.length < 2 && !root.startsWith('/')) {
    throw invalidParameter(
      "Invalid value for 'default_artifact_root'. Expected a URI (for example 's3://bucket/prefix' or 'mlflow-artifacts:/prefix') or an absolute path," +
        ` got '${root}'.`,
    );
  }
  checkStorageLocation('default_artifact_root', root, rules);
  if (scheme === 'mlflow-artifacts' && authority === '' && /(^|\/)(\.\.?|workspaces)(\/|$)/.test(decodeURIComponentOr(path))) {
    throw invalidParameter(
      `Invalid value for 'default_artifact_root'. A folder of this server's artifacts is below the workspace's own; '${root}' names another place.`,
    );
  }
}

function decodeURIComponentOr(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** As mlflow/utils/validation.py (_validate_trace_archival_location). */
export function checkArchivalLocation(location: string, rules: LocationRules): void {
  if (location === '') return;
  const { scheme } = splitUri(location);
  if (scheme === '') throw invalidParameter("Invalid value for 'trace_archival_config.location'. Expected a URI string.");
  checkStorageLocation('trace_archival_config.location', location, rules);
  if (scheme === 'mlflow-artifacts') {
    throw invalidParameter(
      "Invalid value for 'trace_archival_config.location'. Trace archival location cannot use the proxy-only `mlflow-artifacts:` scheme.",
    );
  }
}

// As mlflow/utils/validation.py (_validate_trace_archival_retention_string).
const archivalRetention = z
  .string()
  .trim()
  .pipe(
    checkedBy((retention) => {
      if (retention.length > MAX_RETENTION_LENGTH) {
        throw invalidParameter(
          `Invalid value for 'trace_archival_config.retention'. Maximum length is ${MAX_RETENTION_LENGTH} characters.`,
        );
      }
      if (retention !== '' && !/^[1-9][0-9]*[mhd]$/.test(retention)) {
        throw invalidParameter(
          "Invalid value for 'trace_archival_config.retention'. Expected a duration in the form `<int><unit>`, where unit is one of 'm', 'h', or 'd'" +
            " (for example '30d' or '12h').",
        );
      }
    }),
  );

export const traceArchivalConfig = z.object({ location: z.string().trim().optional(), retention: archivalRetention.optional() });

export const Workspace = z.object({
  name: z.string(),
  description: z.string().optional(),
  default_artifact_root: z.string().optional(),
  trace_archival_config: z.object({ location: z.string().optional(), retention: z.string().optional() }).optional(),
});

export type WorkspaceRow = {
  name: string;
  description: string | null;
  default_artifact_root: string | null;
  trace_archival_location: string | null;
  trace_archival_retention: string | null;
};

export function toWorkspace(row: WorkspaceRow): z.infer<typeof Workspace> {
  const archival = {
    ...(row.trace_archival_location !== null && { location: row.trace_archival_location }),
    ...(row.trace_archival_retention !== null && { retention: row.trace_archival_retention }),
  };
  return {
    name: row.name,
    // Unlike elsewhere an empty description is shown: the stock server tells it from none.
    ...(row.description !== null && { description: row.description }),
    ...(row.default_artifact_root !== null && { default_artifact_root: row.default_artifact_root }),
    ...(Object.keys(archival).length > 0 && { trace_archival_config: archival }),
  };
}
