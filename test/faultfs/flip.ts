import { mix } from './cut.ts';
import type { DeviceTree, Node } from './device-tree.ts';
import type { FlipOptions, Flipped } from './messages.ts';
import { PAGE_BYTES } from './page-history.ts';

/** Turns bits over in what is stored; where, and in which inodes. */
export function flipBits(tree: DeviceTree, options: FlipOptions): { node: Node; at: Flipped }[] {
  const pattern = new RegExp(options.path ?? '');
  const files = [...tree.nodes.values()].filter(
    (node) =>
      node.device?.name === options.device &&
      node.attr.nlink > 0 &&
      (node.file?.allocatedPages ?? 0) > 0 &&
      pattern.test(tree.pathOf(node)),
  );
  // A page is as likely as another one, whatever file it is in.
  const total = files.reduce((sum, { file }) => sum + (file?.allocatedPages ?? 0), 0);
  const flips: { node: Node; at: Flipped }[] = [];
  for (let index = 0; index < (options.count ?? 1) && total > 0; index++) {
    const dice = mix(options.seed, index);
    let left = dice % total;
    const node = files.find(({ file }) => {
      left -= file?.allocatedPages ?? 0;
      return left < 0;
    }) as Node;
    const pages = node.file?.dataPages() ?? [];
    const page = pages[left + pages.length] ?? 0;
    const inPage = Math.min(PAGE_BYTES, node.attr.sizeBytes - page * PAGE_BYTES);
    if (inPage <= 0) continue;
    const bit = mix(dice, 1) % (inPage * 8);
    tree.flip(node, page, bit);
    const offset = page * PAGE_BYTES + Math.floor(bit / 8);
    flips.push({ node, at: { path: tree.pathOf(node), offset } });
  }
  return flips;
}
