-- Who said stop, to one campaign or to all (an empty name), and who lifted it. While a stop stands, no intent of
-- its campaign is recorded, so nothing new leaves.
CREATE TABLE stops (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campaign text NOT NULL,
    stopped_by text NOT NULL,
    note text NOT NULL,
    stopped_at double precision NOT NULL,
    lifted_by text,
    lifted_at double precision
);
-- One stop of a kind stands at a time; every group of intents asks for it.
CREATE UNIQUE INDEX stops_standing ON stops (campaign) WHERE lifted_at IS NULL;
