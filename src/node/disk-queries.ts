import { DfsError } from '../base/errors.ts';
import { parsePlace } from '../diskmap/mod.ts';
import type { AddOrder } from './disk-orders.ts';

/** The query of `POST /diskmap/add`. BAD_ARGUMENT. */
export function addOrderIn(query: URLSearchParams): AddOrder {
  const path = query.get('path');
  if (path?.startsWith('/') !== true) {
    throw new DfsError('BAD_ARGUMENT', `Cannot add disk "${path}": give an absolute path`);
  }
  const at = query.get('at');
  const weight = query.get('weight');
  return {
    path,
    ...(at === null ? {} : { at: parsePlace(at) }),
    ...(weight === null ? {} : { weight: Number(weight) }),
    isPreview: query.get('preview') === 'true',
  };
}

/** The disk that a query names. BAD_ARGUMENT. */
export function diskIn(query: URLSearchParams): number {
  const disk = Number(query.get('disk'));
  if (Number.isInteger(disk) && disk > 0) return disk;
  throw new DfsError('BAD_ARGUMENT', `Cannot use disk "${query.get('disk')}": give its number`);
}

/** How a disk is to be changed. */
export function changeIn(query: URLSearchParams): { cancel: boolean; isPreview: boolean } {
  return { cancel: query.get('cancel') === 'true', isPreview: query.get('preview') === 'true' };
}
