import type { Epoch } from '../base/ids.ts';
import type { LogFile } from './disk-log-files.ts';
import {
  type BodyUse,
  type ScannedDamage,
  type ScannedRecord,
  scanLogFile,
} from './disk-log-scan.ts';
import { LogWindow } from './disk-log-window.ts';
import type { EpochRecordHeader } from './epoch-record-format.ts';

/** One record of a log, verified. */
export interface LogRecord {
  header: EpochRecordHeader;
  body: Buffer;
  /** True when something is missing right before: damage, or a record that it does not follow. */
  gap: boolean;
}

/** A place in a log that does not verify. */
export interface LogDamage {
  file: string;
  offset: number;
  bytes: number;
  reason: string;
  /** What the damaged record says of itself, when its header is intact. */
  header: EpochRecordHeader | undefined;
  /** True at the end of the last file, where a crash leaves such places without any bit rotting. */
  tail: boolean;
}

interface WalkOptions {
  files: readonly LogFile[];
  volumeTag: Buffer;
  bodyUse: (header: EpochRecordHeader) => BodyUse;
}

type WalkItem = (ScannedRecord | ScannedDamage) & { fileIndex: number; file: string };

async function* walk(options: WalkOptions): AsyncGenerator<WalkItem, void, void> {
  const { files, volumeTag, bodyUse } = options;
  for (const [fileIndex, file] of files.entries()) {
    const window = await LogWindow.open(file.path, file.sizeBytes);
    try {
      for await (const item of scanLogFile({ window, volumeTag, bodyUse })) {
        yield { ...item, fileIndex, file: file.path };
      }
    } finally {
      await window.close();
    }
  }
}

function damageOf(item: WalkItem & ScannedDamage, tail: boolean): LogDamage {
  const { file, offset, bytes, reason, header } = item;
  return { file, offset, bytes, reason, header, tail };
}

/** What a log looks like at its end. */
export interface LogEnd {
  head: EpochRecordHeader | undefined;
  /** Where the last good record of the last file ends. */
  endBytes: number;
  /** Everything behind it as one place. */
  tail: LogDamage | undefined;
}

/** Verifies the last file, and files before it as long as there is no good record. */
export async function inspectTail(files: readonly LogFile[], volumeTag: Buffer): Promise<LogEnd> {
  const end: LogEnd = { head: undefined, endBytes: 0, tail: undefined };
  for (let index = files.length - 1; index >= 0 && end.head === undefined; index--) {
    const isLast = index === files.length - 1;
    const one = files.slice(index, index + 1);
    for await (const item of walk({ files: one, volumeTag, bodyUse: () => 'verify' })) {
      const itemEnd = item.offset + item.bytes;
      if (item.kind === 'record') {
        end.head = item.header;
        if (isLast) Object.assign(end, { endBytes: itemEnd, tail: undefined });
      } else if (isLast) {
        end.tail ??= damageOf(item, true);
        end.tail.bytes = itemEnd - end.tail.offset;
      }
    }
  }
  return end;
}

interface ReadOptions {
  files: readonly LogFile[];
  volumeTag: Buffer;
  from: Epoch;
  onDamage: (damage: LogDamage) => void;
}

/** See DiskLog.records(). */
export async function* readRecords(options: ReadOptions): AsyncGenerator<LogRecord, void, void> {
  for await (const { header, body, gap } of recordsFrom(options, () => 'read')) {
    if (body !== undefined) yield { header, body, gap };
  }
}

/** See DiskLog.headers(). */
export async function* readHeaders(
  options: ReadOptions & { isKnown: (header: EpochRecordHeader) => boolean },
): AsyncGenerator<EpochRecordHeader, void, void> {
  const use = (header: EpochRecordHeader): BodyUse => (options.isKnown(header) ? 'skip' : 'verify');
  for await (const { header } of recordsFrom(options, use)) yield header;
}

/** The records from an epoch on, with as much of their bodies as `use` asks for. */
async function* recordsFrom(
  { files, volumeTag, from, onDamage }: ReadOptions,
  use: (header: EpochRecordHeader) => BodyUse,
): AsyncGenerator<Omit<LogRecord, 'body'> & { body: Buffer | undefined }, void, void> {
  // A file whose successor begins at or before `from` holds only earlier epochs.
  const first = files.findIndex((_, index) => (files[index + 1]?.firstEpoch ?? Infinity) > from);
  const bodyUse = (header: EpochRecordHeader): BodyUse =>
    header.epoch < from ? 'skip' : use(header);
  let pending: (WalkItem & ScannedDamage)[] = [];
  let previousId: Buffer | undefined;
  let damaged = false;
  for await (const item of walk({ files: files.slice(Math.max(0, first)), volumeTag, bodyUse })) {
    if (item.kind === 'damage') {
      pending.push(item);
      damaged = true;
      continue;
    }
    for (const place of pending) onDamage(damageOf(place, false));
    pending = [];
    const { header, body } = item;
    const gap = damaged || (previousId !== undefined && !header.previous.equals(previousId));
    previousId = header.id;
    damaged = false;
    if (header.epoch >= from) yield { header, body, gap };
  }
  // Damage in an earlier file was never the end of what was written.
  const lastFile = files.at(-1)?.path;
  for (const place of pending) onDamage(damageOf(place, place.file === lastFile));
}

/** Where a log has to be cut so that nothing after a record is left. */
export interface LogCut {
  fileIndex: number;
  offset: number;
  /** How many records, readable or not, the cut drops. */
  records: number;
}

/**
 * The cut behind the last record up to the given epoch and incarnation; undefined when nothing is
 * behind it. Damage between records that stay is no reason to cut.
 */
export async function findCut(options: {
  files: readonly LogFile[];
  volumeTag: Buffer;
  last: { epoch: Epoch; incarnation: number };
}): Promise<LogCut | undefined> {
  const { files, volumeTag, last } = options;
  const stays = ({ epoch, incarnation }: EpochRecordHeader): boolean =>
    epoch === last.epoch ? incarnation === last.incarnation : epoch < last.epoch;
  let cut: LogCut | undefined;
  for await (const item of walk({ files, volumeTag, bodyUse: () => 'verify' })) {
    if (item.kind === 'record' && stays(item.header)) {
      cut = undefined;
      continue;
    }
    cut ??= { fileIndex: item.fileIndex, offset: item.offset, records: 0 };
    if (item.header !== undefined) cut.records++;
  }
  return cut;
}
