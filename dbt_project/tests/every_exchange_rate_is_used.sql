-- Rates that finance sent and nobody may use: of nothing or less, or a second spelling of a
-- currency on one day.
{{ config(severity='warn', meta={'dagster': {'ref': {'name': 'exchange_rate'}}}) }}

select
    sent._record_id,
    sent.rate_to_eur

from {{ source('dlo', 'finance_exchange_rate') }} as sent
left join {{ ref('exchange_rate') }} as used
    on
        sent.rate_date = used.rate_date
        and upper(trim(sent.currency_code)) = used.currency_code
        and sent.rate_to_eur = used.rate_to_eur
where
    not sent._is_deleted
    and upper(trim(sent.currency_code)) <> 'EUR'
    and used.rate_date is null
