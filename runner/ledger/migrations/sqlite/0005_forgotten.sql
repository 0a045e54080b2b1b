-- People who were forgotten, each as a keyed hash (HMAC-SHA-256 of the phone): enough to know them when they come
-- again, for who has the key. Numbers grow, so that the last one tells whether there are new ones.
CREATE TABLE forgotten (
    number INTEGER PRIMARY KEY,
    keyed_hash TEXT NOT NULL UNIQUE,
    at REAL NOT NULL
);

-- What tells the right key from a wrong one. The key itself is stored nowhere.
CREATE TABLE forget_key (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    proof TEXT NOT NULL
);
