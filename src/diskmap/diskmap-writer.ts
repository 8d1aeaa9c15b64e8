import { blake3 } from '@napi-rs/blake-hash';
import { ByteWriter } from '../base/bytes.ts';
import type { DiskEntry, DiskMap } from './diskmap.ts';
import { createDiskMap } from './diskmap.ts';
import * as format from './diskmap-format.ts';
import { uuidBytes } from './uuid.ts';

/** The bytes of a map, the same for equal maps; throws BAD_ARGUMENT when the map is not valid. */
export function encodeDiskMap(unchecked: DiskMap): Buffer {
  const map = createDiskMap(unchecked);
  const scheme = Buffer.from(map.scheme, 'utf8');
  const labels = map.disks.map((disk) => Buffer.from(disk.label, 'utf8'));
  const lengthBytes =
    format.HEADER_BYTES +
    scheme.length +
    labels.reduce((sum, label) => sum + format.DISK_BYTES + label.length, 0) +
    format.CHECKSUM_BYTES;
  const out = new ByteWriter(lengthBytes);
  out.raw(Buffer.from(format.DISKMAP_MAGIC, 'latin1')).u16(format.DISKMAP_VERSION).u16(0);
  out
    .u32(lengthBytes)
    .u32(map.disks.length)
    .u53(map.version)
    .u53(map.createdAt ?? 0);
  out.raw(uuidBytes(map.volumeUuid)).u53(map.bucketBytes);
  out.u8(scheme.length).raw(Buffer.alloc(7)).raw(scheme);
  map.disks.forEach((disk, index) => writeDisk(out, disk, labels[index] ?? Buffer.alloc(0)));
  return out.raw(blake3(out.view())).finish();
}

function writeDisk(out: ByteWriter, disk: DiskEntry, label: Buffer): void {
  out.u16(disk.id).u8(format.STATES.indexOf(disk.state));
  out.u8(disk.room).u8(disk.row).u8(disk.rack).u8(disk.machine).u8(label.length);
  out.u16(disk.disk).u16(0).u32(disk.weight).raw(uuidBytes(disk.uuid)).raw(label);
}
