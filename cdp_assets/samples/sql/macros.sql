-- Draws are hashes of (row, salt, seed): no state, so order and threads cannot matter.
create macro u(i, salt) as
  (hash(i::bigint, salt, getvariable('seed')::bigint) >> 11) / 9007199254740992::double;
create macro below(i, salt, n) as
  (hash(i::bigint, salt, getvariable('seed')::bigint) % n::ubigint)::bigint;
-- An index below n; skew > 1 favours the first ones.
create macro skewed(i, salt, n, skew) as least(n - 1, floor(n * pow(u(i, salt), skew))::bigint);
-- One of a list, evenly or the first ones mostly.
create macro one_of(i, salt, options) as options[1 + below(i, salt, len(options))];
create macro mostly(i, salt, options, skew) as options[1 + skewed(i, salt, len(options), skew)];
create macro uuid_of(i, salt) as
  regexp_replace(md5(concat_ws('|', salt, i, getvariable('seed'))),
    '^(.{8})(.{4})(.{4})(.{4})(.{12})$', '\1-\2-\3-\4-\5');

-- Times are whole seconds since 1970 until they are written.
create macro instant(s) as make_timestamp(s::bigint * 1000000);
create macro iso(s) as strftime(instant(s), '%Y-%m-%dT%H:%M:%SZ');
create macro crm_time(s) as strftime(instant(s), '%Y-%m-%dT%H:%M:%S.000Z');
-- The shop reports local time with its offset: an hour more from the last Sunday of
-- March to the last of October, at one o'clock UTC.
create macro summer(t) as case month(t)
  when 3 then day(t) - isodow(t) % 7 >= 25 when 10 then day(t) - isodow(t) % 7 < 25
  else month(t) between 4 and 9 end;
create macro shop_time(s) as case when summer(instant(s - 3600))
  then strftime(instant(s + 7200), '%Y-%m-%dT%H:%M:%S+02:00')
  else strftime(instant(s + 3600), '%Y-%m-%dT%H:%M:%S+01:00') end;

create macro plain(s) as
  strip_accents(translate(replace(s, 'ß', 'ss'), 'łŁøØıİđĐ', 'lLoOiIdD'));
create macro capitals(s) as upper(replace(s, 'ß', 'ss'));

-- To the smallest unit of a currency with `digits` after the point.
create macro money(x, digits) as if(digits = 0, round(x::double), round(x::double, 2))::decimal(12, 2);

-- One slip of the fingers: a letter lost, swapped, doubled or hit beside.
create macro typo(s, i, salt) as case when length(s) < 4 then s else (
  case below(i, salt || 'kind', 4)
    when 0 then substr(s, 1, 1 + below(i, salt, length(s) - 2))
      || substr(s, 3 + below(i, salt, length(s) - 2))
    when 1 then substr(s, 1, 1 + below(i, salt, length(s) - 3))
      || substr(s, 3 + below(i, salt, length(s) - 3), 1)
      || substr(s, 2 + below(i, salt, length(s) - 3), 1)
      || substr(s, 4 + below(i, salt, length(s) - 3))
    when 2 then substr(s, 1, 2 + below(i, salt, length(s) - 2))
      || substr(s, 2 + below(i, salt, length(s) - 2))
    else substr(s, 1, 1 + below(i, salt, length(s) - 2))
      || chr(97 + below(i, salt || 'letter', 26)::int)
      || substr(s, 3 + below(i, salt, length(s) - 2))
  end) end;

-- Numbers of `digits` digits, the first one 2 to 8; different `n` never meet.
create macro subscriber(n, digits) as
  ((2 * 10 ^ (digits - 1))::bigint
    + ((n::bigint * 2654435761 + 40503 * getvariable('seed')) % (7 * 10 ^ (digits - 1))::bigint)::bigint
  )::varchar;
create macro phone(style, cc, trunk, prefix, body) as case
  when style = 0 then '+' || cc || prefix || body
  when style = 1 then '+' || cc || ' ' || prefix || ' ' || body
  -- America and Japan dial abroad with other digits than 00.
  when style = 2 and cc in ('1', '81') then '+' || cc || ' ' || prefix || ' ' || body
  when style = 2 then '00' || cc || ' ' || prefix || ' ' || body
  when cc = '1' and style = 3 then '(' || prefix || ') ' || body[:3] || '-' || body[4:]
  when cc = '1' then prefix || '.' || body[:3] || '.' || body[4:]
  when style = 3 then trunk || prefix || ' ' || body
  else trunk || prefix || '/' || body end;

-- Salesforce ids: 15 characters, then three that carry their capitals.
create macro capital_bits(s) as
  (ascii(s[1]) between 65 and 90)::int + (ascii(s[2]) between 65 and 90)::int * 2
  + (ascii(s[3]) between 65 and 90)::int * 4 + (ascii(s[4]) between 65 and 90)::int * 8
  + (ascii(s[5]) between 65 and 90)::int * 16;
create macro salesforce_check(s) as
  'ABCDEFGHIJKLMNOPQRSTUVWXYZ012345'[capital_bits(s[1:5]) + 1]
  || 'ABCDEFGHIJKLMNOPQRSTUVWXYZ012345'[capital_bits(s[6:10]) + 1]
  || 'ABCDEFGHIJKLMNOPQRSTUVWXYZ012345'[capital_bits(s[11:15]) + 1];
create macro salesforce_id(prefix, n) as
  prefix || 'Qk00000' || to_base(n, 36, 5)
  || salesforce_check(prefix || 'Qk00000' || to_base(n, 36, 5));

-- The sources' keys, from a record's place in the order of creation.
create macro customer_id(n) as 6900000000005 + n * 32768;
create macro order_id(n) as 5800000000011 + n * 32768;
create macro debtor_number(n) as lpad((100000 + n)::varchar, 10, '0');
create macro user_id(n) as 360000000017 + n * 61;
create macro subscriber_key(n) as 'SK-' || upper(uuid_of(n, 'subscriber')[:13]);

-- Which export carries a change: the first one, or one of three deltas after it.
create macro export_of(s) as case
  when s <= getvariable('as_of') - 60 * 86400 then 0
  when s <= getvariable('as_of') - 30 * 86400 then 1
  when s <= getvariable('as_of') - 7 * 86400 then 2 else 3 end;

-- The versions of a table (rid, created_s, modified_s): what stood before,
-- what stands now, deletes; then stale and repeated rows in the last delta.
create macro versions(src, salt, deletable) as table
with known as (
  select rid, created_s, modified_s,
    u(rid, salt || 'before') < 0.18 and modified_s - created_s > 3 * 86400 as had_before,
    deletable and u(rid, salt || 'gone') < 0.012 as goes
  from query_table(src)
), told as (
  select rid, false as before, false as gone, modified_s as at_s from known
  union all
  select rid, true, false,
    created_s + floor((modified_s - created_s) * 0.8 * u(rid, salt || 'when'))::bigint
  from known where had_before
  union all
  select rid, false, true, least(modified_s + 60
    + floor((getvariable('as_of') - modified_s) * u(rid, salt || 'end'))::bigint,
    getvariable('as_of') - 60)
  from known where goes
), sent as (
  select *, export_of(at_s) as export, 0 as again from told
  union all
  select *, 3, 1 from told
  where export_of(at_s) < 3 and u(rid, salt || 'again') < if(before, 0.06, 0.008)
)
select *, row_number() over (partition by export order by rid, at_s, again) as seq from sent;

create macro street_line(street, house, number_first) as
  if(number_first, house || ' ' || trim(street), trim(street) || ' ' || house);
