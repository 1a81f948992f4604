-- Web visits after the Segment spec. A session is one row; its calls are its steps.
create table session as
with buyer as (
  -- Who may log in: the owner of a shop account; visitors without one stay anonymous.
  select p.p, p.h, p.role, p.size, p.high_value, p.drifting, p.country,
    c.customer as rid, p.h as family, p.shares_device as shares
  from person p left join customer_of c on c.p = p.p
), browsing as (
  select *, unnest(range(case when u(p, 'visits') < 0.2 then 0
    else least(60, 1 + floor(-ln(1 - u(p, 'visit count')) * if(high_value, 6, 2.1)))::bigint end)) as k
      from buyer
), planned as (
  select b.*, p * 128 + k as i, 'browse' as kind, null::bigint as shop_order,
    getvariable('as_of') - 5400 - if(drifting, 86400 * 100, 0)
      - floor(86400 * 285 * pow(u(p * 128 + k, 'visit'), 1.4))::bigint as start_s
  from browsing b
  union all
  select b.*, 0, p * 128 + 100, 'abandon', null, getvariable('as_of') - case
      when u(p, 'left since') < 0.12 then 600 + below(p, 'left for', 2600)
      when u(p, 'left since') < 0.55 then 5400 + below(p, 'left for', 86400 * 2)
      when u(p, 'left since') < 0.85 then 86400 * 2 + below(p, 'left for', 86400 * 26)
      else 86400 * 31 + below(p, 'left for', 86400 * 60) end
  from buyer b where u(p, 'abandons') < if(high_value, 0.22, if(rid is null, 0.04, 0.11))
  union all
  select b.*, 0, 256000000000 + o.rid, 'order', o.rid, o.created_s - 510
  from shop_order o join buyer b on b.p = o.p
  where o.channel = 'web' and o.created_s > getvariable('as_of') - 86400 * 380 and u(o.i, 'tracked') < 0.65
), shaped as (
  select *, case kind when 'browse' then 1 + floor(-ln(1 - u(i, 'pages')) * 2.6)::bigint when 'order' then 2
      else 2 + below(i, 'pages', 3) end as pages,
    case kind when 'abandon' then 1 + below(i, 'added', 3) when 'order' then 1
      when 'browse' then (u(i, 'adds') < 0.06)::bigint end as adds,
    -- Half of the visits of account owners are logged in, and every order of theirs.
    if(rid is null, null, case when kind = 'order' and u(i, 'login') < 0.9 then rid
      when kind <> 'order' and u(i, 'login') < 0.5 then rid end) as login
  from planned
)
select row_number() over (order by start_s, i) as rid, i, p, country, kind, shop_order, start_s,
  least(pages, 12) as pages, adds, login,
  case when shares and role < 2 then uuid_of(family, 'family device')
    else uuid_of(p * 2 + (u(i, 'second device') < 0.25)::bigint, 'device') end as device,
  -- Some were logged in before; the others log in half-way through.
  u(i, 'still logged in') < 0.45 as was_logged_in,
  uuid_of(i, 'session') as session_id, uuid_of(i, 'cart') as cart
from shaped where start_s > getvariable('as_of') - 86400 * 390 order by rid;

create table web_event as
with called as (
  select rid as s, n as step, 'page' as kind, 0 as n from session, range(0, 12) t(n) where n < pages
  union all
  select rid, pages, 'identify', 0 from session where login is not null and not was_logged_in
  union all
  select rid, pages + 1 + n, 'Product Added', n from session, range(0, 4) t(n)
  where n < adds and kind <> 'order'
  union all
  select s.rid, s.pages + 1 + l.n, 'Product Added', l.n
  from session s join shop_line l on l.rid = s.shop_order where s.kind = 'order' and l.n < 4
  union all
  select rid, pages + 5, 'Cart Viewed', 0 from session where adds > 0
  union all
  select rid, pages + 6, 'Product Removed', 0 from session where adds > 1 and u(i, 'removes') < 0.3
  union all
  select rid, pages + 7, 'Checkout Started', 0 from session
  where kind = 'order' or (kind = 'abandon' and u(i, 'checks out') < 0.4)
  union all
  select rid, 20, 'Order Completed', 0 from session where kind = 'order'
), timed as (
  select c.*, if(v.was_logged_in or c.step >= v.pages, v.login, null) as login,
    v.start_s + c.step * 25 + below(v.i * 32 + c.step, 'pause', 24) as at_s
  from called c join session v on v.rid = c.s
)
select s * 32 + step as rid, s, step, kind, n, login, at_s
from timed where at_s < getvariable('as_of') - 1;

