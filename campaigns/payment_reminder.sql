-- Everybody with a bill that is not paid; somebody with two such bills is reminded of one.
SELECT
  invoice_no,
  member_id,
  name,
  phone,
  amount_due,
  due_date,
  wa_consent
FROM 'data/payment_reminder/invoices.parquet'
WHERE status = 'unpaid'
ORDER BY due_date, invoice_no
