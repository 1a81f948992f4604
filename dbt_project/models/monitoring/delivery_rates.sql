with

counted as (

    select
        activation,
        destination,
        cast(attempted_at as date) as delivery_date,
        count(*) as receipts,
        count(*) filter (where outcome = 'delivered') as delivered,
        count(*) filter (where outcome = 'withheld') as withheld,
        count(*) filter (where outcome = 'dead') as dead,
        cast(coalesce(sum(attempts), 0) as bigint) as attempts

    from {{ source('dlo', 'system_receipt') }}
    where not _is_deleted
    group by activation, destination, cast(attempted_at as date)

)

select
    *,
    cast(delivered / nullif(delivered + dead, 0) as decimal(7, 6)) as delivery_rate

from counted
