"""What every mode does, by the tests that iptables mode passes: the source-IP matrix, affinity, UDP flows."""

from __future__ import annotations

import pytest

from tests.packets.proxy.test_frontends import (
    test_a_client_is_remembered_for_each_service_port_and_each_client_by_itself,
    test_a_new_connection_goes_by_the_new_state_right_after_a_sync,
    test_endpoints_that_neither_are_ready_nor_serve_are_as_good_as_none,
    test_hints_keep_traffic_near_if_every_endpoint_has_one_and_one_is_for_us,
    test_packets_that_conntrack_calls_invalid_are_dropped,
    test_the_older_of_two_services_holds_a_contested_address_and_then_the_next,
)
from tests.packets.proxy.test_source_ip import (
    test_a_pod_reaches_itself_through_its_service,
    test_a_terminating_balancers_address_is_not_short_circuited,
    test_cluster_ip_from_the_node_shows_the_node,
    test_cluster_ip_keeps_a_pods_address,
    test_draining_endpoints_serve_when_nothing_else_does,
    test_inside_traffic_to_an_outside_address,
    test_inside_traffic_to_this_nodes_node_port_under_local,
    test_internal_local_stays_on_the_node_or_is_dropped,
    test_ipv6_is_the_same,
    test_outside_traffic_under_cluster_shows_the_node,
    test_outside_traffic_under_local_shows_the_client_or_is_dropped,
    test_source_ranges_admit_whom_they_name,
    test_traffic_is_spread_over_all_endpoints,
)
from tests.packets.proxy.test_state import (
    no_flows,
    test_a_client_returns_to_its_endpoint_whichever_address_it_dials,
    test_a_udp_flow_ends_with_its_service_and_with_its_node_port,
    test_a_udp_flow_follows_a_changed_target_port,
    test_a_udp_flow_from_before_the_service_is_decided_again,
    test_a_udp_flow_leaves_an_endpoint_that_is_gone,
    test_a_udp_flow_stays_with_an_endpoint_that_still_serves,
    test_a_udp_flow_that_was_dropped_is_decided_again,
    test_affinity_is_switched_on_and_off_on_a_live_service,
    test_an_ipv6_udp_flow_leaves_an_endpoint_that_is_gone,
    test_another_endpoint_moves_nobody_and_a_removed_one_is_left_at_once,
    test_other_udp_flows_are_left_alone,
)

__all__ = [
    "no_flows",
    "test_a_client_is_remembered_for_each_service_port_and_each_client_by_itself",
    "test_a_client_returns_to_its_endpoint_whichever_address_it_dials",
    "test_a_new_connection_goes_by_the_new_state_right_after_a_sync",
    "test_a_pod_reaches_itself_through_its_service",
    "test_a_terminating_balancers_address_is_not_short_circuited",
    "test_a_udp_flow_ends_with_its_service_and_with_its_node_port",
    "test_a_udp_flow_follows_a_changed_target_port",
    "test_a_udp_flow_from_before_the_service_is_decided_again",
    "test_a_udp_flow_leaves_an_endpoint_that_is_gone",
    "test_a_udp_flow_stays_with_an_endpoint_that_still_serves",
    "test_a_udp_flow_that_was_dropped_is_decided_again",
    "test_affinity_is_switched_on_and_off_on_a_live_service",
    "test_an_ipv6_udp_flow_leaves_an_endpoint_that_is_gone",
    "test_another_endpoint_moves_nobody_and_a_removed_one_is_left_at_once",
    "test_cluster_ip_from_the_node_shows_the_node",
    "test_cluster_ip_keeps_a_pods_address",
    "test_draining_endpoints_serve_when_nothing_else_does",
    "test_endpoints_that_neither_are_ready_nor_serve_are_as_good_as_none",
    "test_hints_keep_traffic_near_if_every_endpoint_has_one_and_one_is_for_us",
    "test_inside_traffic_to_an_outside_address",
    "test_inside_traffic_to_this_nodes_node_port_under_local",
    "test_internal_local_stays_on_the_node_or_is_dropped",
    "test_ipv6_is_the_same",
    "test_other_udp_flows_are_left_alone",
    "test_outside_traffic_under_cluster_shows_the_node",
    "test_outside_traffic_under_local_shows_the_client_or_is_dropped",
    "test_packets_that_conntrack_calls_invalid_are_dropped",
    "test_source_ranges_admit_whom_they_name",
    "test_the_older_of_two_services_holds_a_contested_address_and_then_the_next",
    "test_traffic_is_spread_over_all_endpoints",
]

pytestmark = pytest.mark.cluster
