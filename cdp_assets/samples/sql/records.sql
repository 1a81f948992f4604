-- Every person record of every system, and what each system got wrong about the person.
-- r = 64 p + 4 system + copy, so a record's draws never depend on the others.
create table presence as
with first_record as (
  select p.p, q.stream, q.number, 0 as copy from person p, quality q
  where u(p.p * 8 + q.number, 'present') < q.share
), nowhere as (
  -- Everybody is known somewhere, or the truth would count people without a record.
  select p, if(u(p, 'only') < 0.5, 'shop_customer', 'email_subscriber') as stream
  from (select p from person except select p from first_record)
), someone as (
  select * from first_record
  union all select n.p, n.stream, q.number, 0 from nowhere n join quality q using (stream)
), another as (
  select s.p, s.stream, s.number, 1 as copy
  from someone s join quality q using (stream)
  left join job j on j.p = if(s.stream = 'crm_contact', s.p, null) and j.turn = 1
  where u(s.p * 8 + s.number, 'twice') < if(j.p is null, q.second, 0.8)
)
select *, p * 64 + number * 4 + copy as r from (
  from someone union all from another
  union all
  select p, stream, number, 2 from another
  where stream = 'shop_guest' and u(p, 'third order') < 0.4
);

create table record as
with facts as (
  select n.r, n.copy, n.stream, q.* exclude (stream, number, share, second),
    s.* exclude (p, h, role), s.p, s.h, s.role,
    m1.mailbox as mb1, m1.domain as dom1, m2.mailbox as mb2, m2.domain as dom2,
    m5.mailbox as mb5, m5.domain as dom5,
    if(n.stream = 'crm_contact' and n.copy = 1 and j1.p is not null, j1.c, j0.c) as c,
    n.stream = 'crm_contact' and j1.p is not null as job_changer,
    n.stream = 'crm_contact' and n.copy = 1 and j1.p is not null as former_job,
    getvariable('as_of') - 86400 * 3 - floor(86400 * 2100 * pow(u(n.r, 'created'),
      1.3))::bigint as created_s,
    u(n.r, 'mail') as mail_draw, u(n.r, 'phone') as phone_draw
  from presence n join quality q using (stream) join person s on s.p = n.p
  left join mailbox m1 on m1.p = n.p and m1.slot = 1
  left join mailbox m2 on m2.p = n.p and m2.slot = 2
  left join mailbox m5 on m5.p = s.h and m5.slot = 5
  left join job j0 on j0.p = n.p and j0.turn = 0
  left join job j1 on j1.p = n.p and j1.turn = 1
), worked as (
  select f.*, w.mailbox as mb3, w.domain as dom3,
    case when u(r, 'junk mail') < junk_mail / sqrt(getvariable('people')) * 0.9 then 'junk'
      when mail_draw < mail_family and mb5 is not null then 'family'
      when mail_draw < mail_family then 'personal'
      when mail_draw < mail_family + mail_work then if(w.p is null, 'personal', 'work')
      when mail_draw < mail_family + mail_work + mail_second then if(mb2 is null, 'personal', 'second')
      when mail_draw < mail_family + mail_work + mail_second + mail_personal then 'personal'
      else 'none' end as mail_kind,
    case when u(r, 'junk phone') < junk_phone then 'junk'
      when phone_draw < phone_landline then if(has_landline, 'landline', 'mobile')
      when phone_draw < phone_landline + phone_mobile then
        if(changed_number and u(r, 'former number') < phone_former, 'former', 'mobile')
      else 'none' end as phone_kind,
    u(r, 'moved') < home_former as former_home,
    u(r, 'home known') < home_known as home_is_known,
    list_position(list_transform(formats, lambda x: u(r, 'format') < x), true) - 1 as style,
    case when u(r, 'name') < name_nickname and nicknames is not null then 'nickname'
      when u(r, 'name') between 0.3 and 0.3 + name_initial then 'initial'
      when u(r, 'name') between 0.4 and 0.4 + name_missing then 'missing'
      when u(r, 'name') between 0.5 and 0.5 + name_typo / 2 then 'typo first'
      when u(r, 'name') between 0.6 and 0.6 + name_typo / 2 then 'typo last'
      when u(r, 'name') between 0.7 and 0.7 + junk_text then 'junk'
      else 'right' end as name_kind,
    case when birth_known <= u(r, 'birth') then null
      when u(r, 'birth fault') < birth_swapped and day(birth) <= 12 and day(birth) <> month(birth)
        then make_date(year(birth), day(birth), month(birth))
      when u(r, 'birth fault') > 1 - birth_wrong
        then if(u(r, 'birth junk') < 0.4, date '1900-01-01', birth + (1 + below(r, 'birth by', 25))::int)
      else birth end as birth_date
  from facts f
  left join mailbox w on w.p = f.p and w.slot = if(f.former_job, 4, 3)
), placed as (
  select w.*, h.* exclude (home, country, landline, area_code),
    coalesce(l.landline, h.landline) as home_number,
    coalesce(l.area_code, h.area_code) as home_area,
    o.home is not null and former_home as at_former_home
  from worked w
  left join home o on o.home = 2 * w.p + 1
  join home h on h.home = if(o.home is not null and w.former_home, o.home, 2 * w.h)
  join home l on l.home = 2 * w.h
), written as (
  select *,
    case mail_kind when 'personal' then mb1 when 'second' then mb2 when 'work' then mb3
      when 'family' then mb5 end as mailbox,
    case mail_kind when 'personal' then dom1 when 'second' then dom2 when 'work' then dom3
      when 'family' then dom5 end as mail_domain,
    case phone_kind when 'mobile' then mobile_prefix when 'former' then former_prefix
      when 'landline' then home_area end as phone_prefix,
    case phone_kind when 'mobile' then mobile_body when 'former' then former_body
      when 'landline' then home_number end as phone_body,
    maiden_name is not null and u(r, 'maiden') < name_maiden as under_maiden_name,
    two_names and contains(last_name, ' ') and u(r, 'one surname') < name_one_surname as one_surname
  from placed
  left join nickname k on k.name = if(name_kind = 'nickname', first_name, null)
    and k.idx = skewed(r, 'nick', nicknames, 1.8)
), spelled as (
  select *,
    case name_kind when 'nickname' then form
      when 'initial' then first_name[1] || if(u(r, 'dot') < 0.5, '.', '')
      when 'typo first' then typo(first_name, r, 'first')
      when 'junk' then one_of(r, 'junk first', ['n/a', 'unknown', '.', 'test', '-'])
      when 'missing' then null else first_name end as first_written,
    case when under_maiden_name then maiden_name
      when one_surname then split_part(last_name, ' ', 1)
      when name_kind = 'typo last' then typo(last_name, r, 'last')
      when name_kind = 'junk' and u(r, 'junk both') < 0.4
        then one_of(r, 'junk last', ['n/a', 'unknown', 'x'])
      else last_name end as last_written,
    mail_domain = 'gmail.com' and mail_kind in ('personal', 'second')
      and u(r, 'gmail') < if(copy = 1, 0.9, 0.25) as gmail_variant,
    mailbox is not null and u(r, 'mail typo') < 0.012 as mail_typo,
    u(r, 'plain') < name_plain as plain_letters
  from written
)
select r, p, h, stream, copy, country, sex, c, former_job, job_changer,
  if(plain_letters, plain(first_written), first_written) as first_name,
  if(plain_letters, plain(last_written), last_written) as last_name,
  middle_name, suffix, birth_date,
  case
    when mail_kind = 'junk' then one_of(r, 'junk address',
      ['test@test.com', 'none@none.com', 'noemail@example.com',
      'a@a.com', 'n/a', 'unknown@unknown.com'])
    when mailbox is null then null
    when gmail_variant then case below(r, 'variant', 4)
      when 0 then mailbox || '+shop@gmail.com'
      when 1 then mailbox || '@googlemail.com'
      when 2 then if(contains(mailbox, '.'), replace(mailbox, '.', ''), mailbox[:3] || '.' || mailbox[4:])
        || '@gmail.com'
      else mailbox || '+' || one_of(r, 'tag', ['news', 'orders', 'promo']) || '@gmail.com' end
    when mail_typo then if(u(r, 'typo side') < 0.5, typo(mailbox, r, 'mailbox') || '@' || mail_domain,
      mailbox || '@' || replace(replace(mail_domain, '.com', '.con'), 'gmail', 'gmial'))
    else mailbox || '@' || mail_domain end as email,
  case when phone_kind = 'junk'
      then one_of(r, 'junk number', ['000-0000', '0', '1234567', '-', 'n/a', '+49 000 0000000'])
    when phone_kind <> 'none' then phone(style, calling_code, trunk, phone_prefix, phone_body)
    end as phone,
  if(phone_kind = 'junk' or phone_kind = 'none', null, '+' || calling_code || phone_prefix
    || phone_body) as e164,
  phone_kind, mail_kind, style, calling_code, trunk, mobile_prefix, mobile_body, home_area, home_number,
  has_landline,
  home_is_known, number_first, house, flat, region,
  case when u(r, 'home typo') < home_typo then typo(street, r, 'street')
    when u(r, 'short') < 0.25 then short_street else street end as street,
  if(u(r, 'city name') < 0.15, other_city,
    if(plain_letters, plain(city), city)) as city,
  if(u(r, 'zip typo') < 0.01, typo(postcode, r, 'zip'), postcode) as postcode,
  name_kind, under_maiden_name, one_surname, plain_letters, gmail_variant, mail_typo,
  birth_date is not null and birth_date <> birth and month(birth_date) = day(birth)
    and day(birth_date) = month(birth) as date_swapped,
  at_former_home and home_is_known as at_former_home,
  u(r, 'name order') < name_swapped as name_swapped,
  kind, role, size, high_value, drifting,
  phone_kind = 'former' and gave_number or phone_kind = 'mobile' and took_number as has_recycled_number,
  created_s, created_s + 3600
    + floor((getvariable('as_of') - created_s - 7200) * pow(u(r, 'modified'), 0.7))::bigint as modified_s
from spelled order by r;
