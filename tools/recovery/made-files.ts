import { ByteWriter } from '../../src/base/bytes.ts';
import { type ChunkId, type Ino, ROOT_INO } from '../../src/base/ids.ts';
import { hashChunk } from '../../src/chunk/mod.ts';
import { encodeOp, type MetaOp, S_IFDIR, S_IFREG } from '../../src/meta/mod.ts';

const FILES_A_FOLDER = 500;
const EPOCH_FILES = 10_000;
const FIRST_INO = 2;
const OWNER = { uid: 1000, gid: 1000, rdev: 0, target: Buffer.alloc(0) };

/** A volume's files: so many, each with a chunk of its own of so many bytes. */
export interface MadeFiles {
  files: number;
  chunkBytes: number;
  scheme: string;
}

/** One file: its chunk is hashed from its content, which is like no other's. */
export interface MadeFile {
  index: number;
  chunk: ChunkId;
  content: Buffer;
}

/** The files [from, to). */
export function* madeFiles(options: MadeFiles, from: number, to: number): Generator<MadeFile> {
  for (let index = from; index < to; index++) {
    const content = Buffer.alloc(options.chunkBytes, `file ${index}, `);
    yield { index, chunk: hashChunk(content), content };
  }
}

/** The name of a file in its folder, and that of its folder. */
export function nameOf(index: number): { folder: string; file: string } {
  const folder = Math.floor(index / FILES_A_FOLDER);
  return { folder: `folder-${folder}`, file: `file-${index}.data` };
}

/** The bodies of the epochs that make the files, as commits of a busy volume would have them. */
export function* madeEpochs(options: MadeFiles): Generator<{ body: Buffer; operations: number }> {
  for (let from = 0; from < options.files; from += EPOCH_FILES) {
    const to = Math.min(from + EPOCH_FILES, options.files);
    const out = new ByteWriter(1 << 22);
    let operations = 0;
    for (const op of epochOps(options, from, to)) {
      encodeOp(out, op);
      operations++;
    }
    yield { body: out.finish(), operations };
  }
}

/** As a commit writes them: names and sizes, then chunks, then extents. */
function* epochOps(options: MadeFiles, from: number, to: number): Generator<MetaOp> {
  for (let index = from; index < to; index++) yield* namesAndSize(index, options.chunkBytes);
  const made = [...madeFiles(options, from, to)];
  const { chunkBytes: lengthBytes, scheme } = options;
  for (const { chunk } of made) yield { kind: 'chunk', chunk, lengthBytes, scheme };
  for (const { index, chunk } of made) {
    const range = { offset: 0, lengthBytes, chunk, chunkOffset: 0 };
    yield { kind: 'extents', ino: fileIno(index), ranges: [range] };
  }
}

function* namesAndSize(index: number, sizeBytes: number): Generator<MetaOp> {
  const { folder, file } = nameOf(index);
  const time = { sec: 1_700_000_000 + index, nsec: 1 };
  const parent = folderIno(index);
  if (index % FILES_A_FOLDER === 0) {
    const name = Buffer.from(folder);
    const mode = S_IFDIR | 0o755;
    yield { kind: 'create', parent: ROOT_INO, name, ino: parent, mode, ...OWNER, time };
  }
  const ino = fileIno(index);
  const [name, mode] = [Buffer.from(file), S_IFREG | 0o644];
  yield { kind: 'create', parent, name, ino, mode, ...OWNER, time };
  yield { kind: 'grow', ino, sizeBytes, mtime: time, ctime: time };
}

function folderIno(index: number): Ino {
  const folder = Math.floor(index / FILES_A_FOLDER);
  return (FIRST_INO + folder * (FILES_A_FOLDER + 1)) as Ino;
}

function fileIno(index: number): Ino {
  return (folderIno(index) + 1 + (index % FILES_A_FOLDER)) as Ino;
}
