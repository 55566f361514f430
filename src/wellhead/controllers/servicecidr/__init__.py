"""ServiceCIDRs: kept from going while ClusterIPs would be left without a range.

`protection` decides, purely; `controller` sets conditions and the finalizer.
"""
