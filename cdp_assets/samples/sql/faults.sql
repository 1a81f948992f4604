-- A few rows that no loader can accept, each for one reason; they belong in quarantine.
create table fault as select * from (values
  ('crm_contact', 'Id', null), ('crm_contact', 'SystemModstamp', 'yesterday'),
  ('crm_lead', 'CreatedDate', '31.02.2026'), ('shop_order', 'total_price', '12,50 EUR'),
  ('erp_kna1', 'KUNNR', null), ('support_ticket', 'id', null), ('email_event', 'EventDate', null),
  ('web_event', 'messageId', null), ('finance_exchange_rate', 'rate_to_eur', '#N/A'),
  ('consent_log', 'captured_at', 'n/a')) t(stream, field, value);
