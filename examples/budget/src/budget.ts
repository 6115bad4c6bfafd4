// A budget: the amount that a customer wants to spend in a month at one kind of merchant. It only watches and
// reports; it never declines a payment and never moves money.
//
// | code | meaning |
// |---|---|
// | `account_mismatch` | the command was routed to another account than the budget's |
// | `budget_not_set` | the command is about a category that has no budget |
// | `asset_mismatch` | the amount is in another asset than the budget |
// | `duplicate_mismatch` | a known payment was sent with another content |
// | `clock_backwards` | the command was accepted in a month before the one that is counted |
//
// Unreadable input is refused where it enters (decider.ts, payload.ts).

import { Aggregate, Context, Entries, Known, Rejected } from "./decider";
import { Amount, Payload, amount, category, paymentId, text } from "./payload";

type SetBudget = { type: "SetBudget"; category: string; monthly: Amount };
type DropBudget = { type: "DropBudget"; category: string };
type CountSpending = { type: "CountSpending"; payment_id: string; category: string; amount: Amount };
export type Command = SetBudget | DropBudget | CountSpending;

// Every event names the account of the budget and the time at which the host accepted the command.
type Stamp = { account: string; at: string };
type BudgetSet = { type: "BudgetSet"; category: string; monthly: Amount } & Stamp;
type BudgetDropped = { type: "BudgetDropped"; category: string } & Stamp;
type SpendingCounted = Omit<CountSpending, "type"> & { type: "SpendingCounted"; month: string; spent: string } & Stamp;
type BudgetExceeded = { type: "BudgetExceeded"; category: string; month: string; by: string } & Stamp;
export type Event = BudgetSet | BudgetDropped | SpendingCounted | BudgetExceeded;

interface Budget {
  monthly: Amount;
  // The month that is counted, such as `2026-11`; empty before the first payment.
  month: string;
  spent: string;
  // True if the customer was told.
  exceeded: boolean;
}

export interface State {
  account: string | null;
  budgets: Record<string, Budget>;
}

const entryOf = (id: string): string => `payment/${id}`;

export const budget: Aggregate<State, Command, Event> = {
  name: "budget",
  stateVersion: 1,
  initial: { account: null, budgets: {} },
  commands: {
    SetBudget: plain((payload) => setBudget(payload)),
    DropBudget: plain((payload) => ({ type: "DropBudget", category: category(payload) })),
    CountSpending: ofPayment<CountSpending>((payload) => countSpending(payload)),
  },
  events: {
    BudgetSet: plain((payload) => ({ ...setBudget(payload), type: "BudgetSet", ...stamp(payload) })),
    BudgetDropped: plain((payload) => ({ type: "BudgetDropped", category: category(payload), ...stamp(payload) })),
    SpendingCounted: ofPayment<SpendingCounted>((payload) => ({
      ...countSpending(payload),
      type: "SpendingCounted",
      month: text(payload, "month"),
      spent: text(payload, "spent"),
      ...stamp(payload),
    })),
    BudgetExceeded: plain((payload) => ({
      type: "BudgetExceeded",
      category: category(payload),
      month: text(payload, "month"),
      by: text(payload, "by"),
      ...stamp(payload),
    })),
  },

  decide(state, entries, command, context) {
    if (state.account !== null && state.account !== context.account) {
      throw new Rejected("account_mismatch", `this is a budget of ${state.account}, not of ${context.account}`);
    }
    const known = state.budgets[command.category];
    switch (command.type) {
      case "SetBudget":
        return set(known, command, context);
      case "DropBudget":
        return drop(known, command, context);
      case "CountSpending":
        return count(known, entries, command, context);
    }
  },

  evolve(state, entries, event) {
    const { [event.category]: known, ...others } = state.budgets;
    const after = folded(known, entries, event);
    return { account: event.account, budgets: after ? { ...others, [event.category]: after } : others };
  },
};