create table web_event_sent as
select *, row_number() over (
  partition by export order by at_s + below(rid, 'order of arrival', 20), rid, again) as seq
from (
  select rid, at_s, least(3, export_of(at_s) + (u(rid, 'late') < 0.003)::int) as export, 0 as again
    from web_event
  union all
  select rid, at_s, least(3, export_of(at_s) + 1), 1 from web_event where u(rid, 'twice') < 0.006
) order by export, seq;

create view out_web_event as
with facts as (
  select w.export, w.seq, e.rid, e.kind, e.login, e.at_s, e.n, e.step, s.i, s.device, s.session_id,
    s.country, s.kind as visit, s.shop_order,
    coalesce(if(s.kind = 'order', o.cart, null), s.cart) as cart,
    coalesce(l.product, a.idx) as product, coalesce(l.name, a.name) as article,
    coalesce(l.quantity, 1 + (u(s.i * 8 + e.n, 'two') < 0.15)::int) as quantity,
    coalesce(l.price, money(a.price * q.rate, q.digits)) as price,
    coalesce(o.currency, y.currency) as currency, c.email, c.first_name
  from web_event_sent w join web_event e using (rid) join session s on s.rid = e.s
  join country y on y.country = s.country
  left join shop_order o on o.rid = s.shop_order
  left join shop_line l on l.rid = if(e.kind = 'Product Added', s.shop_order, null) and l.n = e.n
  join currency q on q.currency = y.currency
  join article a on a.idx = skewed(s.i * 8 + e.n, 'article', 200, 1.3)
  left join customer c on c.rid = if(e.kind = 'identify', e.login, null)
)
select export as _export, seq as _seq, uuid_of(rid, 'message') as messageId,
  case when kind in ('page', 'identify') then kind else 'track' end as type,
  strftime(make_timestamp(at_s::bigint * 1000000 + below(rid, 'ms', 1000) * 1000),
    '%Y-%m-%dT%H:%M:%S.%gZ') as timestamp,
  device as anonymousId, customer_id(login)::varchar as userId,
  if(kind in ('page', 'identify'), null, kind) as event,
  if(kind = 'page', if(step = 0, 'Home', 'Product'), null) as name,
  case kind when 'page' then to_json({
      'url': 'https://shop.example.com/' || if(step = 0, '', 'products/' || product),
      'path': '/' || if(step = 0, '', 'products/' || product),
      'title': if(step = 0, 'Home', article),
      'referrer': if(step = 0, one_of(i, 'referrer',
        ['https://www.google.com/', '', 'https://www.instagram.com/', 'https://news.example.com/']),
        'https://shop.example.com/')})
    when 'identify' then to_json({'method': 'login'})
    when 'Cart Viewed' then to_json({'cart_id': cart, 'currency': currency})
    when 'Checkout Started' then to_json({'cart_id': cart, 'currency': currency})
    when 'Order Completed' then to_json({'cart_id': cart, 'order_id': order_id(shop_order)::varchar,
      'currency': currency})
    else to_json({'cart_id': cart, 'product_id': (8000000000000 + product)::varchar, 'name': article,
      'quantity': quantity, 'price': price, 'currency': currency}) end as properties,
  {'ip': '203.0.113.' || below(i, 'ip', 255), 'sessionId': session_id,
    'userAgent': one_of(i, 'agent', ['Mozilla/5.0 (iPhone; CPU iPhone OS 18_5)',
      'Mozilla/5.0 (Windows NT 10.0; Win64)', 'Mozilla/5.0 (Linux; Android 15)',
      'Mozilla/5.0 (Macintosh; Intel Mac OS X 15_6)'])} as context,
  if(kind = 'identify', to_json({'email': email, 'firstName': first_name}), null) as traits
from facts;
