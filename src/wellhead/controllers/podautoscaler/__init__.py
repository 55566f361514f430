"""HorizontalPodAutoscalers: as many replicas as what the pods use asks for.

`proposal` (how many replicas one metric asks for) and `limits` (how fast and how far that may go) are pure;
`sources` fetches metrics, `scales` the target's scale; `controller` looks every 15 seconds.
"""
