-- Who approved which definition of a campaign (its content as JSON), and who took that back. The latest counts.
CREATE TABLE approvals (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campaign text NOT NULL,
    digest text NOT NULL,
    content text NOT NULL,
    approved_by text NOT NULL,
    approved_at double precision NOT NULL,
    git text NOT NULL,
    revoked_by text,
    revoked_at double precision
);
CREATE INDEX approvals_campaign ON approvals (campaign, id);

-- Since when a campaign's firings count, and until when they are noted.
CREATE TABLE watched (
    campaign text NOT NULL PRIMARY KEY,
    since double precision NOT NULL,
    noted_until double precision NOT NULL
);

-- Every firing there was: a slot is one row, unique for ever.
CREATE TABLE firings (
    campaign text NOT NULL,
    occurrence text NOT NULL,
    due_at double precision NOT NULL,
    state text NOT NULL,
    at double precision NOT NULL,
    by_whom text NOT NULL,
    detail text NOT NULL,
    plan text,
    definition text,
    to_send bigint,
    opens_at double precision,
    expires_at double precision,
    PRIMARY KEY (campaign, occurrence)
);
CREATE INDEX firings_open ON firings (campaign, due_at) WHERE state IN ('due', 'waiting', 'started');
CREATE INDEX firings_due ON firings (due_at);
