-- Exchange rates: one fixing a weekday for two years, as EUR for one unit.
create table rate as
with day as (
  select t.d, (date '1970-01-01' + (getvariable('as_of') // 86400 - 1 - t.d)::int) as rate_date
    from range(740) t(d)
), weekday as (
  select *, getvariable('as_of') // 86400 - 1 - d as day from day
  where isodow(rate_date) < 6 and strftime(rate_date, '%m-%d') not in ('01-01', '12-25', '12-26', '05-01')
), walked as (
  -- Whole steps of 1/20000: sums of integers do not depend on their order.
  select w.*, q.currency, q.rate, q.ord,
    sum(below(w.day * 16 + q.ord, 'step', 61) - 30) over (partition by q.currency order by w.day) as steps
  from weekday w, (select *, row_number() over (order by currency) as ord from currency) q
)
select row_number() over (order by day, currency) as rid, day, rate_date, currency,
  if(currency = 'EUR', 1, round((1 / rate) * (1 + greatest(-1800, least(1800, steps)) / 20000.0),
    8))::decimal(18, 8) as rate_to_eur,
  day * 86400 + 54000 as created_s, day * 86400 + 54000 + below(day * 16 + ord, 'published',
    900) as modified_s
from walked order by rid;
-- A few fixings were wrong by a hundredth and corrected two hours later.
create table rate_sent as
with fixing as (
  select rid, 0 as fixed, currency <> 'EUR' and u(rid, 'corrected') < 0.004 as wrong from rate
), told as (
  from fixing union all select rid, 1, false from fixing where wrong
)
select t.*, modified_s + fixed * 7200 as at_s, export_of(modified_s) as export,
  row_number() over (partition by export_of(modified_s) order by rid, fixed) as seq
from told t join rate using (rid);
create view out_finance_exchange_rate as
select export as _export, seq as _seq, rate_date, currency as currency_code,
  if(wrong, round(rate_to_eur * 1.01, 8), rate_to_eur)::decimal(18, 8) as rate_to_eur,
  iso(at_s) as published_at
from rate_sent join rate using (rid);
