import { readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { assert, codeOf } from '../base/errors.ts';
import type { Epoch } from '../base/ids.ts';
import { ioError } from '../base/publish.ts';

/** Digits of an epoch in a file name: a commit a millisecond fills them in 31 years. */
const EPOCH_DIGITS = 12;

const LOG_NAME: RegExp = new RegExp(`^log-(\\d{${EPOCH_DIGITS}})$`);

/** One file of a log; `sizeBytes` bounds what is read of it, its end when absent. */
export interface LogFile {
  path: string;
  firstEpoch: number;
  sizeBytes?: number;
}

/** The epoch as it stands in names of log files and snapshots, so that names sort as epochs. */
export function epochDigits(epoch: Epoch | number): string {
  assert(epoch >= 0 && epoch < 10 ** EPOCH_DIGITS, `epoch ${epoch} has no name`);
  return String(epoch).padStart(EPOCH_DIGITS, '0');
}

/** Where a log file that begins with `epoch` stands. */
export function logFileAt(folder: string, epoch: Epoch): LogFile {
  return { path: join(folder, `log-${epochDigits(epoch)}`), firstEpoch: epoch };
}

/** The names in a folder; none when it is not there. */
export async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw ioError(`Cannot list ${folder}`, error);
  }
}

/** The log files of a folder, oldest first; what has another name is left alone. */
export async function listLogFiles(folder: string): Promise<LogFile[]> {
  const files: LogFile[] = [];
  for (const name of await namesIn(folder)) {
    const match = LOG_NAME.exec(name);
    if (match !== null) files.push({ path: join(folder, name), firstEpoch: Number(match[1]) });
  }
  return files.sort((a, b) => a.firstEpoch - b.firstEpoch);
}

/** Unlinks log files one after the other, in the order given. The caller syncs the folder. */
export async function removeLogFiles(files: readonly LogFile[]): Promise<void> {
  for (const file of files) {
    try {
      await unlink(file.path);
    } catch (error) {
      throw ioError(`Cannot delete ${file.path}`, error);
    }
  }
}
