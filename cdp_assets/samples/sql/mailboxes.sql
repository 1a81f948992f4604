-- Every mailbox there is, each held by one person or one household.
-- slot: 1 personal, 2 second, 3 work, 4 former work, 5 the family's (p is the household).
create table mailbox as
with source as (
  select p, country, replace(first_mail, ' ', '') as f, replace(last_mail, ' ', '') as l,
    year(birth) % 100 as yy, nickname, 1 as slot
  from person
  union all
  select p, country, replace(first_mail, ' ', ''), replace(last_mail, ' ', ''),
    year(birth) % 100, nickname, 2
  from person where u(p, 'second mailbox') < 0.55
), private as (
  select s.p, s.slot, case
      when u(p * 2 + slot, 'form') < 0.30 then f || '.' || l
      when u(p * 2 + slot, 'form') < 0.44 then f || l
      when u(p * 2 + slot, 'form') < 0.54 then f[1] || '.' || l
      when u(p * 2 + slot, 'form') < 0.62 then l || '.' || f
      when u(p * 2 + slot, 'form') < 0.80 then f || '.' || l || lpad(yy::varchar, 2, '0')
      when u(p * 2 + slot, 'form') < 0.90 then f || '_' || (1 + below(p, 'tail', 999))
      else coalesce(lower(plain(nickname)), f[1:4]) || l[1] || (10 + below(p, 'tail', 9989))
    end as mailbox,
    c.providers[1 + (skewed(p, 'provider', len(c.providers), 1.5)
      + if(slot = 2, 1 + below(p, 'other provider', len(c.providers) - 1), 0)) % len(c.providers)] as domain
  from source s join country c using (country)
), work as (
  select j.p, 3 + j.turn as slot, if(u(j.c, 'mail form') < 0.7,
      replace(p.first_mail, ' ', '') || '.' || replace(p.last_mail, ' ', ''),
      p.first_mail[1] || replace(p.last_mail, ' ', '')) as mailbox, j.domain
  from job j join person p using (p)
), family as (
  select h.h, 5, if(u(h, 'inbox form') < 0.6,
      c.family || '.' || replace(h.family_mail, ' ', ''),
      replace(h.family_mail, ' ', '') || (10 + below(h, 'inbox tail', 89))),
    mostly(h, 'inbox provider', c.providers, 1.5)
  from household h join country c using (country) where h.has_inbox
), every as (
  select * from private union all select * from work union all select * from family
), counted as (
  -- Gmail ignores dots, so no two people may differ by dots alone.
  select *, row_number() over (
    partition by if(domain = 'gmail.com', replace(mailbox, '.', ''), mailbox), domain
    order by slot, p) as twin
  from every
)
select p, slot, domain,
  mailbox || if(twin > 1, lower(to_base(p * 8 + slot, 36)), '') as mailbox
from counted;
