"""CronJobs: a Job at each time of a schedule.

`plan` (what became of its Jobs, which ones are too many, whether one is due) is pure; `controller` carries it
out.
"""
