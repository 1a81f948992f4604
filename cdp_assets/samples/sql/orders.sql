-- Shop orders and their lines. o is the order's place in time and gives its key.
create table shop_order as
with bought as (
  -- Most buy once or twice, the high-value people again and again.
  select r, p, rid as customer, null::bigint as guest, country, high_value, drifting, created_s as since,
    unnest(range(case when u(r, 'buys') < if(high_value, 0.05, 0.32) then 0
      else least(40, 1 + floor(-ln(1 - u(r, 'orders')) * if(high_value, 6, 1.1)))::bigint end)) as j
  from customer
  union all
  select r, p, null, rid, country, high_value, false, getvariable('as_of') - 86400 * 712, 0 from guest
), numbered as (
  -- Rates reach back two years; no order is older.
  select r * 64 + j as i, *, greatest(since + 600, getvariable('as_of') - 86400 * 714) as lo,
    getvariable('as_of') - 10800 - if(drifting, 86400 * 125, 0) as hi
  from bought
), timed as (
  select *, lo + floor(greatest(hi - lo, 3600) * u(i, 'ordered'))::bigint as created_s from numbered
), stated as (
  select t.*, if(u(t.r, 'pays in euro') < 0.04, 'EUR', c.currency) as currency,
    case when u(i, 'fate') < 0.03 then 'cancelled'
      when created_s > getvariable('as_of') - 86400 * 21 then if(u(i, 'fate') > 0.9, 'pending', 'paid')
      when u(i, 'fate') < 0.065 then 'refunded' when u(i, 'fate') < 0.145 then 'partially_refunded'
      else 'paid' end as fate,
    guest is null and u(i, 'staff test') < 0.004 as test
  from timed t join country c using (country)
)
select row_number() over (order by s.created_s, s.i) as rid, s.* exclude (lo, hi, since, j),
  y.rate, y.digits,
  least(created_s + 1800 + case when fate = 'paid' then below(i, 'shipped', 86400 * 5)
    when fate in ('pending', 'cancelled') then below(i, 'decided', 7200)
    else below(i, 'refunded', 86400 * 18) end, getvariable('as_of') - 60) as modified_s,
  one_of(i, 'channel', ['web', 'web', 'web', 'pos', 'instagram']) as channel,
  uuid_of(i, 'cart') as cart
from stated s join currency y using (currency) order by rid;

create table shop_line as
with placed as (
  select rid, i, rate, digits, fate,
    unnest(range(1 + floor(4 * pow(u(i, 'lines'), 2.2))::bigint)) as n,
    u(i, 'code') < 0.1 as has_code, high_value
  from shop_order
), priced as (
  select rid, i, n, fate, i * 8 + n as line, a.idx as product, a.name, a.brand, a.category,
    1 + skewed(i * 8 + n, 'quantity', 4, 3.5) as quantity,
    money(a.price * rate, digits) as price, has_code, digits
  from placed p join article a on a.idx = skewed(p.i * 8 + p.n, 'article', 200, 1.3)
)
select *, if(has_code, money(price * quantity * 0.1, digits), 0)::decimal(12, 2) as discount,
  case when fate = 'refunded' then quantity when fate = 'partially_refunded' and n = 0 then 1
    else 0 end as returned,
  (13000000000001 + row_number() over (order by rid, n))::bigint as line_id
from priced order by rid, n;

create table shop_total as
select rid, sum(price * quantity)::decimal(12, 2) as gross, sum(discount)::decimal(12, 2) as discount,
  list({'id': line_id, 'product_id': 8000000000000 + product, 'variant_id': 45000000000000 + product,
    'sku': 'OUT-' || lpad(product::varchar, 4, '0'), 'title': name, 'vendor': brand,
    'product_type': category,
    'quantity': quantity, 'price': price::varchar,
    'total_discount': discount::varchar} order by n) as line_items,
  sum(((price * quantity - discount) * returned / quantity)::decimal(12, 2))::decimal(12, 2) as refunded,
  list({'line_item_id': line_id, 'quantity': returned,
    'subtotal': ((price * quantity - discount) * returned / quantity)::decimal(12, 2)::varchar} order by n)
    filter (returned > 0) as returns
from shop_line group by rid order by rid;
