"""When things run, in UTC."""

from collections.abc import Iterator
from datetime import timedelta

from dagster import DefaultScheduleStatus, RunRequest, ScheduleDefinition, ScheduleEvaluationContext, SkipReason, schedule

from orchestration.partitions import today
from orchestration.resources import Platform

START, END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def schedules() -> list[ScheduleDefinition]:
    """ingest every 15 minutes, daily at 01:15, retention nightly, the restore drill weekly, the executive report monthly."""

    @schedule(job_name="ingest", cron_schedule="*/15 * * * *", default_status=DefaultScheduleStatus.RUNNING)
    def ingest_every_15_min(context: ScheduleEvaluationContext) -> RunRequest:
        return RunRequest(partition_key=today().isoformat())

    @schedule(job_name="daily", cron_schedule="15 1 * * *", default_status=DefaultScheduleStatus.RUNNING)
    def daily_at_0115(context: ScheduleEvaluationContext, platform: Platform) -> Iterator[RunRequest | SkipReason]:
        """Yesterday, and every earlier day that late data re-opened."""
        from orchestration.execute import dirty_days
        from orchestration.planning import RANGE_DAYS, ranges_of

        yesterday = today() - timedelta(days=1)
        yield RunRequest(partition_key=yesterday.isoformat(), run_key=f"daily {yesterday}")
        late = {d for d in dirty_days(platform.lake) if d < yesterday}
        for days in ranges_of(late, gap=RANGE_DAYS):
            last = days.end - timedelta(days=1)
            yield RunRequest(
                job_name="derive", run_key=f"late {yesterday} {days}", tags={START: days.start.isoformat(), END: last.isoformat()}
            )

    return [
        ingest_every_15_min,
        daily_at_0115,
        ScheduleDefinition(job_name="publish", cron_schedule="45 1 * * *", default_status=DefaultScheduleStatus.RUNNING),
        ScheduleDefinition(job_name="retention", cron_schedule="30 2 * * *", default_status=DefaultScheduleStatus.RUNNING),
        ScheduleDefinition(job_name="restore_drill", cron_schedule="0 4 * * 0", default_status=DefaultScheduleStatus.RUNNING),
        ScheduleDefinition(job_name="executive_report", cron_schedule="0 6 1 * *", default_status=DefaultScheduleStatus.RUNNING),
    ]
