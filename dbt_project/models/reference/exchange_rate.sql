with

source as (

    select * from {{ source('dlo', 'finance_exchange_rate') }}

),

published as (

    select
        rate_date,
        upper(trim(currency_code)) as currency_code,
        rate_to_eur,
        _load_seq

    from source
    -- A rate of nothing would make every amount nothing; the rate before it stands. Of
    -- `usd` and `USD` on one day the one that came last does.
    where not _is_deleted and rate_to_eur > 0
    qualify row_number() over (
        partition by rate_date, upper(trim(currency_code))
        order by _modified_at desc, _load_seq desc, _record_id desc
    ) = 1

),

reporting_currency as (

    -- One euro is one euro on every day, whether or not finance publishes it.
    select
        date '1900-01-01' as rate_date,
        'EUR' as currency_code,
        cast(1 as decimal(18, 8)) as rate_to_eur,
        cast(0 as bigint) as _load_seq

)

select * from published
where currency_code <> 'EUR'
union all
select * from reporting_currency
