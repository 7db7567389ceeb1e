INSERT INTO adjustment (src, kind, tenant_id, site_id, micros, tax_jurisdiction, tax_micros, share, grant_name, expires_at_ms, amounts, ref, memo, at_ms, made_by)
SELECT j.src, CASE WHEN j.src LIKE 'demo:%' THEN 'demo_payment' ELSE 'bank_payment' END, a.tenant_id, '', -p.micros, '', 0, 0, '', NULL, '', '', j.memo, j.at_ms, 'console'
FROM journal AS j
JOIN posting AS p ON p.journal_id = j.id
JOIN account AS a ON a.name = p.account
WHERE j.kind = 'top_up' AND p.account LIKE 'L:wallet:%';

INSERT INTO adjustment (src, kind, tenant_id, site_id, micros, tax_jurisdiction, tax_micros, share, grant_name, expires_at_ms, amounts, ref, memo, at_ms, made_by)
SELECT j.src, 'promo', a.tenant_id, '', -p.micros, '', 0, 0, substr(p.account, length('L:promo:' || a.tenant_id || ':') + 1), a.expires_at_ms, '', '', j.memo, j.at_ms, 'console'
FROM journal AS j
JOIN posting AS p ON p.journal_id = j.id
JOIN account AS a ON a.name = p.account
WHERE j.kind = 'promo' AND p.account LIKE 'L:promo:%';

INSERT INTO adjustment (src, kind, tenant_id, site_id, micros, tax_jurisdiction, tax_micros, share, grant_name, expires_at_ms, amounts, ref, memo, at_ms, made_by)
SELECT src, 'correction', '', '', 0, '', 0, 0, '', NULL, '', ref, memo, at_ms, 'console'
FROM journal WHERE kind = 'correction';
