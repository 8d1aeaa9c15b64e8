/**
 * A 52-bit hash of a name, by which a folder is ordered and which readdir hands out as its cookie:
 * a listing goes on where it was whatever is created or removed meanwhile (the idea of ext3's
 * htree, Phillips 2002). Stored on disk in SQLite only, yet frozen: a kernel may hold a cookie
 * across a restart. Two multiplicative lanes, mixed at the end as in MurmurHash3's finalizer
 * (Appleby).
 */
export function nameHash(name: Uint8Array): number {
  let a = 0x9e3779b1;
  let b = 0x85ebca77;
  for (let index = 0; index < name.length; index++) {
    const byte = name[index] as number;
    a = Math.imul(a ^ byte, 0x01000193);
    b = Math.imul(b ^ byte, 0x5bd1e995) + a;
  }
  a = finalMix(a ^ name.length);
  b = finalMix(b ^ a);
  return (a >>> 12) * 0x1_0000_0000 + (b >>> 0);
}

function finalMix(value: number): number {
  let mixed = value;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
