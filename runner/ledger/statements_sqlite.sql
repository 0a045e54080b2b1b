-- The statements of the SQLite ledger whose SQL no other dialect shares. A list comes as JSON: one statement for
-- a whole group is several times as fast as one for each of it. Deliveries to update are found by a subquery, or
-- SQLite would go through all of an occurrence for each entry of the list.

-- name: clock
-- Tell the time by which locks and slots go: a file has no clock, so that of the process.
SELECT :now

-- name: lock_is_held
-- Tell whether a lock is still held by this token.
SELECT 1 FROM locks WHERE name = :name AND number = :number

-- name: lock_the_locks
-- Let nobody else take a lock until the transaction ends; it holds the whole file already.
SELECT 1

-- name: lock_the_audit
-- Let nobody else add to the audit log until the transaction ends; it holds the whole file already.
SELECT 1

-- name: wipe
-- Write the file anew, without what is left of erased rows in its free space.
VACUUM

-- name: lock_the_stops
-- Let no intent be recorded until the transaction ends; it holds the whole file already.
SELECT 1

-- name: hold_phones
-- Let nobody else count what phones got until the transaction ends; it holds the whole file already.
SELECT 1

-- name: sent_lately
-- Count what each of some phones (a JSON list) may have got after a moment in some occurrences (another).
SELECT phone, count(*) FROM json_each(:phones) AS wanted
CROSS JOIN json_each(:occurrences) AS lately
CROSS JOIN deliveries ON occurrence_id = lately.value AND phone = wanted.value
WHERE intent_at > :since AND state IN ('intent', 'accepted', 'unknown') GROUP BY phone

-- name: pace
-- Find a sender's pace, the time by which it goes, and when it was asked for: both the caller's.
SELECT tat, seen_at, widest, widest_until, :now, :now FROM senders WHERE sender = :sender

-- name: standing
-- Find what is known already of deliveries to be intended. :intents is a JSON list of [phone, recipient, variant].
SELECT phone, state, plan_id, rule, receipt, variant FROM json_each(:intents)
CROSS JOIN deliveries ON occurrence_id = :occurrence_id AND phone = value ->> 0

-- name: add_deliveries
-- Record the first intents of deliveries; :intents as above.
INSERT INTO deliveries (
    occurrence_id, phone, recipient_id, variant, plan_id, run_id, state, attempts, intent_at
)
SELECT :occurrence_id, value ->> 0, value ->> 1, value ->> 2, :plan_id, :run, 'intent', 1, :now FROM json_each(:intents)

-- name: retry_deliveries
-- Record the intents of further attempts; what the last ones came to is in `events`. :intents as above.
UPDATE deliveries SET
    recipient_id = value ->> 1, variant = value ->> 2, plan_id = :plan_id, run_id = :run, state = 'intent',
    attempts = attempts + 1, intent_at = :now,
    settled_at = NULL, rule = NULL, http_status = NULL, code = NULL, detail = NULL
FROM json_each(:intents)
WHERE state = 'retry' AND deliveries.id = (
    SELECT id FROM deliveries AS known WHERE known.occurrence_id = :occurrence_id AND known.phone = value ->> 0
)

-- name: settle_deliveries
-- Move deliveries of a run from one state to their outcomes; a message id, once known, stays. :settled is a JSON
-- list of [phone, outcome, rule, message id, HTTP status, code, detail]. The + keeps the planner from asking
-- whether the value of :before lets it use a partial index: it would prepare the statement anew for each group.
UPDATE deliveries SET
    state = value ->> 1, settled_at = :now, rule = value ->> 2,
    message_id = coalesce(value ->> 3, message_id),
    http_status = value ->> 4, code = value ->> 5, detail = value ->> 6
FROM json_each(:settled)
WHERE run_id = :run AND +state = :before AND deliveries.id = (
    SELECT id FROM deliveries AS known WHERE known.occurrence_id = :occurrence_id AND known.phone = value ->> 0
)

-- name: add_outcomes
-- Add the outcomes that deliveries have now to all that became of them; :settled as above.
INSERT INTO events (
    delivery_id, run_id, attempt, recipient_id, variant, intent_at, at, event, rule, message_id, http_status, code,
    detail
)
SELECT deliveries.id, run_id, attempts, recipient_id, variant, intent_at, settled_at, state, rule, message_id,
    http_status, code, detail
FROM json_each(:settled)
CROSS JOIN deliveries ON occurrence_id = :occurrence_id AND phone = value ->> 0

-- name: occurrences_of
-- List the occurrences of deliveries. :receipts is a JSON list of [delivery, status, at, message id, code, detail,
-- source].
SELECT DISTINCT occurrence_id FROM json_each(:receipts)
CROSS JOIN deliveries ON deliveries.id = value ->> 0

