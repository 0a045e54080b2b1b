-- Which state people were last told of, for each occurrence and each thing that is followed of it (its run, its
-- log, ...): a state that is told of already is not told of again.
CREATE TABLE notices (
    campaign TEXT NOT NULL,
    occurrence TEXT NOT NULL,
    topic TEXT NOT NULL,
    state TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (campaign, occurrence, topic)
) WITHOUT ROWID;
