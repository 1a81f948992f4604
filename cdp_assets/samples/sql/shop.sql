-- Shopify: customers and orders as pages of the Admin API.
create table customer_total as
select o.customer as rid, count(*) as orders, sum(t.gross - t.discount)::decimal(12, 2) as spent
from shop_order o join shop_total t using (rid) where o.customer is not null
  and o.fate <> 'cancelled' group by o.customer;
create table customer_version as from versions('customer', 'customer', false);

create view out_shop_customer as
select v.export as _export, v.seq as _seq, customer_id(n.rid) as id,
  if(u(n.r, 'mail case') < 0.03, upper(n.email), n.email) as email,
  case when n.name_swapped then n.last_name when u(n.r, 'small letters') < 0.06 then lower(n.first_name)
    else n.first_name end as first_name,
  case when n.name_swapped then n.first_name when u(n.r, 'small letters') < 0.06 then lower(n.last_name)
    else n.last_name end as last_name,
  if(v.before, null, n.phone) as phone, if(u(n.r, 'disabled') < 0.02, 'disabled', 'enabled') as state,
  u(n.r, 'verified') < 0.9 as verified_email, y.currency, coalesce(t.orders, 0) as orders_count,
  coalesce(t.spent, 0)::varchar as total_spent,
  concat_ws(', ', if(n.high_value, 'VIP', null), if(u(n.r, 'tag') < 0.2, 'newsletter', null)) as tags,
  if(u(n.r, 'note') < 0.03, 'Called about delivery, leave with the neighbour', null) as note,
  false as tax_exempt,
  {'state': case when u(n.p, 'consent') < 0.62 then 'subscribed' when u(n.p, 'consent') < 0.8
    then 'unsubscribed'
      when u(n.p, 'consent') < 0.86 then 'pending' else 'not_subscribed' end,
    'opt_in_level': if(n.country in ('DE', 'AT', 'CH'), 'confirmed_opt_in', 'single_opt_in'),
    'consent_updated_at': shop_time(n.created_s + 60)} as email_marketing_consent,
  if(not n.home_is_known, null, {
    'first_name': n.first_name, 'last_name': n.last_name,
    'address1': street_line(n.street, n.house, n.number_first),
    'address2': n.flat, 'city': n.city, 'province': n.region, 'zip': n.postcode,
    'country': y.names[1], 'country_code': n.country, 'phone': n.phone,
    'default': true}) as default_address,
  shop_time(n.created_s) as created_at, shop_time(v.at_s) as updated_at
from customer_version v join customer n using (rid) join country y on y.country = n.country
left join customer_total t using (rid);

create table shop_order_version as from versions('shop_order', 'shop order', false);
create view out_shop_order as
with buyer as (
  select * from customer union all select * from guest
), facts as (
  select v.export, v.seq, v.before, v.at_s, o.*, t.gross, t.discount, t.line_items, t.refunded, t.returns,
    if(o.channel = 'pos' or t.gross - t.discount > 80 * o.rate, 0,
      money(4.9 * o.rate, o.digits))::decimal(12, 2) as shipping
  from shop_order_version v join shop_order o using (rid) join shop_total t using (rid)
)
select f.export as _export, f.seq as _seq, order_id(f.rid) as id, '#' || (1000 + f.rid) as name,
  1000 + f.rid as order_number, n.email, if(u(f.i, 'phone given') < 0.5 or f.guest is not null, n.phone,
    null) as phone,
  shop_time(f.created_s) as created_at, shop_time(f.at_s) as updated_at,
  shop_time(f.created_s + 5) as processed_at,
  if(f.fate = 'cancelled' and not f.before, shop_time(f.at_s), null) as cancelled_at,
  if(f.fate = 'cancelled' and not f.before, one_of(f.i, 'reason', ['customer', 'fraud', 'inventory']),
    null) as cancel_reason,
  f.currency, (f.gross - f.discount + f.shipping)::varchar as total_price,
  (f.gross - f.discount)::varchar as subtotal_price,
  money((f.gross - f.discount) * 19 / 119, f.digits)::varchar as total_tax,
  f.discount::varchar as total_discounts, f.shipping::varchar as total_shipping_price,
  case when f.before then 'pending' when f.fate = 'cancelled' then 'voided'
    else f.fate end as financial_status,
  case when f.before or f.fate in ('cancelled', 'pending') or f.created_s > getvariable('as_of') - 86400 * 2
    then null
    else 'fulfilled' end as fulfillment_status,
  f.channel as source_name, if(f.channel = 'web', f.cart, null) as cart_token, f.test,
  if(f.guest is not null, null, {'id': customer_id(f.customer), 'email': n.email,
    'first_name': n.first_name, 'last_name': n.last_name}) as customer,
  {'first_name': n.first_name, 'last_name': n.last_name,
    'address1': street_line(n.street, n.house, n.number_first), 'city': n.city, 'zip': n.postcode,
    'country_code': n.country, 'phone': n.phone}
    as billing_address,
  {'first_name': n.first_name, 'last_name': n.last_name,
    'address1': street_line(n.street, n.house, n.number_first), 'address2': n.flat, 'city': n.city,
    'province': n.region,
    'zip': n.postcode, 'country': y.names[1], 'country_code': n.country,
    'phone': n.phone} as shipping_address,
  f.line_items,
  case when f.before or f.returns is null then []
    else [{'id': 900000000000 + f.rid, 'created_at': shop_time(f.at_s), 'note': 'Return',
      'refund_line_items': f.returns,
      'transactions': [{'id': 7000000000000 + f.rid, 'kind': 'refund', 'amount': f.refunded::varchar,
        'currency': f.currency}]}]
    end as refunds
from facts f
join buyer n on n.r = f.r
join country y on y.country = n.country;
