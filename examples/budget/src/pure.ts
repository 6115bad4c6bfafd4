// A handler is a pure function of its arguments. QuickJS nevertheless has a clock and a random number generator; they
// are disabled here, so that code that uses one gets an error that says so. This module is imported before everything
// else.

const refuse = (what: string) => (): never => {
  throw new Error(`${what} is not for handlers: times and ids come in with the command`);
};

Math.random = refuse("Math.random");
Date.now = refuse("Date.now");
globalThis.Date = new Proxy(Date, {
  apply: refuse("Date()"),
  construct: (target, args) => (args.length > 0 ? Reflect.construct(target, args) : refuse("new Date()")()),
});
