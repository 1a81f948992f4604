-- Zendesk: users (end users and a few agents) and their tickets.
create table requester_version as from versions('requester', 'requester', false);
create table customer_of as select p, min(rid) as customer from customer group by p;
create table agent as
select a as rid, 360000000000 + a as id from range(greatest(6, getvariable('people') // 5000)) t(a);
create view out_support_user as
select v.export as _export, v.seq as _seq, user_id(n.rid) as id,
  case
    when n.name_kind = 'missing' then coalesce(split_part(n.email, '@', 1), n.last_name)
    when n.name_swapped and u(n.r, 'comma') < 0.5 then n.last_name || ', ' || n.first_name
    when n.name_swapped then n.last_name || ' ' || n.first_name
    else concat_ws(' ', n.first_name, n.last_name, if(u(n.r, 'suffix') < 0.5, n.suffix, null)) end as name,
  if(v.before and u(n.r, 'mail later') < 0.2, null, n.email) as email, if(v.before, null, n.phone) as phone,
  'end-user' as role,
  if(u(n.r, 'linked') < 0.3, customer_id(c.customer)::varchar, null) as external_id,
  y.locale, y.time_zone, null::bigint as organization_id, false as suspended,
  u(n.r, 'verified') < 0.8 as verified,
  if(n.high_value, ['vip'], []::varchar[]) as tags,
  {'language': y.locale[:2], 'preferred_channel': one_of(n.r, 'channel',
    ['email', 'phone', 'chat'])} as user_fields,
  iso(n.created_s) as created_at, iso(v.at_s) as updated_at
from requester_version v join requester n using (rid) join country y on y.country = n.country
left join customer_of c on c.p = n.p
union all
select 0, (select count(*) from requester_version where export = 0) + 1 + rid, id, 'Agent '
  || ['Kim', 'Alex', 'Sascha', 'Robin', 'Dana', 'Toni'][1 + rid % 6] || ' ' || (1 + rid // 6),
  'agent' || rid || '@support.example', null, if(rid = 0, 'admin', 'agent'), null, 'en-GB', 'London', null,
  false, true, [],
  {'language': 'en', 'preferred_channel': 'email'},
  iso(getvariable('as_of') - 86400 * 900), iso(getvariable('as_of') - 86400 * 300) from agent;

create view user_version as
select export from requester_version union all select 0 from agent;

create table ticket as
with asked as (
  select n.r, n.rid as requester, n.p, n.created_s as since, n.high_value,
    unnest(range(case when u(n.r, 'tickets') < 0.25 then 0
      else 1 + floor(-ln(1 - u(n.r, 'ticket count')) * 1.1 * if(n.high_value, 2, 1))::bigint end)) as t
  from requester n
), opened as (
  select r * 64 + t as i, *, greatest(since, getvariable('as_of') - 86400 * 900) as lo from asked
    where t < 60
), timed as (
  select *, lo + floor((getvariable('as_of') - 7200 - lo) * pow(u(i, 'opened'), 0.8))::bigint as created_s
    from opened
), stated as (
  select *, case
      when created_s > getvariable('as_of') - 86400 * 45 and u(i, 'state') < if(high_value, 0.75, 0.5)
        then one_of(i, 'open state', ['new', 'open', 'pending', 'hold'])
      when created_s > getvariable('as_of') - 86400 * 200 and u(i, 'state') < 0.04 then 'open'
      when u(i, 'state') < 0.3 then 'solved' else 'closed' end as status
  from timed
)
select row_number() over (order by created_s, i) as rid, *,
  least(created_s + 600 + below(i, 'answered', 86400 * 9), getvariable('as_of') - 60) as modified_s
from stated order by rid;
create table ticket_version as from versions('ticket', 'ticket', false);
create view out_support_ticket as
select v.export as _export, v.seq as _seq, 100000 + t.rid as id, user_id(t.requester) as requester_id,
  if(v.before, null, 360000000000 + below(t.i, 'agent', 6)) as assignee_id, null::bigint as organization_id,
  one_of(t.i, 'subject', ['Where is my order?', 'Return of a jacket', 'Invoice is wrong',
    'Zip broke after a week', 'Change my address',
    'Cannot log in', 'Question about sizes', 'Refund not received']) as subject,
  one_of(t.i, 'text', ['Hello, I am still waiting.' || chr(10) || 'Please check.', 'See the attached photo.',
    'Could you call me back?',
    'Thanks in advance.']) as description,
  if(v.before, 'new', t.status) as status,
  mostly(t.i, 'priority', ['normal', 'low', 'high', 'urgent'], 1.7) as priority,
  mostly(t.i, 'type', ['question', 'problem', 'incident', 'task'], 1.5) as type,
  {'channel': mostly(t.i, 'via', ['email', 'web', 'api', 'chat'], 1.5),
   'source': {'from': '{}'::json, 'to': '{}'::json, 'rel': null::varchar}} as via,
  [one_of(t.i, 'tag', ['order', 'shipping', 'return', 'invoice', 'account'])] as tags,
  {'score': case when t.status not in ('solved', 'closed') or u(t.i, 'rated') < 0.6 then 'unoffered'
    when u(t.i, 'score') < 0.75 then 'good' else 'bad' end} as satisfaction_rating,
  iso(t.created_s) as created_at, iso(v.at_s) as updated_at
from ticket_version v join ticket t using (rid);
