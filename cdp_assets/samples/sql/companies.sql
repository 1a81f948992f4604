-- Companies, and who works where. Their own ids are c; index n counts per country.
create table company as
with seated as (
  select c, s.value as country
  from range(greatest(20, getvariable('people') // 14)) t(c)
  join country_slot s on s.slot = below(c, 'company country', 100)
), rooted as (
  select s.*, y.legal_forms, y.trades, y.places, y.streets, y.number_first, y.calling_code,
    y.trunk, y.currency, y.vkorg, y.locale,
    q.value as culture,
    (row_number() over (partition by s.country order by c) - 1) as n
  from seated s join country y using (country)
  join culture_slot q on q.country = s.country and q.slot = below(s.c, 'founder', 60)
), named as (
  select r.*, p.value || ' ' || one_of(c, 'trade', trades) as core,
    p.mail || '-' || lower(plain(one_of(c, 'trade', trades))) as root,
    mostly(c, 'form', legal_forms, 1.6) as legal_form
  from rooted r join culture k using (culture)
  join pool p on p.culture = r.culture and p.kind = 'l' and p.idx = skewed(r.c, 'name', k.last, 1.3)
), unique_named as (
  select *, row_number() over (partition by root, country order by c) as twin from named
)
select c, n, v.country, core || if(twin > 1, ' ' || twin, '') as core, legal_form,
  regexp_replace(root, '[^a-z0-9-]', '', 'g') || if(twin > 1, twin::varchar, '')
    || case v.country when 'US' then '.com' when 'GB' then '.co.uk' when 'JP' then '.co.jp'
      else '.' || lower(v.country) end as domain,
  l.city, l.region, s.street, 1 + below(c, 'number', 90) as house, v.number_first,
  regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(l.postcode,
    '#', below(c, 'z1', 10)::varchar), '#', below(c, 'z2', 10)::varchar),
    '#', below(c, 'z3', 10)::varchar), '@', 'K'), '@', 'E') as postcode,
  calling_code, trunk, currency, vkorg, locale,
  l.prefix as area_code, subscriber(c + 3000000, l.digits) as landline,
  u(c, 'in crm') < 0.85 as in_crm, u(c, 'in erp') < 0.7 as in_erp,
  u(c, 'crm twice') < 0.05 as crm_twice
from unique_named v
join place l on l.country = v.country and l.idx = skewed(v.c, 'seat', v.places, 1.3)
join street s on s.country = v.country and s.idx = below(v.c, 'street', v.streets);

create table job as
with size as (
  select country, count(*) as companies from company group by country
), working as (
  select p.p, p.country, s.companies, u(p.p, 'changes job') < 0.09 as changes
  from person p join size s using (country)
  where u(p.p, 'works') < 0.6 and p.birth > date '1956-01-01'
)
-- turn 0 is today's employer, 1 the one before.
select w.p, 0 as turn, c.c, c.domain from working w
join company c on c.country = w.country and c.n = skewed(w.p, 'employer', w.companies, 1.6)
union all
select w.p, 1, c.c, c.domain from working w
join company c on c.country = w.country
  and c.n = (skewed(w.p, 'employer', w.companies, 1.6) + 1 + below(w.p, 'last', 7)) % w.companies
where w.changes and w.companies > 8;
