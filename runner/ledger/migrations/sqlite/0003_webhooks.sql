-- What the provider's webhooks told, each on disk before it is answered; rows are only added. `at` is the time as
-- it was written. `status` is a receipt's; of a person's message only a stop word is kept. `due_at` is when the row
-- is to be matched, or matched again; `verdict` what came of it, and `settled_at` when that was final.
CREATE TABLE webhooks (
    number INTEGER PRIMARY KEY,
    received_at REAL NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('status', 'stop')),
    message_id TEXT,
    tag TEXT,
    sender TEXT,
    phone TEXT,
    status TEXT,
    at TEXT,
    code TEXT,
    detail TEXT,
    due_at REAL,
    settled_at REAL,
    verdict TEXT,
    delivery_id INTEGER
);
-- Two short lists within a long table: what waits to be matched, and what is in no delivery's account.
CREATE INDEX webhooks_due ON webhooks (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX webhooks_open ON webhooks (phone) WHERE settled_at IS NULL;

-- Who asked not to be messaged any more, in whatever campaign; the first time counts. `source` is how we know.
CREATE TABLE opt_outs (
    number INTEGER PRIMARY KEY,
    phone TEXT NOT NULL UNIQUE,
    at REAL NOT NULL,
    source TEXT NOT NULL,
    detail TEXT
);
