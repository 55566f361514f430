"""What containers and the node use of CPU and memory.

`reading` reads cgroups where containers have some of their own, else `/proc`; `meter` makes rates of it, and
`documents` (pure) what the kubelet answers at `/stats/summary` and `/metrics/resource`. Nothing is read
unless somebody asks.
"""
