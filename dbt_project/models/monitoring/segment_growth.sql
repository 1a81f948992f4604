with

moves as (

    select
        segment,
        cast(entered_at as date) as move_date,
        1 as entered,
        0 as left_count

    from {{ source('segments', 'membership') }}

    union all

    select
        segment,
        cast(left_at as date) as move_date,
        0 as entered,
        1 as left_count

    from {{ source('segments', 'membership') }}
    where left_at is not null

),

days as (

    select
        segment,
        move_date,
        cast(sum(entered) as bigint) as entered,
        cast(sum(left_count) as bigint) as left_count

    from moves
    group by segment, move_date

)

select
    segment,
    move_date,
    entered,
    left_count,
    cast(
        sum(entered - left_count) over (partition by segment order by move_date) as bigint
    ) as members

from days
