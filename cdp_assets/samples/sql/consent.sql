-- The consent log: what people answered, for an address or a number, and later took back.
create table asked as
with contact_record as (
  select 'shop_customer:' || customer_id(rid) as record, p, created_s, lower(trim(email)) as email, e164,
    'shop_checkout' as place from customer
  union all
  select 'email_subscriber:' || subscriber_key(rid), p, created_s, lower(trim(email)), e164,
    'preference_centre' from subscription
  union all
  select 'crm_contact:' || key, p, created_s, lower(trim(email)), e164, 'import' from contact
), points as (
  select p, 'email' as type, email as value, arg_min(record, (created_s, record)) as record,
    min(created_s) as since,
    arg_min(place, (created_s, record)) as place
  from contact_record where email like '%@%' group by p, email
  union all
  select p, 'phone', e164, arg_min(record, (created_s, record)), min(created_s),
    arg_min(place, (created_s, record))
  from contact_record where e164 is not null and u(p, 'asked for texts') < 0.35 group by p, e164
)
select row_number() over (order by p, type, value) as i, *,
  -- One attitude per person, so that the sources mostly agree; a tenth differ by address.
  if(u(p * 7 + length(value), 'differs') < 0.1, u(p * 7 + length(value), 'consent'),
    u(p, 'consent')) as attitude
from points;

create table consent as
with story as (
  select *, case when attitude < 0.62 then 'opt_in' when attitude < 0.72 then 'withdrawn'
    when attitude < 0.80 then 'conflict' when attitude < 0.86 then 'pending' when attitude < 0.90
      then 'expired'
    when attitude < 0.93 then 'opt_out' end as kind,
    since + below(i, 'answered', 7200) as at_s
  from asked
), answer as (
  select i, 0 as n, type, value, record, place, at_s, case kind when 'pending' then 'pending' when 'opt_out'
    then 'opt_out' else 'opt_in' end as status,
    case when kind in ('opt_in', 'withdrawn', 'expired') and u(i, 'double') < 0.6
      then at_s + 60 + below(i, 'confirmed', 86400) end as double_s,
    if(kind = 'expired', at_s + floor((getvariable('as_of') - at_s) * (0.3 + 0.6 * u(i, 'until')))::bigint,
      null) as until_s,
    if(u(i, 'purpose') < 0.82, 'marketing', one_of(i, 'purpose',
      ['service', 'analytics', 'all'])) as purpose
  from story where kind is not null
  union all
  -- Taken back, in the preference centre or on the phone; a conflict is told by another source.
  select i, 1, type, value, record, if(kind = 'conflict', 'call_centre', 'preference_centre'),
    if(kind = 'conflict', greatest(at_s - 86400 * 20 + below(i, 'other answer', 86400 * 40), since),
      at_s + floor((getvariable('as_of') - 3600 - at_s) * u(i, 'taken back'))::bigint),
    'opt_out', null, null, if(u(i, 'purpose back') < 0.75, 'marketing', 'all')
  from story where kind in ('withdrawn', 'conflict')
  union all
  -- A second purpose for some.
  select i, 2, type, value, record, place, at_s + 5, 'opt_in', null, null, 'service' from story
  where kind = 'opt_in' and u(i, 'second purpose') < 0.2
)
select row_number() over (order by at_s, i, n) as rid,
  a.* replace (least(at_s, getvariable('as_of') - 60) as at_s) from answer a order by rid;

create table consent_sent as
select rid, export_of(at_s) as export, row_number() over (partition by export_of(at_s) order by rid) as seq
from consent order by rid;
create view out_consent_log as
select export as _export, seq as _seq, 'cns-' || lpad(rid::varchar, 8, '0') as consent_id,
  iso(at_s) as captured_at, place as source, type as contact_point_type, value as contact_point_value,
  record as source_record,
  purpose, if(type = 'email', if(u(i, 'every channel') < 0.06, 'all', 'email'),
    one_of(i, 'channel', ['sms', 'phone', 'sms'])) as channel,
  status, if(double_s is null, null, iso(least(double_s, getvariable('as_of') - 30))) as double_opt_in_at,
  iso(at_s) as effective_from,
  iso(until_s) as effective_to
from consent_sent join consent using (rid);
