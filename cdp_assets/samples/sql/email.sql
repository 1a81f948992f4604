-- E-mail marketing: subscribers, and what became of every mailing sent to them.
create table mailing as
select j as job, 40000 + j as job_id, getvariable('as_of') - 86400 * 7 * j - 86400 * 2 + 36000 as sent_s,
  one_of(j, 'theme', ['Weekly deals', 'New arrivals', 'Trail stories', 'Member offer',
    'Season sale']) as theme
from range(57) t(j);

create table reader as
select rid, r, email, high_value, drifting, created_s,
  -- How much of the post they read; a proxy that opens everything reads all.
  case when u(r, 'proxy') < 0.06 then 0.98 else 0.08 + 0.62 * u(r, 'interest') end as interest,
  u(r, 'hard bounce') < 0.03 as bounces,
  if(u(r, 'leaves') < 0.07, getvariable('as_of') - below(r, 'leaves at', 86400 * 380), null) as left_s,
  0.12 + 0.30 * u(r, 'pace') as pace
from subscription where email is not null;

create table mail_event as
with sent as (
  select r.*, m.job, m.theme, m.sent_s + below(r.r * 64 + m.job, 'batch', 5400) as sent_s,
    r.r * 64 + m.job as i
  from reader r join mailing m on m.sent_s > r.created_s and (r.left_s is null or m.sent_s < r.left_s)
  where u(r.r * 64 + m.job, 'audience') < r.pace * 0.85
    and not (r.bounces and m.sent_s > r.created_s + 86400 * 30 and m.job < 40)
), opened as (
  select *, bounces or u(i, 'soft bounce') < 0.008 as bounced,
    u(i, 'opens') < interest * if(drifting and sent_s > getvariable('as_of') - 86400 * 120, 0.05,
      1.15) as opens,
    sent_s + 60 + floor(172800 * pow(u(i, 'open at'), 3))::bigint as open_s
  from sent
), told as (
  select i, rid, job, 'Sent' as kind, sent_s as at_s, 0 as n from opened
  union all select i, rid, job, 'Bounce', sent_s + 20 + below(i, 'bounce', 600), 1 from opened where bounced
  union all select i, rid, job, 'Open', open_s, 2 from opened where opens and not bounced
  union all select i, rid, job, 'Open', open_s + 3600 + below(i, 'again', 90000), 3 from opened
    where opens and not bounced and u(i, 'opens again') < 0.25
  union all select i, rid, job, 'Click', open_s + 15 + below(i, 'click', 600), 4 from opened
    where opens and not bounced and u(i, 'clicks') < 0.28
  union all select i, rid, job, 'Unsubscribe', open_s + 30 + below(i, 'unsubscribe', 900), 5
    from (select *, row_number() over (partition by r order by sent_s desc) as last from opened)
    where left_s is not null and last = 1 and not bounced
)
select i * 8 + n as rid, i, rid as reader, job, kind, at_s from told where at_s < getvariable('as_of');

-- Delivered at least once: some late, some twice.
create table mail_event_sent as
select *, row_number() over (partition by export order by at_s, rid, again) as seq from (
  select rid, at_s, least(3, export_of(at_s) + (u(rid, 'late') < 0.004)::int) as export, 0 as again
    from mail_event
  union all
  select rid, at_s, least(3, export_of(at_s) + 1), 1 from mail_event where u(rid, 'twice') < 0.005
) order by export, seq;
create view out_email_event as
select s.export as _export, s.seq as _seq, uuid_of(e.rid, 'mail') as EventId, e.kind as EventType,
  iso(e.at_s) as EventDate,
  subscriber_key(e.reader) as SubscriberKey, n.email as EmailAddress, 40000 + e.job as JobId,
  m.theme || ' ' || strftime(instant(m.sent_s), '%Y-%m-%d') as EmailName,
  case m.theme when 'Weekly deals' then 'This week only: up to 30 % off' when 'Member offer'
    then 'Something for you'
    else m.theme end as SubjectLine,
  if(e.kind = 'Click', 'https://shop.example.com/products/' || below(e.i, 'link', 200)
    || '?utm_source=email', null) as Url,
  if(e.kind = 'Bounce', if(r.bounces, 'Hard bounce', 'Soft bounce'), null) as BounceCategory,
  if(e.kind = 'Bounce', if(r.bounces, '550 5.1.1 mailbox unknown', '452 4.2.2 mailbox full'),
    null) as BounceReason,
  false as IsTestSend
from mail_event_sent s join mail_event e using (rid) join reader r on r.rid = e.reader
join subscription n on n.rid = e.reader join mailing m using (job);

create table subscription_version as from versions('subscription', 'subscription', false);
create table subscription_status as
select r.rid, case when r.bounces and u(r.r, 'held') < 0.2 then 'Held' when r.bounces then 'Bounced'
  when r.left_s is not null then 'Unsubscribed' else 'Active' end as status from reader r;
create view out_email_subscriber as
select v.export as _export, v.seq as _seq, subscriber_key(n.rid) as SubscriberKey,
  if(u(n.r, 'mail case') < 0.05, upper(n.email[1]) || n.email[2:], n.email) as EmailAddress,
  if(n.name_kind = 'missing', null, if(n.name_swapped, n.last_name, n.first_name)) as FirstName,
  if(n.name_kind = 'missing' and u(n.r, 'no names') < 0.8, null,
    if(n.name_swapped, n.first_name, n.last_name)) as LastName,
  if(v.before, 'Active', coalesce(s.status, 'Active')) as Status, y.locale as Locale,
  iso(n.created_s) as DateJoined, iso(v.at_s) as DateModified
from subscription_version v join subscription n using (rid) join country y on y.country = n.country
left join subscription_status s using (rid);
