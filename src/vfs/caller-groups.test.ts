import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { groupsOf, isInGroup } from './caller-groups.ts';

const context = { uid: 1, gid: 7, pid: 0, umask: 0, unique: 1, resent: false };

test('groupsOf() reads the supplementary groups of /proc/PID/status', () => {
  expect(groupsOf('Gid:\t1\t1\t1\t1\nGroups:\t4 24 1000 \nNStgid:\t5\n')).toEqual([4, 24, 1000]);
  expect(groupsOf('Groups:\t \nNStgid:\t5\n')).toEqual([]);
  expect(groupsOf('')).toEqual([]);
});

test('isInGroup() knows the group of the request, and those of the process where it can look', () => {
  expect(isInGroup(context, 7)).toBe(true);
  expect(isInGroup(context, 8)).toBe(false);
  const own = groupsOf(readFileSync('/proc/self/status', 'latin1'));
  for (const group of own) {
    expect(isInGroup({ ...context, pid: process.pid }, group)).toBe(true);
  }
  expect(isInGroup({ ...context, pid: 2 ** 22 + 1 }, 8)).toBe(false);
});
