"""What the agent tells Prometheus, under the kubelet's and cadvisor's names. Read when somebody asks."""
