-- The statements of the PostgreSQL ledger whose SQL no other dialect shares. A list comes as JSON, as in SQLite, and
-- in its order: events are numbered in the order of their writing. What a list names is looked up one by one
-- (LATERAL ... LIMIT 1), never by going through an occurrence, however few rows the planner believes it has.

-- name: clock
-- Tell the time by which locks and slots go: the server's, one for all machines.
SELECT CAST(extract(epoch FROM clock_timestamp()) AS double precision)

-- name: hold
-- Let nobody else write about some occurrences (a JSON list) until the transaction ends.
SELECT id FROM occurrences
WHERE id IN (SELECT CAST(value AS bigint) FROM json_array_elements_text(CAST(:occurrences AS json)) AS each (value))
ORDER BY id FOR NO KEY UPDATE

-- name: lock_is_held
-- Tell whether a lock is still held by this token; nobody takes it over until the transaction ends.
SELECT 1 FROM locks WHERE name = :name AND number = :number FOR KEY SHARE

-- name: lock_the_locks
-- Let nobody else take a lock until the transaction ends.
LOCK TABLE locks IN SHARE ROW EXCLUSIVE MODE

-- name: lock_the_audit
-- Let nobody else add to the audit log until the transaction ends.
LOCK TABLE audit IN EXCLUSIVE MODE

-- name: wipe
-- Remove what is left of erased rows.
VACUUM deliveries, events, resolutions, held_out

-- name: lock_the_stops
-- Wait for all who have asked for stops and are about to record intents; whoever asks later waits for us.
LOCK TABLE stops IN ACCESS EXCLUSIVE MODE

-- name: hold_phones
-- Let nobody else who keeps a cap send to these phones (a JSON list) until the transaction ends. In one order for all:
-- no two wait for each other.
SELECT pg_advisory_xact_lock(number) FROM (
    SELECT DISTINCT hashtextextended(value, 0) AS number
    FROM json_array_elements_text(CAST(:phones AS json)) AS each (value) ORDER BY number
) AS ordered

-- name: sent_lately
-- Count what each of some phones (a JSON list) may have got after a moment in some occurrences (another).
SELECT known.phone, count(*)
FROM json_array_elements_text(CAST(:phones AS json)) AS wanted (value)
CROSS JOIN json_array_elements_text(CAST(:occurrences AS json)) AS lately (value)
CROSS JOIN LATERAL (
    SELECT phone, intent_at, state FROM deliveries
    WHERE occurrence_id = CAST(lately.value AS bigint) AND phone = wanted.value LIMIT 1
) AS known
WHERE intent_at > :since AND state IN ('intent', 'accepted', 'unknown') GROUP BY known.phone

-- name: pace
-- Find a sender's pace, the time by which it goes, read once the row is ours, and when the transaction was asked for.
WITH ours AS MATERIALIZED (
    SELECT tat, seen_at, widest, widest_until FROM senders WHERE sender = :sender FOR UPDATE
)
SELECT tat, seen_at, widest, widest_until,
    CAST(extract(epoch FROM clock_timestamp()) AS double precision),
    CAST(extract(epoch FROM transaction_timestamp()) AS double precision)
FROM ours

-- name: standing
-- Find what is known already of deliveries to be intended. :intents is a JSON list of [phone, recipient, variant].
SELECT phone, state, plan_id, rule, receipt, variant
FROM json_array_elements(CAST(:intents AS json)) AS each (value)
CROSS JOIN LATERAL (
    SELECT * FROM deliveries WHERE occurrence_id = :occurrence_id AND phone = value ->> 0 LIMIT 1
) AS known

-- name: add_deliveries
-- Record the first intents of deliveries; :intents as above.
INSERT INTO deliveries (
    occurrence_id, phone, recipient_id, variant, plan_id, run_id, state, attempts, intent_at
)
SELECT :occurrence_id, value ->> 0, value ->> 1, value ->> 2, :plan_id, :run, 'intent', 1, :now
FROM json_array_elements(CAST(:intents AS json)) WITH ORDINALITY AS each (value, place) ORDER BY place

