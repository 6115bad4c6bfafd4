//! The design's arrows as tables: who may use whom, and why. Extend them here, with the reason.

/// A crate or a module, what it may use of its neighbours, and why no more.
pub struct Room {
    pub name: &'static str,
    pub may_use: &'static [&'static str],
    pub because: &'static str,
}

const fn room(name: &'static str, may_use: &'static [&'static str], because: &'static str) -> Room {
    Room { name, may_use, because }
}

/// The crates of the workspace. A component, whatever its name, is `COMPONENT`.
pub const CRATES: &[Room] = &[
    room("clearfold-kernel", &[], "pure traits and value types know no business and no host"),
    room(
        "clearfold-domain",
        // Its tests run its specifications.
        &["clearfold-kernel", "clearfold-spec"],
        "the business runs in the sandbox, in tests and in simulations alike",
    ),
    room(
        "clearfold-spec",
        &["clearfold-kernel"],
        "what a specification says must be true of a handler in any language, whatever its business",
    ),
    room("clearfold-arena", &[], "an allocator knows nothing but memory"),
    room(
        "clearfold-guest",
        &["clearfold-arena", "clearfold-kernel"],
        "what every component needs inside the sandbox, whatever its business",
    ),
    room(
        "clearfold-edge-kit",
        &["clearfold-arena"],
        "signatures, tokens and replies are the same whatever an edge component is for",
    ),
    room(
        "clearfold",
        // Its tests sign what they send to the edge.
        &["clearfold-edge-kit", "clearfold-kernel", "clearfold-spec"],
        "payloads stay opaque to the host, so it never sees the domain",
    ),
    room("clearfold-devchain", &[], "the development chain stands for the outside world"),
    room(
        "clearfold-tests",
        &["clearfold", "clearfold-devchain", "clearfold-domain", "clearfold-edge-kit", "clearfold-kernel"],
        "the tests look at everything",
    ),
    room(
        "clearfold-bench",
        &["clearfold", "clearfold-domain", "clearfold-kernel"],
        "a benchmark drives the host's own write path, and its peer is the domain without the sandbox",
    ),
    room("xtask", &[], "it must compile when nothing else does"),
];

pub const COMPONENT: Room = room(
    "a component",
    &["clearfold-domain", "clearfold-edge-kit", "clearfold-guest", "clearfold-kernel"],
    "a component is business behind a WIT world, nothing else",
);

/// Modules of the host that everybody may use. Among each other they may, too; they use nobody else.
pub const NEUTRAL: &[&str] = &[
    "background",
    "clock",
    "config",
    "database",
    "digest",
    "faults",
    "manifest",
    "parts",
    "signature",
    "telemetry",
];

/// Modules of the host that put the others together; they may use all.
pub const ASSEMBLY: &[&str] = &["cli", "lib", "main"];

/// The top-level modules of host/src, in the order of the flow.
pub const MODULES: &[Room] = &[
    room(
        "chain",
        &["command", "runtime"],
        "the listener makes commands; what they cause is not its business",
    ),
    room(
        "api",
        &["audit", "command", "query", "registry", "runtime"],
        "an endpoint extracts, makes one call and converts",
    ),
    room("command", &["event_store", "runtime"], "the one writer decides in the sandbox and appends"),
    room("event_store", &[], "the log knows nobody who writes or reads it"),
    room("outbox", &["bus", "event_store"], "the publisher carries the log to the bus"),
    room("bus", &["event_store"], "it carries recorded events and falls back on the log"),
    room(
        "projection",
        &["bus", "runtime"],
        "a projection never appends, so it cannot reach the writer or the log",
    ),
    room(
        "audit",
        &["event_store", "projection", "runtime"],
        "an audit reads both stores and writes to neither",
    ),
    room(
        "integrity",
        &["event_store", "runtime"],
        "it holds the log against itself and against the components that decided; projections prove nothing",
    ),
    room(
        "registry",
        &["command", "event_store", "integrity", "runtime"],
        "it hands over what is in force and tries what shall be; what a component decides is not its business",
    ),
    room("inbox_keeper", &["event_store"], "it knows when periods end, and nothing of what lies in them"),
    room("saga", &["bus", "command", "runtime"], "the one back edge: a step may command"),
    room("notification", &["bus", "runtime"], "a notification never changes a payment"),
    room("query", &[], "queries read the read store, which projections fill"),
    room("runtime", &[], "the sandbox knows no flow; it runs what it is given"),
];
