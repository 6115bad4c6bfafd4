// The world `decider` of wit/decider.wit in TypeScript: names in camel case, `option` as null, `u64` as number. Note
// that a `result` is its value when returned, and its error when thrown.

export interface MessageType {
  name: string;
  schemaVersion: number;
}

export interface Descriptor {
  aggregate: string;
  commands: MessageType[];
  events: MessageType[];
  stateVersion: number;
  hasEntries: boolean;
}

export interface Entry {
  key: string;
  value: Uint8Array | null;
}

export interface Message {
  type: string;
  schemaVersion: number;
  payload: Uint8Array;
}

export interface Command {
  id: string;
  routingKey: string;
  actor: string;
  acceptedAtMs: number;
  message: Message;
}

export interface Rejection {
  code: string;
  detail: string;
}

export type Outcome = { tag: "accepted"; val: Message[] } | { tag: "rejected"; val: Rejection };

export interface Turn {
  state: Uint8Array;
  entries: Entry[];
  commands: Command[];
}

export interface Decided {
  state: Uint8Array;
  entries: Entry[];
  outcomes: Outcome[];
}

export interface Folded {
  state: Uint8Array;
  entries: Entry[];
}

export interface Decision {
  describe(): Descriptor;
  initial(): Uint8Array;
  keys(messages: Message[]): string[][];
  decide(turns: Turn[]): Decided[];
  evolve(state: Uint8Array, entries: Entry[], events: Message[]): Folded;
}
