import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { readFields, textAt, unreadable } from "./cri.ts";

/** A field of a message that is sent: by its value's type, text, bytes, a varint, or a map of texts. */
export type Field = readonly [
  number: number,
  value: string | Uint8Array | bigint | ReadonlyMap<string, string>,
];

/** Pure. The wire form of a message. */
export function encodeMessage(...fields: readonly Field[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const [number, value] of fields) {
    if (typeof value === "bigint") {
      writer.tag(number, WireType.Varint).int64(value);
    } else if (typeof value === "string") {
      writer.tag(number, WireType.LengthDelimited).string(value);
    } else if (value instanceof Uint8Array) {
      writer.tag(number, WireType.LengthDelimited).bytes(value);
    } else {
      for (const [key, text] of value) {
        writer.tag(number, WireType.LengthDelimited).bytes(encodeMessage([1, key], [2, text]));
      }
    }
  }
  return writer.finish();
}

/** Pure. The last message of a field, undefined for none. @throws {Failure} E_RUNTIME only when it is cut off */
export function messageAt(bytes: Uint8Array, field: number): Uint8Array | undefined {
  const value = readFields(bytes).get(field)?.at(-1);
  return value instanceof Uint8Array ? value : undefined;
}

/** Pure. Every message of a repeated field. @throws {Failure} E_RUNTIME only when it is cut off */
export function messagesAt(bytes: Uint8Array, field: number): readonly Uint8Array[] {
  return (readFields(bytes).get(field) ?? []).filter((value) => value instanceof Uint8Array);
}

/** Pure. The text of a field; one that is missing is empty. @throws {Failure} E_RUNTIME only when it is cut off */
export function textIn(bytes: Uint8Array, field: number): string {
  return textAt(readFields(bytes), field);
}

/** Pure. The number of a field; one that is missing is 0. @throws {Failure} E_RUNTIME only when it is cut off */
export function numberIn(bytes: Uint8Array, field: number): number {
  return Number(readFields(bytes).get(field)?.at(-1) ?? 0);
}

/** Pure. A map of texts. @throws {Failure} E_RUNTIME only when it is cut off */
export function mapIn(bytes: Uint8Array, field: number): ReadonlyMap<string, string> {
  return new Map(
    messagesAt(bytes, field).map((entry) => [textIn(entry, 1), textIn(entry, 2)] as const),
  );
}

/** Pure. The bytes of a field, without copying them. @throws {Failure} E_RUNTIME only when it is cut off */
export function bytesIn(bytes: Uint8Array, field: number): Uint8Array {
  const reader = new BinaryReader(bytes);
  let found: Uint8Array = new Uint8Array();
  try {
    while (reader.pos < reader.len) {
      const [number, type] = reader.tag();
      if (number === field && type === WireType.LengthDelimited) {
        found = reader.bytes();
      } else {
        reader.skip(type, number);
      }
    }
  } catch (error) {
    throw unreadable(error);
  }
  return found;
}
