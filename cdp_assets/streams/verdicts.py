"""Which version of a record stands when a stream was rebuilt beside the kept one."""

from cdp_assets.streams.dlo import table_name
from cdp_assets.streams.spec import StreamSpec

_LOWEST = "timestamp '-infinity'"


def verdicts(spec: StreamSpec) -> str:
    """Table ``rebuilt_verdict(record_id, verdict)``, and ``rebuilt_file(file)``."""
    same = "kept._row_hash = new._row_hash and kept._is_deleted = new._is_deleted"
    if spec.order_field:
        same += " and kept._modified_at is not distinct from new._modified_at"
    if spec.is_arrival_ordered:
        # A landed file's name begins with the time of its arrival.
        is_greater = "new._file > kept._file"
    else:
        is_greater = f"""
            (coalesce(new._modified_at, {_LOWEST}), new._is_deleted, new._row_hash)
            > (coalesce(kept._modified_at, {_LOWEST}), kept._is_deleted, kept._row_hash)
        """
    # An event has no other way to be deleted than by retention, which stands.
    expired = (
        "kept._is_deleted and not new._is_deleted"
        if spec.category == "engagement"
        else "false"
    )
    return f"""
        create or replace temp table rebuilt_file as
        select distinct file from rebuilt.ops.landed_file where outcome = 'loaded';
        create or replace temp table rebuilt_verdict as
        select new._record_id as record_id, case
            when kept._record_id is null
                then case when new._is_deleted then 'deleted' else 'inserted' end
            when {same} then 'unchanged'
            when {expired} then 'superseded'
            when kept._file in (select file from rebuilt_file) or {is_greater} then
                case when new._is_deleted and not kept._is_deleted then 'deleted'
                    else 'updated' end
            else 'superseded'
        end as verdict
        from rebuilt.{table_name(spec)} as new
        left join {table_name(spec)} as kept using (_record_id)
    """
