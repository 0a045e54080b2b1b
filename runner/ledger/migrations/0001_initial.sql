-- The ledger as it begins. Times are epoch seconds (UTC); phones are digits with country code.

-- One firing of one campaign. `generation` grows with every run begun and every settlement by hand: a plan
-- made before is stale.
CREATE TABLE occurrences (
    id INTEGER PRIMARY KEY,
    campaign TEXT NOT NULL,
    occurrence TEXT NOT NULL,
    generation INTEGER NOT NULL DEFAULT 0,
    UNIQUE (campaign, occurrence)
);

-- Plans that were applied; the digest makes each one single use.
CREATE TABLE plans (
    id INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    occurrence_id INTEGER NOT NULL REFERENCES occurrences (id),
    to_send INTEGER NOT NULL,
    created_at REAL NOT NULL,
    first_applied_at REAL,
    finished_at REAL
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
    UNIQUE (occurrence_id, phone)
);
-- For the frequency cap: what went out since a moment. It grows at its end only.
CREATE INDEX deliveries_by_time ON deliveries (intent_at);
-- What a killed run left open, what waits for a person, and what may be sent again: three short lists
-- within a long table.
CREATE INDEX deliveries_in_flight ON deliveries (occurrence_id) WHERE state = 'intent';
CREATE INDEX deliveries_unknown ON deliveries (occurrence_id) WHERE state = 'unknown';
CREATE INDEX deliveries_retry ON deliveries (occurrence_id) WHERE state = 'retry';

-- Every outcome there ever was; rows are only added.
CREATE TABLE outcomes (
    delivery_id INTEGER NOT NULL REFERENCES deliveries (id),
    attempt INTEGER NOT NULL,
    at REAL NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('accepted', 'refused', 'retry', 'unknown')),
    run_id INTEGER NOT NULL,
    rule TEXT NOT NULL,
    message_id TEXT,
    http_status INTEGER,
    code TEXT,
    detail TEXT,
    PRIMARY KEY (delivery_id, attempt, at, outcome)
) WITHOUT ROWID;

-- Who settled what by hand, and why.
CREATE TABLE resolutions (
    id INTEGER PRIMARY KEY,
    occurrence_id INTEGER NOT NULL REFERENCES occurrences (id),
    phone TEXT NOT NULL,
    resolved_to TEXT NOT NULL,
    resolved_by TEXT NOT NULL,
    note TEXT NOT NULL,
    at REAL NOT NULL
);

-- How many deliveries of a plan stand where, kept in the same transactions as the deliveries: counting a
-- million rows would take too long to do it after every message.
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
