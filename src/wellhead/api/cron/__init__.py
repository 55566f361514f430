"""The schedules of CronJobs: `parsing` reads them, `schedule` tells the next time, `zones` knows time zones.

The language is robfig/cron's (v3, its standard parser), which upstream uses: what it reads and refuses, and
what it does with hours that a clock change skips or repeats.
"""
