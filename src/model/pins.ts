/** The images that a cold boot would need, in the two ways in which runtimes are told. */
export interface WantedPins {
  /** `sha256:…`: an id never comes to mean another image, as a tag does. */
  readonly ids: readonly string[];
  /** Names of images: the digest where there is one, else the name in the pod's spec. */
  readonly names: readonly string[];
}
