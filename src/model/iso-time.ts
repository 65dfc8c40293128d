/**
 * A moment as `2026-11-22T08:10:39.120Z`: what `Date.toISOString` gives.
 *
 * Pure. V8's own looks up the local time zone and its name too, although neither is in the text: that brings 2 MB of
 * the runtime's file into memory, which a cold boot reads from disk and a process that stays keeps.
 * Source: V8 13.6 `src/builtins/builtins-date.cc: ToDateString`, measured with Node 24.21.0.
 *
 * @throws {RangeError} only when the date is invalid
 */
export function isoTime(date: Date): string {
  const year = date.getUTCFullYear();
  if (!(year >= 0 && year <= 9_999)) {
    return date.toISOString();
  }
  const [month, day] = [date.getUTCMonth() + 1, date.getUTCDate()];
  const [hours, minutes, seconds] = [
    date.getUTCHours(),
    date.getUTCMinutes(),
    date.getUTCSeconds(),
  ];
  const text = (value: number, digits = 2): string => String(value).padStart(digits, "0");
  const clock = `${text(hours)}:${text(minutes)}:${text(seconds)}`;
  return `${text(year, 4)}-${text(month)}-${text(day)}T${clock}.${text(date.getUTCMilliseconds(), 3)}Z`;
}
