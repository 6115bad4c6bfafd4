// Validation of payloads. A value that knows a more specific code than `malformed_payload` reports that.

// Reason for a rejection: a stable code, and a sentence for the caller.
export class Rejected extends Error {
  constructor(
    readonly code: string,
    readonly detail: string,
  ) {
    super(`${code}: ${detail}`);
  }
}

// An amount in minor units: a whole number of the asset's smallest unit, as decimal digits.
export interface Amount {
  minor: string;
  asset: string;
  decimals: number;
}

export type Payload = Record<string, unknown>;

// The largest amount that one command may move: the same limit as for every other decider.
const LARGEST_AMOUNT = 2n ** 96n - 1n;

export function object(value: unknown): Payload {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Payload;
  throw malformed("expected an object");
}

export function text(payload: Payload, member: string): string {
  const value = payload[member];
  if (typeof value === "string") return value;
  throw malformed(`expected a text as \`${member}\``);
}

export function category(payload: Payload): string {
  const value = text(payload, "category");
  if (/^[0-9]{4}$/.test(value)) return value;
  throw malformed(`\`${value}\` is no merchant category: four digits`);
}

export function paymentId(payload: Payload): string {
  const value = text(payload, "payment_id");
  if (/^[A-Za-z0-9._-]{1,128}$/.test(value)) return value;
  throw new Rejected("invalid_id", `\`${value}\` is no payment's id: 1 to 128 letters, digits, and - _ .`);
}

export function amount(payload: Payload, member: string): Amount {
  const { minor, asset, decimals } = object(payload[member]);
  if (typeof minor !== "string" || !/^(0|[1-9][0-9]*)$/.test(minor)) {
    throw malformed(`\`${member}.minor\` is not a whole number of minor units, as a text of digits`);
  }
  if (typeof asset !== "string" || asset === "" || !Number.isInteger(decimals)) {
    throw malformed(`\`${member}\` needs an \`asset\` and its number of \`decimals\``);
  }
  if (minor === "0") throw new Rejected("amount_not_positive", "the amount is zero; give one above zero");
  if (BigInt(minor) > LARGEST_AMOUNT) {
    throw new Rejected("amount_too_large", `the amount exceeds ${LARGEST_AMOUNT} minor units`);
  }
  return { minor, asset, decimals: decimals as number };
}

function malformed(detail: string): Rejected {
  return new Rejected("malformed_payload", detail);
}
