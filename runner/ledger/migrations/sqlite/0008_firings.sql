-- Who approved which definition of a campaign (its content as JSON), and who took that back. The latest counts.
CREATE TABLE approvals (
    id INTEGER PRIMARY KEY,
    campaign TEXT NOT NULL,
    digest TEXT NOT NULL,
    content TEXT NOT NULL,
    approved_by TEXT NOT NULL,
    approved_at REAL NOT NULL,
    git TEXT NOT NULL,
    revoked_by TEXT,
    revoked_at REAL
);
CREATE INDEX approvals_campaign ON approvals (campaign, id);

-- Since when a campaign's firings count, and until when they are noted.
CREATE TABLE watched (
    campaign TEXT NOT NULL PRIMARY KEY,
    since REAL NOT NULL,
    noted_until REAL NOT NULL
) WITHOUT ROWID;

-- Every firing there was: a slot is one row, unique for ever.
CREATE TABLE firings (
    campaign TEXT NOT NULL,
    occurrence TEXT NOT NULL,
    due_at REAL NOT NULL,
    state TEXT NOT NULL,
    at REAL NOT NULL,
    by_whom TEXT NOT NULL,
    detail TEXT NOT NULL,
    plan TEXT,
    definition TEXT,
    to_send INTEGER,
    opens_at REAL,
    expires_at REAL,
    PRIMARY KEY (campaign, occurrence)
) WITHOUT ROWID;
CREATE INDEX firings_open ON firings (campaign, due_at) WHERE state IN ('due', 'waiting', 'started');
CREATE INDEX firings_due ON firings (due_at);
