import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join, relative } from 'node:path';
import { blake3 } from '@napi-rs/blake-hash';

/**
 * What is in folders: path -> kind, mode and hash. Files that only being looked at may change are
 * left out: indexes and logs of SQLite, locks, the daemon's log.
 */
export function snapshotOf(...folders: string[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (const folder of folders) collect(folder, folder, found);
  return found;
}

const VOLATILE = /\.sqlite(-wal|-shm)?$|\/(lock|daemon\.log|boot-id|failure\.json|session\.json)$/;

function collect(root: string, path: string, found: Record<string, string>): void {
  const name = join(root, relative(root, path));
  if (VOLATILE.test(name)) return;
  const stat = lstatSync(path);
  if (stat.isDirectory()) {
    found[name] = `folder ${stat.mode}`;
    for (const entry of readdirSync(path)) collect(root, join(path, entry), found);
  } else if (stat.isSymbolicLink()) found[name] = `link to ${readlinkSync(path)}`;
  else if (stat.isFile())
    found[name] = `file ${stat.mode} ${blake3(readFileSync(path)).toString('hex')}`;
  else found[name] = `special ${stat.mode}`;
}