-- name: receipted
-- Find where the deliveries stand that receipts are about; :receipts as above.
SELECT DISTINCT deliveries.id, occurrence_id, phone, plan_id, run_id, state, rule, receipt, variant
FROM json_each(:receipts) CROSS JOIN deliveries ON deliveries.id = value ->> 0

-- name: set_receipts
-- Keep with deliveries the furthest that is known of them; :receipts holds one for each.
UPDATE deliveries SET receipt = value ->> 1, message_id = coalesce(message_id, value ->> 3)
FROM json_each(:receipts) WHERE deliveries.id = value ->> 0

-- name: add_receipts
-- Add receipts to all that became of deliveries; :receipts as above.
INSERT INTO events (
    delivery_id, run_id, attempt, recipient_id, variant, intent_at, at, event, rule, message_id, code, detail
)
SELECT deliveries.id, run_id, attempts, recipient_id, variant, intent_at, value ->> 2, value ->> 1, value ->> 6,
    coalesce(value ->> 3, message_id), value ->> 4, value ->> 5
FROM json_each(:receipts) CROSS JOIN deliveries ON deliveries.id = value ->> 0

-- name: add_tallies
-- Move counts of a plan's deliveries; :changes is a JSON list of [plan, state, rule, variant, change].
INSERT INTO tallies (plan_id, state, rule, variant, deliveries)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(:changes) WHERE true
ON CONFLICT (plan_id, state, rule, variant) DO UPDATE SET deliveries = tallies.deliveries + excluded.deliveries

-- name: add_held_out
-- Record who is held out, unless they are; :people is a JSON list of [phone, recipient].
INSERT INTO held_out (occurrence_id, phone, recipient_id, plan_id, run_id, at)
SELECT :occurrence_id, value ->> 0, value ->> 1, :plan_id, :run, :now FROM json_each(:people) WHERE true
ON CONFLICT (occurrence_id, phone) DO NOTHING

-- name: states
-- Find where the deliveries to some phones (a JSON list) stand.
SELECT phone, state FROM deliveries
WHERE occurrence_id = :occurrence_id AND phone IN (SELECT value FROM json_each(:phones))

-- name: add_webhooks
-- Keep webhooks. :webhooks is a JSON list of [kind, message id, tag, sender, phone, status, time, code, detail].
INSERT INTO webhooks (
    received_at, kind, message_id, tag, sender, phone, status, at, code, detail, due_at, settled_at, verdict
)
SELECT :now, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
    value ->> 8, CASE value ->> 0 WHEN 'status' THEN :now END, CASE value ->> 0 WHEN 'stop' THEN :now END,
    CASE value ->> 0 WHEN 'stop' THEN 'opted_out' END
FROM json_each(:webhooks)

-- name: open_webhooks
-- List the webhooks of some phones (a JSON list) that are not settled.
SELECT number, received_at, message_id, tag, sender, phone, status, at, code, detail, verdict FROM webhooks
WHERE settled_at IS NULL AND phone IN (SELECT value FROM json_each(:phones)) LIMIT :limit

-- name: settle_webhooks
-- Note what came of webhooks. :verdicts is a JSON list of [number, verdict, delivery, due at, settled at].
UPDATE webhooks SET verdict = value ->> 1, delivery_id = value ->> 2, due_at = value ->> 3, settled_at = value ->> 4
FROM json_each(:verdicts) WHERE webhooks.number = value ->> 0 AND settled_at IS NULL

-- name: add_opt_outs
-- Keep opt-outs, the first of each phone. :opt_outs is a JSON list of [phone, at, source, detail].
INSERT INTO opt_outs (phone, at, source, detail)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(:opt_outs) WHERE true
ON CONFLICT (phone) DO NOTHING

-- name: deliveries_to_phones
-- List deliveries to some phones (a JSON list) since a moment, in the occurrences of whose runs any lasted till then.
SELECT deliveries.id, campaign, occurrence, deliveries.plan_id, phone, message_id, state, receipt, intent_at, settled_at
FROM json_each(:phones)
CROSS JOIN (
    SELECT DISTINCT plans.occurrence_id FROM runs JOIN plans ON plans.id = runs.plan_id
    WHERE coalesce(ended_at, started_at + 2592000) >= :since
) AS lately
CROSS JOIN deliveries ON deliveries.occurrence_id = lately.occurrence_id AND phone = value
JOIN occurrences ON occurrences.id = deliveries.occurrence_id
WHERE intent_at >= :since AND (state <> 'retry' OR substr(rule, 1, 12) = 'resolved by ')
