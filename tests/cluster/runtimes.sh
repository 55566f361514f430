# Debian's containerd and Docker, unpacked below $1, run here by hand and end with this shell. It has namespaces of its
# own for mounts, network and processes. $2 is a directory for what they keep; the rest are archives of images.
set -euo pipefail
tree=$1 kept=$2
shift 2
export PATH=$tree/usr/bin:$tree/usr/sbin:$PATH LD_LIBRARY_PATH=$tree/usr/lib/$(uname -m)-linux-gnu
mount --make-rprivate /
for directory in /run /opt /etc; do
  mkdir -p "$kept/over$directory" "$kept/work$directory"
  mount -t overlay overlay -o "lowerdir=$directory,upperdir=$kept/over$directory,workdir=$kept/work$directory" $directory
done
mkdir /run/here
ip link set lo up
echo '{}' >"$kept/docker.json"  # whatever this machine has

waits_for() { for _ in $(seq 600); do [ -S "$1" ] && return; sleep 0.1; done; tail -n 3 "$kept"/*.log >&2; exit 1; }

containerd --address /run/here/containerd.sock --root "$kept/containerd" --state /run/here/containerd \
  >"$kept/containerd.log" 2>&1 &
waits_for /run/here/containerd.sock
dockerd --containerd /run/here/containerd.sock --data-root "$kept/docker" --exec-root /run/here/docker \
  --pidfile /run/here/docker.pid --host unix:///run/here/docker.sock --config-file "$kept/docker.json" --bridge none \
  --iptables=false --ip6tables=false >"$kept/docker.log" 2>&1 &
waits_for /run/here/docker.sock

# They leave control groups behind, which nothing is in.
end() {
  kill $(jobs -p) || true
  wait
  find /sys/fs/cgroup -depth -type d -newer "$kept/docker.json" \( -path '*/k8s.io*' -o -path '*/docker*' \) \
    -exec rmdir {} + || true
}
trap end EXIT

on_containerd() { ctr --address /run/here/containerd.sock --namespace k8s.io "$@"; }
on_docker() { docker --host unix:///run/here/docker.sock "$@"; }

for archive in "$@"; do
  image=$(basename "$archive" .tar):0.1.0
  on_containerd images import "$archive" >&2
  on_docker load --input "$archive" >&2
  said=$(on_containerd run --rm "docker.io/library/$image" run-here wellhead --version)
  echo "containerd $image $said"
  said=$(on_docker run --rm --network none --entrypoint wellhead "$image" --version)
  echo "docker $image $said"
done
