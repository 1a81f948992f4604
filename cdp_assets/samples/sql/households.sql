-- Households: who lives together, where, and which family name they share.
create table member as
with seat as (
  select p, p % 5 = 0 or u(p, 'moves in') >= 0.45 as opens
  from range(getvariable('people')) t(p)
)
select p, max(if(opens, p, null)) over (order by p rows between 4 preceding and current row) as h
from seat;

create table household as
with sized as (
  select h, count(*) as size from member group by h
), typed as (
  select h, size, case
    when size > 1 and u(h, 'kind') < 0.06 then 'twins'
    when size > 1 and u(h, 'kind') < 0.12 then 'jr_sr'
    else 'family' end as kind
  from sized
), housed as (
  select t.*, if(kind = 'jr_sr', one_of(h, 'jr', ['US', 'US', 'GB', 'IE']), s.value) as country
  from typed t join country_slot s on s.slot = below(t.h, 'country', 100)
), cultured as (
  select t.*, case
    when kind = 'jr_sr' then if(t.country = 'IE', 'irish', 'english')
    else s.value end as culture
  from housed t
  join culture_slot s on s.country = t.country and s.slot = below(t.h, 'culture', 100)
), named as (
  select t.*, c.two_names, c.male, c.female, c.last, c.double_share, c.gendered,
    skewed(h, 'last', c.last, 1.7) as last_idx,
    case when c.two_names then skewed(h, 'mother', c.last, 1.7)
      when u(h, 'double') < c.double_share then skewed(h, 'double name', c.last, 1.7)
    end as other_idx
  from cultured t join culture c using (culture)
)
select t.* exclude (last_idx, other_idx),
  a.value || coalesce(if(two_names, ' ', '-') || b.value, '') as family_name,
  a.mail || coalesce('-' || b.mail, '') as family_mail,
  -- Two fifths of the families have one inbox for everybody.
  size > 1 and u(h, 'inbox') < 0.4 as has_inbox,
  u(h, 'landline') < 0.55 as has_landline,
  size > 1 and u(h, 'device') < 0.5 as shares_device
from named t
join pool a on a.culture = t.culture and a.kind = 'l' and a.idx = t.last_idx
left join pool b on b.culture = t.culture and b.kind = 'l' and b.idx = t.other_idx;

-- Homes by key: where household h lives (2h), where person p lived before (2p + 1).
create table home as
with wanted as (
  select 2 * h as home, h as i, country from household
  union all
  select 2 * p + 1, p + 10000000, country
  from member join household using (h) where u(p, 'moved') < 0.13
), placed as (
  select w.home, w.country, c.flat, c.number_first,
    skewed(w.i, 'place', c.places, 1.4) as place_idx,
    below(w.i, 'street', c.streets) as street_idx,
    1 + skewed(w.i, 'house', 140, 1.8) as house, w.i
  from wanted w join country c using (country)
), digits as (
  select p.*, l.city, l.other_names, l.region, l.prefix, l.digits,
    l.postcode as form, s.street, s.short_street,
    [below(i, 'zip ' || k, 10)::varchar for k in [1, 2, 3, 4]] as ds,
    ['ABDEFGHJLN'[1 + below(i, 'zip letter ' || k, 10)] for k in [1, 2]] as ls
  from placed p
  join place l on l.country = p.country and l.idx = p.place_idx
  join street s on s.country = p.country and s.idx = p.street_idx
)
select home, country, number_first, city,
  one_of(i, 'other city', other_names) as other_city, region, street, short_street, house, case
    when u(i, 'flat') < 0.08
    then replace(flat, '#', (1 + below(i, 'door', 5))::varchar) end as flat,
  regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(
    form, '#', ds[1]), '#', ds[2]), '#', ds[3]), '#', ds[4]), '@', ls[1]), '@', ls[2]) as postcode,
  prefix as area_code, subscriber(i % 10000000 + 5000003, digits) as landline
from digits;
