import { MlflowError } from '../platform/errors.ts';

export const unauthenticated = (message: string) => new MlflowError('UNAUTHENTICATED', message);
