-- Who did what: a chain, in which each hash covers its entry and the hash before it (runner/audit_chain.py).
-- Rows are only added. `details` is a JSON object without phones.
CREATE TABLE audit (
    number INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    event TEXT NOT NULL,
    actor TEXT NOT NULL,
    details TEXT NOT NULL,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL
);
