-- As in the SQLite ledger.

-- What the provider's webhooks told, each on disk before it is answered; rows are only added. `at` is the time as
-- it was written. `status` is a receipt's; of a person's message only a stop word is kept. `due_at` is when the row
-- is to be matched, or matched again; `verdict` what came of it, and `settled_at` when that was final.
CREATE TABLE webhooks (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at double precision NOT NULL,
    kind text NOT NULL CHECK (kind IN ('status', 'stop')),
    message_id text,
    tag text,
    sender text,
    phone text,
    status text,
    at text,
    code text,
    detail text,
    due_at double precision,
    settled_at double precision,
    verdict text,
    delivery_id bigint
);
-- Two short lists within a long table: what waits to be matched, and what is in no delivery's account.
CREATE INDEX webhooks_due ON webhooks (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX webhooks_open ON webhooks (phone) WHERE settled_at IS NULL;

-- Who asked not to be messaged any more, in whatever campaign; the first time counts. `source` is how we know.
CREATE TABLE opt_outs (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    phone text NOT NULL UNIQUE,
    at double precision NOT NULL,
    source text NOT NULL,
    detail text
);
