/** RFC 1123 subdomain and label. Source: apimachinery v0.37.2 `validation.go`. */
const subdomainPattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const labelPattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

/** Pure. True for an RFC 1123 label of at most 63 characters. */
export function isDnsLabel(value: string): boolean {
  return value.length <= 63 && labelPattern.test(value);
}

/** Pure. True for an RFC 1123 subdomain of at most 253 characters. */
export function isDnsSubdomain(value: string): boolean {
  return value.length <= 253 && subdomainPattern.test(value);
}
