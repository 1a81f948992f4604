-- The people: names, births, numbers, and what will later tell their records apart.
create table person_name as
with drawn as (
  select m.p, m.h, m.p - m.h as role, h.* exclude (h),
    -- Partners of the head are mostly of the other sex; twins and Jr/Sr are alike.
    case when h.kind = 'jr_sr' and m.p - m.h < 2 then 'm'
      when m.p - m.h = 1 and h.kind = 'family' then if(u(m.h, 'sex') < 0.5, 'f', 'm')
      when m.p - m.h = 1 and u(m.p, 'alike') < 0.6 then if(u(m.h, 'sex') < 0.5, 'm', 'f')
      else if(u(m.p, 'sex') < 0.5, 'm', 'f') end as sex
  from member m join household h using (h)
), indexed as (
  select *, if(sex = 'm', male, female) as firsts,
    role = 1 and kind = 'family' and u(p, 'own name') < 0.28 as keeps_name
  from drawn
), chosen as (
  select *, case
      when role = 1 and kind = 'jr_sr' then skewed(h, 'first', firsts, 1.25)
      when role = 1 and kind = 'twins'
        then (skewed(h, 'first', firsts, 1.25) + 1 + below(p, 'twin', firsts - 1)) % firsts
      else skewed(p, 'first', firsts, 1.25) end as first_idx,
    if(u(p, 'middle') < 0.16, below(p, 'middle name', firsts), null) as middle_idx,
    if(keeps_name, skewed(p, 'own', last, 1.7), null) as own_idx,
    if(sex = 'f' and not two_names and not keeps_name
        and u(p, 'married') < if(role = 1 and kind = 'family', 0.5, 0.06),
      skewed(p, 'maiden', last, 1.7), null) as maiden_idx
  from indexed
)
select c.p, c.h, c.role, c.kind, c.size, c.country, c.culture, c.sex, c.two_names,
  c.has_inbox, c.has_landline, c.shares_device, c.family_mail,
  f.value as first_name, f.mail as first_mail, n.forms as nicknames, n.form as nickname,
  nullif(m.value, f.value) as middle_name, coalesce(o.mail, c.family_mail) as last_mail,
  if(c.gendered and c.sex = 'f',
    regexp_replace(coalesce(o.value, c.family_name), '(s|c|dz)ki$', '\1ka'),
    coalesce(o.value, c.family_name)) as last_name,
  if(c.gendered, regexp_replace(d.value, '(s|c|dz)ki$', '\1ka'), d.value) as maiden_name,
  case when c.kind = 'jr_sr' and c.role < 2 then if(c.role = 0, 'Sr.', 'Jr.') end as suffix
from chosen c
join pool f on f.culture = c.culture and f.kind = c.sex and f.idx = c.first_idx
left join pool m on m.culture = c.culture and m.kind = c.sex and m.idx = c.middle_idx
left join pool o on o.culture = c.culture and o.kind = 'l' and o.idx = c.own_idx
left join pool d on d.culture = c.culture and d.kind = 'l' and d.idx = c.maiden_idx
left join nickname n on n.name = f.value and n.idx = 0;

create table person as
with born as (
  select *, date '1946-01-01'
      + if(kind = 'jr_sr', below(h, 'birth', 9000), below(h, 'birth', 20000))::int as head_birth,
    (8000 + below(p, 'generation', 4500))::int as generation
  from person_name
), dated as (
  select * exclude (head_birth, generation), case
      when role = 0 or (role = 1 and kind = 'twins') then head_birth
      when kind = 'jr_sr' and role = 1 then head_birth + 9500 + below(p, 'jr', 2500)::int
      when role = 1 or kind = 'twins' then head_birth + (below(p, 'age gap', 4000) - 2000)::int
      when head_birth + generation < date '2008-01-01' then head_birth + generation
      else head_birth - generation end as birth
  from born
), numbered as (
  select d.*, c.mobiles, c.calling_code, c.trunk, u(p, 'new number') < 0.12 as changed_number
  from dated d join country c using (country)
), ranged as (
  select n.*, a.prefix, b.prefix as former_prefix, subscriber(p, a.digits) as body,
    subscriber(p + getvariable('people'), b.digits) as former_body
  from numbered n
  join mobile_range a on a.country = n.country and a.idx = below(n.p, 'range', n.mobiles)
  join mobile_range b on b.country = n.country and b.idx = below(n.p, 'former range', n.mobiles)
), given_up as (
  select p, country, h, former_prefix, former_body,
    row_number() over (partition by country order by hash(p, 'up'), p) as turn
  from ranged where changed_number and u(p, 'given up') < 0.35
), taken as (
  select p, country, h, row_number() over (partition by country order by hash(p, 'take'), p) as turn
  from ranged where not changed_number and u(p, 'recycled') < 0.05
), recycled as (
  select t.p, g.p as giver, g.former_prefix, g.former_body
  from taken t join given_up g using (country, turn) where t.h <> g.h
)
select r.p, r.h, r.role, r.kind, r.size, r.country, r.culture, r.sex, r.two_names,
  r.has_inbox, r.has_landline, r.shares_device, r.family_mail, r.first_name, r.first_mail,
  r.nicknames, r.nickname, r.middle_name, r.last_name, r.last_mail, r.maiden_name, r.suffix, r.birth,
  r.calling_code, r.trunk, r.changed_number, r.former_prefix, r.former_body,
  coalesce(t.former_prefix, r.prefix) as mobile_prefix,
  coalesce(t.former_body, r.body) as mobile_body,
  t.p is not null as took_number, g.giver is not null as gave_number,
  -- Six in a hundred bring most of the money; a third of those drift away.
  u(r.p, 'worth') < 0.06 as high_value,
  u(r.p, 'drift') < if(u(r.p, 'worth') < 0.06, 0.35, 0.15) as drifting
from ranged r
left join recycled t on t.p = r.p
left join recycled g on g.giver = r.p;
