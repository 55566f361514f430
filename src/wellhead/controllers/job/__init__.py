"""Jobs: pods that run until enough of them have succeeded.

`survey` (what there is, and whether the Job is done for), `management` (which pods to make or to end) and
`tracking` (counting each ended pod exactly once) are pure; `controller` carries them out. `expiry` deletes
finished Jobs after their time.
"""
