import { DfsError } from '../base/errors.ts';

const PLACE = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/;
const NUMBER_MAX = 255;

/** Where a machine is: each number from 1 to 255. */
export interface Place {
  room: number;
  row: number;
  rack: number;
  machine: number;
}

/** A place like 1.1.2.3, room.row.rack.machine; BAD_ARGUMENT for anything else. */
export function parsePlace(text: string): Place {
  const numbers = PLACE.exec(text)?.slice(1).map(Number) ?? [];
  const [room = 0, row = 0, rack = 0, machine = 0] = numbers;
  const isPlace = numbers.length > 0 && numbers.every((one) => one >= 1 && one <= NUMBER_MAX);
  if (isPlace) return { room, row, rack, machine };
  const wanted = 'give room.row.rack.machine, each from 1 to 255, as in 1.1.2.3';
  throw new DfsError('BAD_ARGUMENT', `Cannot use "${text}" as a place: ${wanted}`);
}
