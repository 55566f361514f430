"""EndpointSlices: where a Service's packets may go.

`endpoint` (a pod as an endpoint), `ports` (named target ports, per pod), `slices` (which slices change, as
few as possible), `hints` (traffic distribution) and `desired` (a Service's slices) are pure; `controller`
serves Services with a selector, `mirroring` user-made Endpoints of Services without one.
"""
