import { family, type Sample } from './metric-family.ts';
import type { DiskReport, VolumeReport } from './volume-report.ts';

/** The disks of a volume, for Prometheus, by a report of some seconds ago. */
export function diskMetricsText(report: Pick<VolumeReport, 'disks' | 'nearlyFull'>): string {
  const { disks, nearlyFull } = report;
  const each = (value: (disk: DiskReport) => number | undefined): Sample[] =>
    disks.flatMap((disk) => {
      const found = value(disk);
      return found === undefined ? [] : [[{ disk: String(disk.id) }, found] satisfies Sample];
    });
  return [
    family('volume_nearly_full', 'gauge', 'New data finds no room, or soon will not.', [
      [{}, Number(nearlyFull)],
    ]),
    family(
      'disk_takes_pieces',
      'gauge',
      'The disk is in use and takes pieces.',
      each(({ state, mapState }) => Number(state === 'up' && mapState === 'in')),
    ),
    family(
      'disk_filled_ratio',
      'gauge',
      'Of what it may take; at 1 it takes no pieces.',
      each(({ filledShare }) => filledShare),
    ),
    family(
      'disk_used_bytes',
      'gauge',
      'What pieces take.',
      each(({ usedBytes }) => usedBytes),
    ),
    family(
      'disk_bad_pieces',
      'gauge',
      'Pieces that are known not to verify.',
      each(({ badPieces }) => badPieces),
    ),
  ].join('');
}
