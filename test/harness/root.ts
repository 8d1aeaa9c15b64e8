import { basename, dirname, resolve } from 'node:path';

const HERE: string = resolve(import.meta.dirname, '../..');

/** The repository, from its sources as from what is built in dist. */
export const ROOT: string = basename(HERE) === 'dist' ? dirname(HERE) : HERE;