function set(known: Budget | undefined, { category, monthly }: SetBudget, context: Context): Event[] {
  if (known && same(known.monthly, monthly)) return [];
  if (known) inAsset(known, monthly);
  const told: Event = { type: "BudgetSet", category, monthly, ...stamped(context) };
  const month = context.at.slice(0, 7);
  if (!known || known.month !== month || known.exceeded) return [told];
  return [told, ...exceeded(monthly, BigInt(known.spent), category, month, context)];
}

function drop(known: Budget | undefined, { category }: DropBudget, context: Context): Event[] {
  if (!known) throw new Rejected("budget_not_set", `${category} has no budget that could be dropped`);
  return [{ type: "BudgetDropped", category, ...stamped(context) }];
}

function count(known: Budget | undefined, entries: Entries, command: CountSpending, context: Context): Event[] {
  const { payment_id, category, amount } = command;
  const before = entries.get(entryOf(payment_id)) as { category: string; amount: Amount } | null;
  if (before) {
    if (before.category === category && same(before.amount, amount)) return [];
    throw new Rejected("duplicate_mismatch", `the payment ${payment_id} was counted with another content`);
  }
  // There is no budget for this category.
  if (!known) return [];
  inAsset(known, amount);
  const month = context.at.slice(0, 7);
  if (month < known.month) {
    throw new Rejected("clock_backwards", `it is ${month}, but ${known.month} is counted; set the host's clock right`);
  }
  const spent = (month === known.month ? BigInt(known.spent) : 0n) + BigInt(amount.minor);
  const counted: Event = { type: "SpendingCounted", payment_id, category, amount, month, spent: `${spent}`, ...stamped(context) };
  const isTold = known.exceeded && month === known.month;
  return isTold ? [counted] : [counted, ...exceeded(known.monthly, spent, category, month, context)];
}

// Reported once a month, when more was spent than the budget allows.
function exceeded(monthly: Amount, spent: bigint, category: string, month: string, context: Context): Event[] {
  const by = spent - BigInt(monthly.minor);
  return by > 0n ? [{ type: "BudgetExceeded", category, month, by: `${by}`, ...stamped(context) }] : [];
}

function folded(known: Budget | undefined, entries: Entries, event: Event): Budget | undefined {
  switch (event.type) {
    case "BudgetSet": {
      const { month, spent, exceeded } = known ?? { month: "", spent: "0", exceeded: false };
      // A budget that has room again can be exceeded again.
      return { monthly: event.monthly, month, spent, exceeded: exceeded && BigInt(spent) > BigInt(event.monthly.minor) };
    }
    case "BudgetDropped":
      return undefined;
    case "SpendingCounted": {
      entries.set(entryOf(event.payment_id), { category: event.category, amount: event.amount });
      const { month, spent } = event;
      return known && { monthly: known.monthly, month, spent, exceeded: known.exceeded && known.month === month };
    }
    case "BudgetExceeded":
      return known && { ...known, exceeded: true };
  }
}

function setBudget(payload: Payload): SetBudget {
  return { type: "SetBudget", category: category(payload), monthly: amount(payload, "monthly") };
}

function countSpending(payload: Payload): CountSpending {
  const [id, spent] = [paymentId(payload), amount(payload, "amount")];
  return { type: "CountSpending", payment_id: id, category: category(payload), amount: spent };
}

function stamp(payload: Payload): Stamp {
  return { account: text(payload, "account"), at: text(payload, "at") };
}

function stamped({ account, at }: Context): Stamp {
  return { account, at };
}

function plain<M>(read: (payload: Payload) => M): Known<M> {
  return { read, keys: () => [] };
}

// A message about a payment needs the entry that records whether the payment was counted.
function ofPayment<M extends { payment_id: string }>(read: (payload: Payload) => M): Known<M> {
  return { read, keys: (message) => [entryOf(message.payment_id)] };
}

function same(one: Amount, other: Amount): boolean {
  return one.minor === other.minor && one.asset === other.asset && one.decimals === other.decimals;
}

function inAsset({ monthly }: Budget, { asset, decimals }: Amount): void {
  if (monthly.asset === asset && monthly.decimals === decimals) return;
  throw new Rejected("asset_mismatch", `this budget is in ${monthly.asset}, not in ${asset}; drop it to begin another`);
}
