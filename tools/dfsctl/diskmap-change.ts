import { resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { silentLog } from '../../src/base/log.ts';
import { type Place, parsePlace } from '../../src/diskmap/mod.ts';
import type {
  AddOrder,
  ChangePlan,
  DiskChange,
  DiskOrders,
  HardwareFacts,
} from '../../src/node/mod.ts';
import { isHomeInUse, withDaemon } from './client.ts';
import { examples } from './examples.ts';
import { formatBytes, formatCount, formatDuration, plain, type Style, styleFor } from './format.ts';
import { type OutputOptions, printFacts, printLines } from './output.ts';
import { withClock } from './progress.ts';
import { UsageError } from './report.ts';
import { findTarget, type Target } from './target.ts';

interface AddOptions extends OutputOptions {
  at?: Place;
  weight: number | 'auto';
  yes?: true;
  dryRun?: true;
}

interface ChangeOptions extends OutputOptions {
  cancel?: true;
  dryRun?: true;
  expert?: true;
}

type Kind = 'add' | 'fail' | 'remove';

const WEIGHT_MAX = 65_535;

/** dfsctl diskmap add, fail and remove: the life of a disk. */
export function registerDiskmapChanges(diskmap: Command): void {
  diskmap
    .command('add')
    .description('Add a disk, or tell where a disk that was away is now.')
    .argument('<volume>', 'HOME or mountpoint')
    .argument('<dir>', "the disk's folder, normally the root of its own file system")
    .option('--at <place>', 'room.row.rack.machine; default: that of the first disk', readPlace)
    .option(
      '--weight <buckets>',
      'auto, by the size of its file system, or a number',
      readWeight,
      'auto',
    )
    .option('--yes', 'do not ask')
    .option('--dry-run', 'only say what would happen')
    .option('--json', 'print the facts as JSON')
    .addHelpText(
      'after',
      examples(
        'dfsctl diskmap add /srv/files /mnt/d',
        'dfsctl diskmap add /srv/files /mnt/d --at 1.1.1.2 --yes --json',
      ),
    )
    .action(add);
  diskmap
    .command('fail')
    .description('Have the pieces of a disk built anew on others now, without waiting.')
    .argument('<volume>', 'HOME or mountpoint')
    .argument('<disk>', 'its number, as in "dfsctl status"', readDisk)
    .option('--cancel', 'put it in again')
    .option('--dry-run', 'only say what would happen')
    .option('--json', 'print the facts as JSON')
    .addHelpText('after', examples('dfsctl diskmap fail /srv/files 3'))
    .action((volume: string, disk: number, options: ChangeOptions) =>
      change({ kind: 'fail', volume, disk, options }),
    );
  diskmap
    .command('remove')
    .description('Move all pieces off a disk, then take it out of the volume for good.')
    .argument('<volume>', 'HOME or mountpoint')
    .argument('<disk>', 'its number, as in "dfsctl status"', readDisk)
    .option('--expert', 'yes, take it out; without this, only what that means is said')
    .option('--cancel', 'keep it after all, as long as it is not out')
    .option('--dry-run', 'only say what would happen')
    .option('--json', 'print the facts as JSON')
    .addHelpText(
      'after',
      examples('dfsctl diskmap remove /srv/files 3', 'dfsctl diskmap remove /srv/files 3 --expert'),
    )
    .action((volume: string, disk: number, options: ChangeOptions) =>
      change({ kind: 'remove', volume, disk, options }),
    );
}

function readPlace(text: string): Place {
  try {
    return parsePlace(text);
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function readWeight(text: string): number | 'auto' {
  if (text === 'auto') return text;
  const weight = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (weight >= 1 && weight <= WEIGHT_MAX) return weight;
  throw new UsageError(`Cannot use "${text}" as a weight: give auto or 1 to ${WEIGHT_MAX} buckets`);
}

function readDisk(text: string): number {
  const disk = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (disk >= 1) return disk;
  throw new InvalidArgumentError('give the number of a disk, as "dfsctl status" shows it');
}

async function add(volume: string, dir: string, options: AddOptions): Promise<void> {
  const canAsk = process.stdin.isTTY && process.stdout.isTTY && options.json !== true;
  const isSure = options.yes === true;
  if (!isSure && options.dryRun !== true && !canAsk) {
    const state = 'there is no terminal to ask on';
    throw new UsageError(
      `Cannot add a disk: ${state}; give --yes, or --dry-run to see what happens`,
    );
  }
  const target = findTarget(volume);
  const order = {
    path: resolve(dir),
    ...(options.at === undefined ? {} : { at: options.at }),
    ...(options.weight === 'auto' ? {} : { weight: options.weight }),
  };
  if (!isSure) {
    const preview = await addDisk(target, { ...order, isPreview: true });
    if (options.dryRun === true) return print('add', preview, options);
    printLines(changeLines('add', preview, styleFor(process.stdout, process.env)));
    if (!(await isConfirmed())) return printLines(['Nothing was changed']);
  }
  const done = await withClock('Adding the disk', () =>
    addDisk(target, { ...order, isPreview: false }),
  );
  print('add', done, options);
}

async function isConfirmed(): Promise<boolean> {
  const asking = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return /^y(es)?$/i.test((await asking.question('Add it? [y/N] ')).trim());
  } finally {
    asking.close();
  }
}

function addDisk(target: Target, order: AddOrder): Promise<DiskChange> {
  const { path, at, weight, isPreview } = order;
  const query = new URLSearchParams({ path, preview: String(isPreview) });
  if (at !== undefined) query.set('at', `${at.room}.${at.row}.${at.rack}.${at.machine}`);
  if (weight !== undefined) query.set('weight', String(weight));
  return ordered(target, `/diskmap/add?${query.toString()}`, (orders) => orders.add(order));
}

async function change(asked: {
  kind: 'fail' | 'remove';
  volume: string;
  disk: number;
  options: ChangeOptions;
}): Promise<void> {
  const { kind, volume, disk, options } = asked;
  const target = findTarget(volume);
  const cancel = options.cancel === true;
  const needsExpert = kind === 'remove' && !cancel && options.expert !== true;
  const isPreview = options.dryRun === true || needsExpert;
  const query = new URLSearchParams({
    disk: String(disk),
    cancel: String(cancel),
    preview: String(isPreview),
  });
  const result = await withClock('Changing the diskmap', () =>
    ordered(target, `/diskmap/${kind}?${query.toString()}`, (orders) =>
      orders[kind](disk, { cancel, isPreview }),
    ),
  );
  if (needsExpert && options.dryRun !== true) throw new UsageError(expertWords(result));
  print(kind, result, options);
}

/** Why it takes somebody who knows. */
function expertWords({ disk, plan }: DiskChange): string {
  const moved = plan === undefined ? '' : `${movedWords(plan)}, and `;
  const left = plan === undefined ? '' : ` of ${formatBytes(plan.after.capacityBytes)}`;
  const what = `${moved}it is out for good, with a volume${left} left`;
  const hint = 'of a broken disk "dfsctl diskmap fail" is enough; who is sure adds --expert';
  return `Cannot remove disk ${disk} just so: ${what}; ${hint}`;
}

/** Asks the daemon, or does it here when there is none. */
async function ordered(
  { home, mountPoint }: Target,
  path: string,
  work: (orders: DiskOrders) => Promise<DiskChange>,
): Promise<DiskChange> {
  if (mountPoint !== undefined || isHomeInUse(home)) {
    return withDaemon(home, (client) => client.post<DiskChange>(path));
  }
  const { withOfflineOrders } = await import('../../src/node/mod.ts');
  return withOfflineOrders({ home, log: silentLog }, work);
}

function print(kind: Kind, result: DiskChange, options: OutputOptions): void {
  printFacts(options, result, (style) => changeLines(kind, result, style));
}

/** What a change did or would do, for people. */
export function changeLines(kind: Kind, result: DiskChange, style: Style = plain): string[] {
  const { disk, path, location, weight, plan } = result;
  const place = location.split('.').slice(0, 5).join('.');
  const name = `disk ${disk} at ${place}, ${formatCount(weight, 'bucket')}`;
  const lines = [`${headWords(kind, result, style)}: ${name}${path ? `, in ${path}` : ''}`];
  if (plan === undefined) return [...lines, '  it was known, and is used again with what it has'];
  return [
    ...lines,
    `  before: ${hardwareWords(plan.before)}`,
    `  after:  ${hardwareWords(plan.after)}`,
    `  ${movedWords(plan)}`,
    ...(kind === 'remove' && result.state === 'draining'
      ? ['  it is out when nothing is left on it; until then "--cancel" keeps it']
      : []),
  ];
}

function headWords(kind: Kind, { state, isDone }: DiskChange, style: Style): string {
  if (!isDone)
    return `Would ${{ in: 'use', failed: 'fail', draining: 'remove', removed: '' }[state]}`;
  if (kind === 'add') return style.good('Added');
  if (state === 'in') return style.good('In again');
  return style.warn(state === 'failed' ? 'Failed' : 'Being removed');
}

function hardwareWords(facts: HardwareFacts): string {
  const { disks, survives, domain, capacityBytes, unusableBytes } = facts;
  const uneven =
    unusableBytes === 0 ? '' : `, ${formatBytes(unusableBytes)} cannot be used: disks are uneven`;
  const apart = domain === 'disk' ? '' : `, pieces apart by ${domain}`;
  const room = `${formatBytes(capacityBytes)} of content`;
  return `${formatCount(disks, 'disk')}, ${survives}${apart}, ${room}${uneven}`;
}

function movedWords({ bytesToMove, shareToMove, estimateMs, ...rate }: ChangePlan): string {
  if (bytesToMove === 0) return 'nothing has to move';
  const percent = (shareToMove * 100).toFixed(1);
  const how = rate.isMeasured ? 'as was measured' : 'assumed';
  const speed = `${formatBytes(rate.bytesPerSecond)}/s, ${how}`;
  const time = `about ${formatDuration(estimateMs)} (${speed})`;
  return `${formatBytes(bytesToMove)} move, ${percent}% of all pieces, in ${time}`;
}