-- name: retry_deliveries
-- Record the intents of further attempts; what the last ones came to is in `events`. :intents as above.
UPDATE deliveries SET
    recipient_id = value ->> 1, variant = value ->> 2, plan_id = :plan_id, run_id = :run, state = 'intent',
    attempts = attempts + 1, intent_at = :now,
    settled_at = NULL, rule = NULL, http_status = NULL, code = NULL, detail = NULL
FROM json_array_elements(CAST(:intents AS json)) AS each (value)
CROSS JOIN LATERAL (
    SELECT id FROM deliveries WHERE occurrence_id = :occurrence_id AND phone = value ->> 0 LIMIT 1
) AS known
WHERE deliveries.id = known.id AND state = 'retry'

-- name: settle_deliveries
-- Move deliveries of a run from one state to their outcomes; a message id, once known, stays. :settled is a JSON
-- list of [phone, outcome, rule, message id, HTTP status, code, detail].
UPDATE deliveries SET
    state = value ->> 1, settled_at = :now, rule = value ->> 2,
    message_id = coalesce(value ->> 3, message_id),
    http_status = CAST(value ->> 4 AS integer), code = value ->> 5, detail = value ->> 6
FROM json_array_elements(CAST(:settled AS json)) AS each (value)
CROSS JOIN LATERAL (
    SELECT id FROM deliveries WHERE occurrence_id = :occurrence_id AND phone = value ->> 0 LIMIT 1
) AS known
WHERE deliveries.id = known.id AND run_id = :run AND state = :before

-- name: add_outcomes
-- Add the outcomes that deliveries have now to all that became of them; :settled as above.
INSERT INTO events (
    delivery_id, run_id, attempt, recipient_id, variant, intent_at, at, event, rule, message_id, http_status, code,
    detail
)
SELECT id, run_id, attempts, recipient_id, variant, intent_at, settled_at, state, rule, message_id, http_status, code,
    detail
FROM json_array_elements(CAST(:settled AS json)) WITH ORDINALITY AS each (value, place)
CROSS JOIN LATERAL (
    SELECT * FROM deliveries WHERE occurrence_id = :occurrence_id AND phone = value ->> 0 LIMIT 1
) AS known
ORDER BY place

-- name: occurrences_of
-- List the occurrences of deliveries. :receipts is a JSON list of [delivery, status, at, message id, code, detail,
-- source].
SELECT DISTINCT occurrence_id
FROM json_array_elements(CAST(:receipts AS json)) AS each (value)
JOIN deliveries ON deliveries.id = CAST(value ->> 0 AS bigint)

-- name: receipted
-- Find where the deliveries stand that receipts are about; :receipts as above.
SELECT DISTINCT deliveries.id, occurrence_id, phone, plan_id, run_id, state, rule, receipt, variant
FROM json_array_elements(CAST(:receipts AS json)) AS each (value)
JOIN deliveries ON deliveries.id = CAST(value ->> 0 AS bigint)

-- name: set_receipts
-- Keep with deliveries the furthest that is known of them; :receipts holds one for each.
UPDATE deliveries SET receipt = value ->> 1, message_id = coalesce(message_id, value ->> 3)
FROM json_array_elements(CAST(:receipts AS json)) AS each (value)
WHERE deliveries.id = CAST(value ->> 0 AS bigint)

-- name: add_receipts
-- Add receipts to all that became of deliveries; :receipts as above.
INSERT INTO events (
    delivery_id, run_id, attempt, recipient_id, variant, intent_at, at, event, rule, message_id, code, detail
)
SELECT deliveries.id, run_id, attempts, recipient_id, variant, intent_at, CAST(value ->> 2 AS double precision), value ->> 1,
    value ->> 6, coalesce(value ->> 3, message_id), value ->> 4, value ->> 5
FROM json_array_elements(CAST(:receipts AS json)) WITH ORDINALITY AS each (value, place)
JOIN deliveries ON deliveries.id = CAST(value ->> 0 AS bigint)
ORDER BY place

