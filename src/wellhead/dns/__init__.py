"""The cluster domain's DNS server: names of Services and pods, answered from what the Kubernetes API says.

`objects` says what it needs of API objects, `names` what a name in the domain asks for, `zone` what there is,
and `answers` joins the two: all pure. `wire` makes bytes of answers (dnspython), `responder` keeps them. The
rest are thin: `server` (UDP and TCP), `forwarding`, `watches` (informers), `service` (that of the server).
"""
