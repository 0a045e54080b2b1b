-- The ledger as it begins, in a schema of its own: as the SQLite ledger, but for what is said here.

-- What tells this ledger from every other, for ever: logs name their batches by it.
CREATE TABLE ledger (identity text NOT NULL);
INSERT INTO ledger (identity) VALUES (replace(CAST(gen_random_uuid() AS text), '-', ''));

-- One firing of one campaign. `generation` grows with every run begun and every settlement by hand: a plan
-- made before is stale.
CREATE TABLE occurrences (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campaign text NOT NULL,
    occurrence text NOT NULL,
    generation bigint NOT NULL DEFAULT 0,
    UNIQUE (campaign, occurrence)
);

-- Plans that were applied; the digest makes each one single use. `details` is a JSON object.
CREATE TABLE plans (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest text NOT NULL UNIQUE,
    occurrence_id bigint NOT NULL REFERENCES occurrences (id),
    to_send bigint NOT NULL,
    created_at double precision NOT NULL,
    first_applied_at double precision,
    finished_at double precision,
    details text NOT NULL DEFAULT '{}'
);
CREATE INDEX plans_of_occurrence ON plans (occurrence_id);

-- One apply of one plan. A run without an end is going on, or was killed.
CREATE TABLE runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    plan_id bigint NOT NULL REFERENCES plans (id),
    owner text NOT NULL,
    host text NOT NULL,
    pid integer NOT NULL,
    process_started text,
    started_at double precision NOT NULL,
    ended_at double precision,
    exit_code integer
);
CREATE INDEX runs_of_plan ON runs (plan_id);

-- One message to one phone in one occurrence, unique for ever: that key is why nobody is messaged twice.
-- Plan and run are those of the latest intent; rule and what follows those of the latest outcome. Rows lie in
-- the order of their intents, not of their phones: a group of sends then writes a few pages, not hundreds.
CREATE TABLE deliveries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    occurrence_id bigint NOT NULL REFERENCES occurrences (id),
    phone text NOT NULL,
    recipient_id text NOT NULL,
    plan_id bigint NOT NULL REFERENCES plans (id),
    run_id bigint NOT NULL REFERENCES runs (id),
    state text NOT NULL CHECK (state IN ('intent', 'accepted', 'refused', 'retry', 'unknown')),
    attempts integer NOT NULL,
    intent_at double precision NOT NULL,
    settled_at double precision,
    rule text,
    message_id text,
    http_status integer,
    code text,
    detail text,
    receipt text CHECK (receipt IN ('sent', 'failed', 'delivered', 'read')),
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
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    delivery_id bigint NOT NULL REFERENCES deliveries (id),
    run_id bigint NOT NULL,
    attempt integer NOT NULL,
    recipient_id text NOT NULL,
    intent_at double precision NOT NULL,
    at double precision NOT NULL,
    event text NOT NULL,
    rule text NOT NULL,
    message_id text,
    http_status integer,
    code text,
    detail text
);
CREATE INDEX events_of_delivery ON events (delivery_id);
CREATE INDEX events_of_run ON events (run_id);

-- Which events a log takes together. What is cut never changes, so a batch that is pushed again after a crash is
-- the same batch.
CREATE TABLE log_batches (
    target text NOT NULL,
    run_id bigint NOT NULL REFERENCES runs (id),
    number bigint NOT NULL,
    first_event bigint NOT NULL,
    last_event bigint NOT NULL,
    event_count bigint NOT NULL,
    cut_at double precision NOT NULL,
    pushed_at double precision,
    PRIMARY KEY (target, run_id, number)
);

-- Who settled what that no answer settled, and why: a person, or a receipt.
CREATE TABLE resolutions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    occurrence_id bigint NOT NULL REFERENCES occurrences (id),
    phone text NOT NULL,
    resolved_to text NOT NULL,
    resolved_by text NOT NULL,
    note text NOT NULL,
    at double precision NOT NULL
);

-- How many deliveries of a plan stand where, by state and by receipt, kept in the same transactions as the
-- deliveries: counting a million rows would take too long to do it after every message.
CREATE TABLE tallies (
    plan_id bigint NOT NULL REFERENCES plans (id),
    state text NOT NULL,
    rule text NOT NULL,
    deliveries bigint NOT NULL,
    PRIMARY KEY (plan_id, state, rule)
);

-- Who is applying what. A number is never given twice, so an old token never fits again. Times are the
-- server's.
CREATE TABLE locks (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    owner text NOT NULL,
    host text NOT NULL,
    pid integer NOT NULL,
    process_started text,
    started_at double precision NOT NULL,
    heartbeat_at double precision NOT NULL
);

-- The pace of each sender, shared by all processes (runner/pacing.py, PaceState), in the server's time.
CREATE TABLE senders (
    sender text PRIMARY KEY,
    tat double precision NOT NULL,
    seen_at double precision NOT NULL,
    widest double precision NOT NULL,
    widest_until double precision NOT NULL
);
