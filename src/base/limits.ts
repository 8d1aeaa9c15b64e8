/** Sizes and bounds that more than one room needs, in bytes unless the name says otherwise. */
export const KIB = 1024;
export const MIB: number = 1024 * KIB;
export const GIB: number = 1024 * MIB;

/** Largest content of one chunk; larger files are cut at multiples of it. */
export const CHUNK_BYTES_MAX: number = 4 * MIB;
/** Unit of caching and of dirty ranges. */
export const BLOCK_BYTES: number = 4 * KIB;
export const NAME_BYTES_MAX = 255;
export const SYMLINK_BYTES_MAX = 4095;
export const XATTR_NAME_BYTES_MAX = 255;
export const XATTR_VALUE_BYTES_MAX: number = 64 * KIB;
/** 16 TiB, what ext4 with 4 KiB blocks takes: the cache file must be able to be as long. */
export const FILE_BYTES_MAX: number = 16 * 1024 * GIB - BLOCK_BYTES;
/** A disk that does not answer for so long is out of service. */
export const DISK_DEADLINE_MS = 10_000;
/** Up to here pieces fill the file system of a disk; what is left is for metadata. */
export const DISK_FULL_SHARE = 0.95;
/** From here on it is said that a disk is nearly full. */
export const DISK_NEARLY_FULL_SHARE = 0.85;
/** Names of one file, as on ext4; the folders in a folder are not limited. */
export const NLINK_MAX = 65_000;