-- name: add_tallies
-- Move counts of a plan's deliveries; :changes is a JSON list of [plan, state, rule, variant, change].
INSERT INTO tallies (plan_id, state, rule, variant, deliveries)
SELECT CAST(value ->> 0 AS bigint), value ->> 1, value ->> 2, value ->> 3, CAST(value ->> 4 AS bigint)
FROM json_array_elements(CAST(:changes AS json)) AS each (value)
ON CONFLICT (plan_id, state, rule, variant) DO UPDATE SET deliveries = tallies.deliveries + excluded.deliveries

-- name: add_held_out
-- Record who is held out, unless they are; :people is a JSON list of [phone, recipient].
INSERT INTO held_out (occurrence_id, phone, recipient_id, plan_id, run_id, at)
SELECT :occurrence_id, value ->> 0, value ->> 1, :plan_id, :run, :now
FROM json_array_elements(CAST(:people AS json)) WITH ORDINALITY AS each (value, place) ORDER BY place
ON CONFLICT (occurrence_id, phone) DO NOTHING

-- name: states
-- Find where the deliveries to some phones (a JSON list) stand.
SELECT phone, state FROM deliveries
WHERE occurrence_id = :occurrence_id
    AND phone IN (SELECT value FROM json_array_elements_text(CAST(:phones AS json)) AS each (value))

-- name: add_webhooks
-- Keep webhooks. :webhooks is a JSON list of [kind, message id, tag, sender, phone, status, time, code, detail].
INSERT INTO webhooks (
    received_at, kind, message_id, tag, sender, phone, status, at, code, detail, due_at, settled_at, verdict
)
SELECT :now, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
    value ->> 8, CASE value ->> 0 WHEN 'status' THEN :now END, CASE value ->> 0 WHEN 'stop' THEN :now END,
    CASE value ->> 0 WHEN 'stop' THEN 'opted_out' END
FROM json_array_elements(CAST(:webhooks AS json)) WITH ORDINALITY AS each (value, place) ORDER BY place

-- name: open_webhooks
-- List the webhooks of some phones (a JSON list) that are not settled.
SELECT number, received_at, message_id, tag, sender, phone, status, at, code, detail, verdict FROM webhooks
WHERE settled_at IS NULL
    AND phone IN (SELECT value FROM json_array_elements_text(CAST(:phones AS json)) AS each (value))
LIMIT :limit

-- name: settle_webhooks
-- Note what came of webhooks. :verdicts is a JSON list of [number, verdict, delivery, due at, settled at].
UPDATE webhooks SET verdict = value ->> 1, delivery_id = CAST(value ->> 2 AS bigint),
    due_at = CAST(value ->> 3 AS double precision), settled_at = CAST(value ->> 4 AS double precision)
FROM json_array_elements(CAST(:verdicts AS json)) AS each (value)
WHERE webhooks.number = CAST(value ->> 0 AS bigint) AND settled_at IS NULL

-- name: add_opt_outs
-- Keep opt-outs, the first of each phone. :opt_outs is a JSON list of [phone, at, source, detail].
INSERT INTO opt_outs (phone, at, source, detail)
SELECT value ->> 0, CAST(value ->> 1 AS double precision), value ->> 2, value ->> 3
FROM json_array_elements(CAST(:opt_outs AS json)) WITH ORDINALITY AS each (value, place) ORDER BY place
ON CONFLICT (phone) DO NOTHING

-- name: deliveries_to_phones
-- List deliveries to some phones (a JSON list) since a moment, in the occurrences of whose runs any lasted till then.
SELECT known.id, campaign, occurrence, known.plan_id, phone, message_id, state, receipt, intent_at, settled_at
FROM json_array_elements_text(CAST(:phones AS json)) AS each (value)
CROSS JOIN (
    SELECT DISTINCT plans.occurrence_id FROM runs JOIN plans ON plans.id = runs.plan_id
    WHERE coalesce(ended_at, started_at + 2592000) >= :since
) AS lately
CROSS JOIN LATERAL (
    SELECT * FROM deliveries WHERE deliveries.occurrence_id = lately.occurrence_id AND phone = value LIMIT 1
) AS known
JOIN occurrences ON occurrences.id = known.occurrence_id
WHERE intent_at >= :since AND (state <> 'retry' OR substr(rule, 1, 12) = 'resolved by ')
