-- Who did what: a chain, in which each hash covers its entry and the hash before it (runner/audit_chain.py).
-- Rows are only added. `details` is a JSON object without phones.
CREATE TABLE audit (
    number bigint PRIMARY KEY,
    at double precision NOT NULL,
    event text NOT NULL,
    actor text NOT NULL,
    details text NOT NULL,
    previous text NOT NULL,
    hash text NOT NULL
);
