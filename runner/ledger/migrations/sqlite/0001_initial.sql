-- The ledger as it begins. Times are epoch seconds (UTC); phones are digits with country code.

-- What tells this ledger from every other, for ever: logs name their batches by it.
CREATE TABLE ledger (identity TEXT NOT NULL);
INSERT INTO ledger (identity) VALUES (lower(hex(randomblob(16))));

-- One firing of one campaign. `generation` grows with every run begun and every settlement by hand: a plan
-- made before is stale.
CREATE TABLE occurrences (
    id INTEGER PRIMARY KEY,
    campaign TEXT NOT NULL,
    occurrence TEXT NOT NULL,
    generation INTEGER NOT NULL DEFAULT 0,
    UNIQUE (campaign, occurrence)
);

-- Plans that were applied; the digest makes each one single use. `details` is a JSON object.
CREATE TABLE plans (
    id INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    occurrence_id INTEGER NOT NULL REFERENCES occurrences (id),
    to_send INTEGER NOT NULL,
    created_at REAL NOT NULL,
    first_applied_at REAL,
    finished_at REAL,
    details TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX plans_of_occurrence ON plans (occurrence_id);

-- One apply of one plan. A run without an end is going on, or was killed.
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    plan_id INTEGER NOT NULL REFERENCES plans (id),
    owner TEXT NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    process_started TEXT,
    started_at REAL NOT NULL,
    ended_at REAL,
    exit_code INTEGER
);
CREATE INDEX runs_of_plan ON runs (plan_id);

-- One message to one phone in one occurrence, unique for ever: that key is why nobody is messaged twice.
-- Plan and run are those of the latest intent; rule and what follows those of the latest outcome. Rows lie in
-- the order of their intents, not of their phones: a group of sends then writes a few pages, not hundreds.
CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY,
    occurrence_id INTEGER NOT NULL REFERENCES occurrences (id),
    phone TEXT NOT NULL,
    recipient_id TEXT NOT NULL,
    plan_id INTEGER NOT NULL REFERENCES plans (id),
    run_id INTEGER NOT NULL REFERENCES runs (id),
    state TEXT NOT NULL CHECK (state IN ('intent', 'accepted', 'refused', 'retry', 'unknown')),
    attempts INTEGER NOT NULL,
    intent_at REAL NOT NULL,
    settled_at REAL,
    rule TEXT,
    message_id TEXT,
    http_status INTEGER,
    code TEXT,
    detail TEXT,
    receipt TEXT CHECK (receipt IN ('sent', 'failed', 'delivered', 'read')),
    UNIQUE (occurrence_id, phone)
);
-- For the frequency cap and for receipts: what went out since a moment. It grows at its end only.
CREATE INDEX deliveries_by_time ON deliveries (intent_at);
-- What waits for a person, and what may be sent again: two short lists within a long table. What a killed run
-- left in flight has none: every message would pay for it twice, and it is looked for after a kill only.
CREATE INDEX deliveries_unknown ON deliveries (occurrence_id) WHERE state = 'unknown';
CREATE INDEX deliveries_retry ON deliveries (occurrence_id) WHERE state = 'retry';

-- Everything that became of deliveries: outcomes of attempts, settlements by hand, receipts. Rows are only added,
-- at the end. Who and which attempt it was about is kept with it, as the delivery may move on.
CREATE TABLE events (
    number INTEGER PRIMARY KEY,
    delivery_id INTEGER NOT NULL REFERENCES deliveries (id),
    run_id INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    recipient_id TEXT NOT NULL,
    intent_at REAL NOT NULL,
    at REAL NOT NULL,
    event TEXT NOT NULL,
    rule TEXT NOT NULL,
    message_id TEXT,
    http_status INTEGER,
    code TEXT,
    detail TEXT
);
CREATE INDEX events_of_delivery ON events (delivery_id);
CREATE INDEX events_of_run ON events (run_id);

-- Which events a log takes together. What is cut never changes, so a batch that is pushed again after a crash is
-- the same batch.
CREATE TABLE log_batches (
    target TEXT NOT NULL,
    run_id INTEGER NOT NULL REFERENCES runs (id),
    number INTEGER NOT NULL,
    first_event INTEGER NOT NULL,
    last_event INTEGER NOT NULL,
    event_count INTEGER NOT NULL,
    cut_at REAL NOT NULL,
    pushed_at REAL,
    PRIMARY KEY (target, run_id, number)
) WITHOUT ROWID;

-- Who settled what that no answer settled, and why: a person, or a receipt.
CREATE TABLE resolutions (
    id INTEGER PRIMARY KEY,
    occurrence_id INTEGER NOT NULL REFERENCES occurrences (id),
    phone TEXT NOT NULL,
    resolved_to TEXT NOT NULL,
    resolved_by TEXT NOT NULL,
    note TEXT NOT NULL,
    at REAL NOT NULL
);

-- How many deliveries of a plan stand where, by state and by receipt, kept in the same transactions as the
-- deliveries: counting a million rows would take too long to do it after every message.
CREATE TABLE tallies (
    plan_id INTEGER NOT NULL REFERENCES plans (id),
    state TEXT NOT NULL,
    rule TEXT NOT NULL,
    deliveries INTEGER NOT NULL,
    PRIMARY KEY (plan_id, state, rule)
) WITHOUT ROWID;

-- Who is applying what. AUTOINCREMENT: a number is never given twice, so an old token never fits again.
CREATE TABLE locks (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    process_started TEXT,
    started_at REAL NOT NULL,
    heartbeat_at REAL NOT NULL
);

-- The pace of each sender, shared by all processes (runner/pacing.py, PaceState).
CREATE TABLE senders (
    sender TEXT PRIMARY KEY,
    tat REAL NOT NULL,
    seen_at REAL NOT NULL,
    widest REAL NOT NULL,
    widest_until REAL NOT NULL
) WITHOUT ROWID;
