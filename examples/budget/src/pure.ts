// A handler is a pure function of its arguments. QuickJS has a clock and dice all the same; here they are taken away, so
// that who reaches for one is told. It is imported before everything else.

const refuse = (what: string) => (): never => {
  throw new Error(`${what} is not for handlers: times and ids come in with the command`);
};

Math.random = refuse("Math.random");
Date.now = refuse("Date.now");
globalThis.Date = new Proxy(Date, {
  apply: refuse("Date()"),
  construct: (target, args) => (args.length > 0 ? Reflect.construct(target, args) : refuse("new Date()")()),
});
