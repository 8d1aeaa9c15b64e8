/** Not stored: says how far the file is committed; setting it waits until it is. */
export const COMMIT_XATTR = 'user.dfs.commit';
/** Says what fsync waits for in a folder and all below it, or for a file. */
export const MODE_XATTR = 'user.dfs.mode';
/** Not stored: what holds for a folder or file, wherever that is said. */
export const EFFECTIVE_MODE_XATTR = 'user.dfs.mode.effective';
