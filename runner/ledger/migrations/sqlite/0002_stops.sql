-- Who said stop, to one campaign or to all (an empty name), and who lifted it. While a stop stands, no intent of
-- its campaign is recorded, so nothing new leaves.
CREATE TABLE stops (
    id INTEGER PRIMARY KEY,
    campaign TEXT NOT NULL,
    stopped_by TEXT NOT NULL,
    note TEXT NOT NULL,
    stopped_at REAL NOT NULL,
    lifted_by TEXT,
    lifted_at REAL
);
-- One stop of a kind stands at a time; every group of intents asks for it.
CREATE UNIQUE INDEX stops_standing ON stops (campaign) WHERE lifted_at IS NULL;
