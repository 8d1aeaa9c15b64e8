/**
 * What must find a mutation: power cuts (`npm run torture`), kills of daemons (test/crash), files
 * that change while they are committed (test/recovery), or any pages of a log lost (test/meta, which
 * runs the sources).
 */
export type Finder = 'cuts' | 'kills' | 'writes beside a commit' | 'cuts of a log';

/** A mistake that somebody could make, as a change of one compiled file. */
export interface Mutation {
  /** One word or some with dashes. */
  name: string;
  /** What is wrong with it, for docs/reliability.md. */
  what: string;
  /** Inside dist/src. */
  file: string;
  /** Stands in the file once, or the list is out of date. */
  from: string;
  to: string;
  finder: Finder;
}

/** Each of them must be found. */
export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'publish-before-sync',
    what: 'the record of an epoch is written while its pieces are not synced',
    file: 'commit/volume.js',
    from: 'await this.#publish(cut, body, this.#puts.sync());',
    to: 'await this.#publish(cut, body, Promise.resolve([]));',
    finder: 'cuts',
  },
  {
    name: 'record-not-synced',
    what: 'the record of an epoch is written over its room without O_DSYNC',
    file: 'meta/disk-log-file.js',
    from: 'constants.O_WRONLY | constants.O_DSYNC',
    to: 'constants.O_WRONLY',
    finder: 'cuts',
  },
  {
    name: 'bucket-name-not-synced',
    what: 'the folder of a new bucket file is not synced',
    file: 'bucket/bucket-files.js',
    from: 'jobs.push(this.#syncOnce(() => syncFolder(bucketsFolder)));',
    to: '{}',
    finder: 'cuts',
  },
  {
    name: 'cache-name-not-synced',
    what: 'fsync of a new file does not sync the folder of its cache file',
    file: 'cache/unsynced.js',
    from: 'await Promise.all([syncBytes(), this.#syncName(ino, path)]);',
    to: 'await syncBytes();',
    finder: 'cuts',
  },
  {
    name: 'data-not-synced',
    what: 'fsync does not sync the cache file',
    file: 'cache/unsynced.js',
    from: 'await Promise.all([syncBytes(), this.#syncName(ino, path)]);',
    to: 'await this.#syncName(ino, path);',
    finder: 'cuts',
  },
  {
    name: 'metadata-not-synced',
    what: 'fsync does not sync the log of the live metadata',
    file: 'meta/write-ahead-log.js',
    from: 'await Promise.all(waiting.map((file) => file.sync()));',
    to: 'void waiting;',
    finder: 'cuts',
  },
  {
    name: 'log-checksum-ignored',
    what: 'replay of the log of the live metadata takes records whose checksum is wrong',
    file: 'meta/log-file.js',
    from: 'checksumOf(frame).equals(stored)',
    to: 'stored.length > 0',
    finder: 'cuts of a log',
  },
  {
    name: 'record-checksum-ignored',
    what: 'a record of an epoch is taken although the checksum of its body is wrong',
    file: 'meta/disk-log-scan.js',
    from: 'if (!found.equals(header.bodyChecksum))',
    to: 'if (found.length === 0)',
    finder: 'cuts',
  },
  {
    name: 'unpublished-epoch-taken',
    what: 'the newest record on the disks is taken without a look at its pieces',
    file: 'commit/newest-epoch.js',
    from: 'const verifies = isKnown || (await chunksVerify(chunks, body));',
    to: 'const verifies = true;',
    finder: 'cuts',
  },
  {
    name: 'cache-of-another-boot',
    what: 'clean blocks of the cache are trusted after a power cut',
    file: 'node/live-volume.js',
    from: 'keepClean: isSameBoot(home)',
    to: 'keepClean: true',
    finder: 'cuts',
  },
  {
    name: 'capture-skipped',
    what: 'bytes that a running commit has frozen are overwritten without being saved',
    file: 'cache/cut.js',
    from: 'preserve(source, target, gap.start, gap.end);',
    to: '',
    finder: 'writes beside a commit',
  },
  {
    name: 'dirty-evicted',
    what: 'eviction takes blocks that are dirty',
    file: 'cache/evictor.js',
    from: 'const kept = frozen === undefined ? [file.dirty] : ',
    to: 'const kept = frozen === undefined ? [] : ',
    finder: 'cuts',
  },
  {
    name: 'commit-before-answered',
    what: 'a commit is acknowledged before the disks have its record',
    file: 'commit/volume.js',
    from: "const append = this.#logs.append(record, header, 'ops' in cut ? needed : undefined);",
    to: 'void this.#logs.append(record, header); const append = Promise.resolve({ size: 99 });',
    finder: 'cuts',
  },
  {
    name: 'resent-applied-twice',
    what: 'a request that the kernel sends again is carried out again',
    file: 'meta/reply-ring.js',
    from: 'return this.#earlier.get(unique);',
    to: 'return undefined;',
    finder: 'kills',
  },
];
