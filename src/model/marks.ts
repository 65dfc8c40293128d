/** The annotations that every manifest of ours carries. */
export const marks = Object.freeze({
  checkpointOf: "blackstart.dev/checkpoint-of",
  parentUid: "blackstart.dev/parent-uid",
  generation: "blackstart.dev/generation",
} as const);

/** What a manifest of ours says about itself. */
export interface ManifestMarks {
  readonly namespace: string;
  /** The parent pod's name. */
  readonly checkpointOf: string;
  readonly parentUid: string | undefined;
  readonly generation: string | undefined;
}

/**
 * Takes a manifest's text as one of ours.
 *
 * Pure. undefined when it is not JSON, not a pod, or does not carry our annotation.
 */
export function parseMarks(text: string): ManifestMarks | undefined {
  const metadata = field(parsed(text), "metadata");
  const annotations = field(metadata, "annotations");
  const checkpointOf = field(annotations, marks.checkpointOf);
  if (typeof checkpointOf !== "string") {
    return undefined;
  }
  return {
    namespace: textOf(field(metadata, "namespace")) ?? "default",
    checkpointOf,
    parentUid: textOf(field(annotations, marks.parentUid)),
    generation: textOf(field(annotations, marks.generation)),
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? Reflect.get(value, name)
    : undefined;
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
