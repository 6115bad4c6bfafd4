// Code that is the same for every decider: bytes become messages, commands of a turn follow each other, events are
// folded, and using an entry that was not named is an error. An aggregate contributes only its rules.

import * as wit from "./decision";
import { read, write } from "./bytes";
import { Payload, Rejected, object } from "./payload";

export { Rejected } from "./payload";

// Context of a command, beside its content.
export interface Context {
  account: string;
  // The time at which the command was accepted; there is no other "now". RFC 3339 in UTC, to the millisecond.
  at: string;
}

// A message that the aggregate understands: a reader of its payload, and the entries it needs.
export interface Known<M> {
  read(payload: Payload): M;
  keys(message: M): string[];
}

export interface Aggregate<State, Command extends { type: string }, Event extends { type: string }> {
  name: string;
  stateVersion: number;
  initial: State;
  commands: Record<Command["type"], Known<Command>>;
  events: Record<Event["type"], Known<Event>>;
  // Returns the events that a command causes, none if it is already satisfied; throws `Rejected` to refuse it.
  decide(state: State, entries: Entries, command: Command, context: Context): Event[];
  // Returns the state after an event, and changes its entries. An event has already happened, so it cannot be
  // refused.
  evolve(state: State, entries: Entries, event: Event): State;
}

// The entries of a state that were named for these messages.
export class Entries {
  private readonly values = new Map<string, unknown>();
  private readonly changed = new Set<string>();

  constructor(named: wit.Entry[]) {
    for (const { key, value } of named) this.values.set(key, value === null ? null : read(value));
  }

  get(key: string): unknown {
    if (!this.values.has(key)) throw new Error(`the entry \`${key}\` was not named by \`keys\``);
    return this.values.get(key);
  }

  set(key: string, value: unknown): void {
    this.get(key);
    this.values.set(key, value);
    this.changed.add(key);
  }

  changes(): wit.Entry[] {
    return [...this.changed].sort().map((key) => ({ key, value: write(this.values.get(key)) }));
  }
}

// Wraps an aggregate in the exports of the world `decider`.
export function decider<State, Command extends { type: string }, Event extends { type: string }>(
  aggregate: Aggregate<State, Command, Event>,
): wit.Decision {
  const { commands, events } = aggregate;

  function turn({ state: bytes, entries: named, commands: sent }: wit.Turn): wit.Decided {
    const entries = new Entries(named);
    let state = read(bytes) as State;
    const outcomes = sent.map((command): wit.Outcome => {
      try {
        const context = { account: command.routingKey, at: new Date(command.acceptedAtMs).toISOString() };
        const caused = aggregate.decide(state, entries, message(commands, command.message), context);
        state = caused.reduce((folded, event) => aggregate.evolve(folded, entries, event), state);
        return { tag: "accepted", val: caused.map(written) };
      } catch (refused) {
        // Any other error is a bug of this program: the host discards the instance and keeps the command.
        if (!(refused instanceof Rejected)) throw refused;
        return { tag: "rejected", val: { code: refused.code, detail: refused.detail } };
      }
    });
    return { state: write(state), entries: entries.changes(), outcomes };
  }

  function keys(sent: wit.Message): string[] {
    try {
      const isCommand = sent.type in commands;
      const [known, content] = isCommand ? [commands, message(commands, sent)] : [events, message(events, sent)];
      return (known as Record<string, Known<unknown>>)[sent.type]?.keys(content) ?? [];
    } catch {
      return []; // The message cannot be read; deciding or folding it reports why.
    }
  }

  function evolve(bytes: Uint8Array, named: wit.Entry[], happened: wit.Message[]): wit.Folded {
    const entries = new Entries(named);
    const fold = (folded: State, event: wit.Message, index: number): State => {
      try {
        return aggregate.evolve(folded, entries, message(events, event));
      } catch (error) {
        throw `event ${index} of the batch: ${error instanceof Error ? error.message : error}`;
      }
    };
    const state = happened.reduce(fold, read(bytes) as State);
    return { state: write(state), entries: entries.changes() };
  }

  return {
    describe: () => ({
      aggregate: aggregate.name,
      commands: types(commands),
      events: types(events),
      stateVersion: aggregate.stateVersion,
      hasEntries: true,
    }),
    initial: () => write(aggregate.initial),
    keys: (messages) => messages.map(keys),
    decide: (turns) => turns.map(turn),
    evolve,
  };
}

function types(known: Record<string, unknown>): wit.MessageType[] {
  return Object.keys(known).map((name) => ({ name, schemaVersion: 1 }));
}

function message<M extends { type: string }>(known: Record<M["type"], Known<M>>, sent: wit.Message): M {
  const named = Object.entries(known).find(([name]) => name === sent.type)?.[1] as Known<M> | undefined;
  if (named === undefined) {
    throw new Rejected("unknown_type", `\`${sent.type}\` is not a known type; known are ${Object.keys(known).join(", ")}`);
  }
  if (sent.schemaVersion !== 1) {
    throw new Rejected("unknown_schema_version", `\`${sent.type}\` has no schema version ${sent.schemaVersion}`);
  }
  let payload;
  try {
    payload = read(sent.payload);
  } catch (error) {
    throw new Rejected("malformed_payload", `the payload is no JSON: ${error}`);
  }
  return named.read(object(payload));
}

function written({ type, ...payload }: { type: string }): wit.Message {
  return { type, schemaVersion: 1, payload: write(payload) };
}
