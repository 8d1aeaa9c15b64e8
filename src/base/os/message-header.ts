import koffi, { type TypeObject } from 'koffi';

/** struct msghdr of 64-bit Linux, as koffi has to know it. */
export function messageHeader(): TypeObject {
  const part = koffi.struct({ base: 'void *', bytes: 'size_t' });
  return koffi.struct({
    name: 'void *',
    nameBytes: 'uint32_t',
    parts: koffi.pointer(part),
    partCount: 'size_t',
    control: 'void *',
    controlBytes: 'size_t',
    flags: 'int',
  });
}
